"""Asking what an agenda says: sleeping until there is something, and telling what came back."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

from _crowd import WORKING, ManyWaits, RecordingTransport, done_at, kind_of, numbered
from _fakes import task
from _table import BatchHarness
from mj_async import Task, TaskOutcome, errors
from mj_async._polling.batches import Place, PollRequest
from mj_async._polling.waiters import Driver

pytestmark = pytest.mark.anyio


@attrs.define
class FakePoll:
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


def driver_of(harness: BatchHarness, fake: FakePoll) -> Driver:
    """Make a driver of a table, whose clock is set by hand."""
    return Driver(
        scheduler=harness.scheduler, clock=harness.clock, poll=fake.poll, poll_list=fake.poll_list
    )


def request_of(driver: Driver) -> PollRequest:
    """Take the next request, which there must be."""
    request = driver.next_request()
    assert request is not None
    return request


@pytest.mark.parametrize(("has_list", "asked"), [(True, ["1", "2"]), (False, "1")])
async def test_a_request_is_a_list_or_a_fetch(has_list: bool, asked: Any) -> None:  # noqa: FBT001
    """What comes back is told to those who wait."""
    harness, fake = BatchHarness(has_list=has_list), FakePoll()
    harness.join("1", "2")
    driver = driver_of(harness, fake)

    await driver.send(request_of(driver))

    assert [asked] == fake.asked
    assert (["1", "2"] if has_list else ["1"]) == harness.woken


async def test_an_error_of_ours_is_an_answer() -> None:
    """It is told to those who wait, and not raised."""
    harness, fake = BatchHarness(), FakePoll(errors.AuthenticationError(status_code=401))
    harness.join("1", "2")
    driver = driver_of(harness, fake)

    await driver.send(request_of(driver))

    assert {"1", "2"} == set(harness.woken)


async def test_what_was_cut_off_is_repeated() -> None:
    """A cancelled request is the next one, at once."""
    harness, fake = BatchHarness(), FakePoll()
    harness.join("1")
    driver = driver_of(harness, fake)
    first = request_of(driver)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await driver.send(first)

    assert scope.cancelled_caught
    assert first == request_of(driver)


async def test_a_fault_that_is_not_ours_is_raised_and_not_repeated() -> None:
    """A hook of the caller's may fail: whom the request was for is due at the next tick."""
    harness, fake = BatchHarness(), FakePoll(LookupError("a hook"))
    harness.join("1")
    driver = driver_of(harness, fake)

    with pytest.raises(LookupError, match="a hook"):
        await driver.send(request_of(driver))

    assert driver.next_request() is None
    assert 3.0 == harness.scheduler.next_check_at()
    assert ["1"] == harness.ids(3.0)


async def test_a_kick_ends_the_sleep() -> None:
    """When something has changed, whoever sleeps looks again; before and after, it is nothing."""
    transport = RecordingTransport()
    harness = BatchHarness()
    harness.join("1")
    harness.run(1.0)
    clock = transport.gateway._clock
    driver = Driver(scheduler=harness.scheduler, clock=clock, poll=None, poll_list=None)  # type: ignore[arg-type]
    driver.wake()

    async with anyio.create_task_group() as group:
        group.start_soon(driver.sleep)
        await transport.sleep(1.0)
        driver.wake()
    driver.wake()

    assert 1.0 == transport.gateway.now


def test_a_place_must_say_how_it_is_woken() -> None:
    """Whoever makes a place of its own kind says what news are to it."""
    harness = BatchHarness()
    (place,) = harness.join("1")
    with pytest.raises(NotImplementedError):
        Place(place.watch).wake()


# --- the same, from outside -----------------------------------------------------------------------


async def test_a_broken_hook_reaches_one_wait() -> None:
    """Whoever carried the request gets what the hook raised; the others go on at the tick."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(2))
    broken: list[str] = []

    def break_once(_asked: Any) -> None:
        if not broken:
            broken.append("once")
            raise LookupError("a hook")

    transport.override = break_once
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)

        async def wait(task_id: str) -> None:
            try:
                await waits.wait(task_id)
            except LookupError:
                broken.append(task_id)

        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(wait, task_id)

    assert 2 == len(broken)
    assert dict.fromkeys(set(ids) - set(broken), "SUCCESS") == waits.kinds()
    assert [0, 3] == transport.at()


async def test_a_broken_hook_ends_a_run() -> None:
    """A run gives what it has, and then raises what the hook raised, as it is."""
    transport = RecordingTransport()
    transport.gateway.add_task("done", done_at(0))
    transport.gateway.add_task("1", WORKING)

    def break_later(asked: Any) -> None:
        if asked.at > 0:
            raise LookupError("a hook")

    transport.override = break_later
    found: list[TaskOutcome] = []
    async with transport.client() as client:
        async with client.wait_for_tasks(["done", "1"]) as outcomes:
            with pytest.raises(LookupError, match="a hook"):
                async for outcome in outcomes:
                    found.append(outcome)  # noqa: PERF401  # what came before is to be seen

    assert ["SUCCESS"] == list(map(kind_of, found))
    assert 3 == transport.gateway.now
