"""Asking what an agenda says: sleeping until there is something, and telling what came back."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

from _crowd import WORKING, Crowd, Way, done_at, kind_of, numbered
from _fakes import task
from _table import Table
from mj_async import Task, TaskOutcome, errors
from mj_async._polling.batches import Place, PollRequest
from mj_async._polling.waiters import Driver

pytestmark = pytest.mark.anyio


@attrs.define
class Line:
    """Answers polls as it is told, and records them."""

    fault: Exception | None = None
    asked: list[Any] = attrs.field(factory=list)

    async def poll(self, task_id: str) -> Task:
        """Ask for one."""
        await self._pass(task_id)
        return task(id=task_id)

    async def poll_list(self, task_ids: list[str]) -> list[Task]:
        """Ask for some."""
        await self._pass(task_ids)
        return [task(id=one) for one in task_ids]

    async def _pass(self, asked: Any) -> None:
        self.asked.append(asked)
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault


def driver_of(table: Table, line: Line) -> Driver:
    """Make a driver of a table, whose clock is set by hand."""
    return Driver(agenda=table.agenda, clock=table.clock, poll=line.poll, poll_list=line.poll_list)


def job_of(driver: Driver) -> PollRequest:
    """Take the next request, which there must be."""
    job = driver.next_job()
    assert job is not None
    return job


@pytest.mark.parametrize(("has_list", "asked"), [(True, ["1", "2"]), (False, "1")])
async def test_a_request_is_a_list_or_a_fetch(has_list: bool, asked: Any) -> None:  # noqa: FBT001
    """What comes back is told to those who wait."""
    table, line = Table(has_list=has_list), Line()
    table.join("1", "2")
    driver = driver_of(table, line)

    await driver.carry(job_of(driver))

    assert [asked] == line.asked
    assert (["1", "2"] if has_list else ["1"]) == table.woken


async def test_an_error_of_ours_is_an_answer() -> None:
    """It is told to those who wait, and not raised."""
    table, line = Table(), Line(errors.AuthenticationError(status_code=401))
    table.join("1", "2")
    driver = driver_of(table, line)

    await driver.carry(job_of(driver))

    assert {"1", "2"} == set(table.woken)


async def test_what_was_cut_off_is_repeated() -> None:
    """A cancelled request is the next one, at once."""
    table, line = Table(), Line()
    table.join("1")
    driver = driver_of(table, line)
    first = job_of(driver)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await driver.carry(first)

    assert scope.cancelled_caught
    assert first == job_of(driver)


async def test_a_fault_that_is_not_ours_is_raised_and_not_repeated() -> None:
    """A hook of the caller's may fail: whom the request was for is due at the next tick."""
    table, line = Table(), Line(LookupError("a hook"))
    table.join("1")
    driver = driver_of(table, line)

    with pytest.raises(LookupError, match="a hook"):
        await driver.carry(job_of(driver))

    assert driver.next_job() is None
    assert 3.0 == table.agenda.look_again_at()
    assert ["1"] == table.ids(3.0)


async def test_a_kick_ends_the_sleep() -> None:
    """When something has changed, whoever sleeps looks again; before and after, it is nothing."""
    way = Way()
    table = Table()
    table.join("1")
    table.run(1.0)
    driver = Driver(agenda=table.agenda, clock=way.gateway._clock, poll=None, poll_list=None)  # type: ignore[arg-type]
    driver.kick()

    async with anyio.create_task_group() as group:
        group.start_soon(driver.sleep)
        await way.sleep(1.0)
        driver.kick()
    driver.kick()

    assert 1.0 == way.gateway.now


def test_a_place_must_say_how_it_is_woken() -> None:
    """Whoever makes a place of its own kind says what news are to it."""
    table = Table()
    (place,) = table.join("1")
    with pytest.raises(NotImplementedError):
        Place(place.watch).wake()


# --- the same, from outside -----------------------------------------------------------------------


async def test_a_broken_hook_reaches_one_wait() -> None:
    """Whoever carried the request gets what the hook raised; the others go on at the tick."""
    way, ids = Way(), numbered(3)
    for task_id in ids:
        way.gateway.add_task(task_id, done_at(2))
    broken: list[str] = []

    def break_once(_asked: Any) -> None:
        if not broken:
            broken.append("once")
            raise LookupError("a hook")

    way.detour = break_once
    async with way.client() as client, client.task_poller() as poller:
        crowd = Crowd(way, poller)

        async def wait(task_id: str) -> None:
            try:
                await crowd.wait(task_id)
            except LookupError:
                broken.append(task_id)

        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(wait, task_id)

    assert 2 == len(broken)
    assert dict.fromkeys(set(ids) - set(broken), "SUCCESS") == crowd.kinds()
    assert [0, 3] == way.at()


async def test_a_broken_hook_ends_a_run() -> None:
    """A run gives what it has, and then raises what the hook raised, as it is."""
    way = Way()
    way.gateway.add_task("done", done_at(0))
    way.gateway.add_task("1", WORKING)

    def break_later(asked: Any) -> None:
        if asked.at > 0:
            raise LookupError("a hook")

    way.detour = break_later
    found: list[TaskOutcome] = []
    async with way.client() as client:
        async with client.wait_for_tasks(["done", "1"]) as outcomes:
            with pytest.raises(LookupError, match="a hook"):
                async for outcome in outcomes:
                    found.append(outcome)  # noqa: PERF401  # what came before is to be seen

    assert ["SUCCESS"] == list(map(kind_of, found))
    assert 3 == way.gateway.now
