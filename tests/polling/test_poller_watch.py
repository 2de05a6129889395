"""Following one task among many, and what a poller says is pending."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from _many_waits import WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import Task, TaskPoller, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

STEPS = [(0, "SUBMITTED", "0%"), (4, "IN_PROGRESS", "20%"), (8, "IN_PROGRESS", "60%")]


async def all_of(
    watch: AsyncIterator[Task], act: Callable[[Task], object] = lambda _task: None
) -> list[str]:
    """Follow to the end, and name each change."""
    seen = []
    async for task in watch:
        seen.append(f"{task.status} {task.progress_text}")
        act(task)
    return seen


@pytest.mark.parametrize("end", ["SUCCESS", "FAILURE", "CANCEL"])
async def test_a_watch_gives_each_change_and_the_end(end: str) -> None:
    """Changes in order, the final one last and without an error; then it is over."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [*STEPS, (13, end, "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        watch = poller.watch_task("1")
        seen = await all_of(watch)

        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    assert ["SUBMITTED 0%", "IN_PROGRESS 20%", "IN_PROGRESS 60%", f"{end} 100%"] == seen
    assert [0, 3, 6, 9, 12, 15] == transport.at()


async def test_a_preview_that_is_called_otherwise_is_no_change() -> None:
    """new-api gives a preview another `?rand=` at every poll."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(20))
    urls: set[str | None] = set()
    async with transport.client() as client, client.task_poller() as poller:
        seen = await all_of(poller.watch_task("1"), lambda task: urls.add(task.image_url))

    assert ["IN_PROGRESS 40%", "SUCCESS 100%"] == seen
    assert 8 == len(transport.asked)


async def follow_and_break(others: int, after: int) -> None:
    """Leave an iteration after so many changes, while others wait, and look what is left."""
    transport = RecordingTransport()
    transport.gateway.add_task("left", [*STEPS, (30, "SUCCESS", "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            for task_id in numbered(others):
                transport.gateway.add_task(task_id, done_at(20))
                group.start_soon(poller.wait_for_task, task_id)
            seen = 0
            async for _task in poller.watch_task("left"):
                if seen == after:
                    break
                seen += 1
            left_at = transport.gateway.now
            await anyio.lowlevel.checkpoint()  # from 3.12 on a turn holds what was raised in it
            gc.collect()
            assert numbered(others) == sorted(one["task_id"] for one in poller.pending())

        await transport.gateway.advance(100.0)
        assert [] == [at for at in transport.at("left") if at > left_at]
        assert (21 if others else left_at) == max(transport.at())
        assert ({}, {}) == (poller._waiters.waiting, poller._scheduler._watches)


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_break_leaves_nothing_behind(others: int, after: int) -> None:
    """After a `break` the id is not pending, and not asked for any more."""
    await follow_and_break(others, after)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_an_elected_leader_that_leaves_leaves_nothing_behind() -> None:
    """Also if the next leader leaves before it leads; trio runs ready tasks in any order."""
    for _ in range(20):
        await follow_and_break(2, 2)


async def test_a_cancelled_look_loses_nothing() -> None:
    """`anext` may be cancelled and called again; no change gets lost."""
    transport = RecordingTransport(seconds=0.7)
    transport.gateway.add_task("1", [*STEPS, (13, "SUCCESS", "100%")])
    seen: list[str | None] = []
    cancelled = 0
    async with transport.client() as client, client.task_poller() as poller:
        watch = poller.watch_task("1")
        while "100%" not in seen:
            with transport.gateway._clock.move_on_at(transport.gateway.now + 1.1) as scope:
                seen.append((await anext(watch)).progress_text)
            cancelled += scope.cancelled_caught

    assert ["0%", "20%", "60%", "100%"] == seen
    assert cancelled > 4


async def test_a_slow_reader_sees_the_newest() -> None:
    """Changes between two looks are skipped, but for the newest; no request is sent then."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [*STEPS, (13, "SUCCESS", "100%")])
    seen = []
    async with transport.client() as client, client.task_poller() as poller:
        async for task in poller.watch_task("1"):
            seen.append((transport.gateway.now, task.progress_text))
            await transport.sleep(10.0)

    assert [(0, "0%"), (10, "60%"), (20, "100%")] == seen
    assert [0, 10, 20] == transport.at()


async def test_what_ends_a_watch_is_raised_once() -> None:
    """An error ends the iteration, and what was seen before it was given."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "SUBMITTED", "0%"), (4, "MODAL", "0%")])
    async with transport.client() as client, client.task_poller() as poller:
        watch = poller.watch_task("1", timeout=60.0)

        assert "SUBMITTED" == (await anext(watch)).status
        with pytest.raises(errors.TaskNeedsInputError):
            await anext(watch)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
        assert () == poller.pending()


async def test_a_watch_is_for_one_task() -> None:
    """A second task that iterates meanwhile is told so, and the first one goes on."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(5))
    async with transport.client() as client, client.task_poller() as poller:
        watch = poller.watch_task("1")
        await anext(watch)

        async def second() -> None:
            await transport.sleep(1.0)
            with pytest.raises(errors.ClientStateError, match="another task iterates"):
                await anext(watch)

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            assert "SUCCESS" == (await anext(watch)).status


# --- pending --------------------------------------------------------------------------------------


async def test_pending_is_plain_data() -> None:
    """Ids, the first time they were seen and their deadlines, in Unix seconds, for JSON."""
    transport = RecordingTransport()
    began = transport.gateway._clock.wall_time()
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "late", {"timeout": 60.0})
            await transport.sleep(1.0)
            group.start_soon(waits.wait, "for ever", {"timeout": None})
            group.start_soon(waits.wait, "late", {"timeout": 100.0})
            await transport.sleep(1.0)
            group.start_soon(waits.wait, "for ever", {"timeout": 5.0})
            await transport.sleep(1.0)

            found = poller.pending()
            group.cancel_scope.cancel()

    assert json.loads(json.dumps(found)) == list(found)
    assert (
        {"task_id": "late", "first_seen_at": began, "deadline_at": began + 101.0},
        {"task_id": "for ever", "first_seen_at": began + 1.0, "deadline_at": None},
    ) == found


async def test_a_wait_that_ended_or_was_cancelled_is_not_pending() -> None:
    """Only waits that go on are pending, those in their callback among them."""
    transport = RecordingTransport()
    for task_id in ("done", "failed"):
        transport.gateway.add_task(task_id, [(0, task_id.upper().replace("DONE", "SUCCESS"), "")])
    for task_id in ("busy", "parked", "cancelled"):
        transport.gateway.add_task(task_id, WORKING)
    transport.gateway.add_task("failed", [(0, "FAILURE", "")])

    async def dawdle(_task: Task) -> None:
        await transport.sleep(50.0)

    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        not_begun = poller.watch_task("not begun")
        scope = anyio.CancelScope()

        async def cancelled() -> None:
            with scope:
                await poller.wait_for_task("cancelled")

        async with anyio.create_task_group() as group:
            group.start_soon(cancelled)
            for task_id in ("done", "failed", "parked"):
                group.start_soon(waits.wait, task_id)
            group.start_soon(waits.wait, "busy", {"on_update": dawdle})
            await transport.sleep(2.0)
            scope.cancel()
            await transport.sleep(2.0)
            found = poller.pending()
            group.cancel_scope.cancel()

        assert ["busy", "parked"] == sorted(one["task_id"] for one in found)
        assert not_begun is not None
        assert () == poller.pending()


async def test_a_closed_poller_says_what_was_pending() -> None:
    """What was pending when it was closed can be saved after that."""
    transport = RecordingTransport()
    began = transport.gateway._clock.wall_time()
    async with transport.client() as client:
        poller: TaskPoller = client.task_poller()
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in numbered(3):
                transport.gateway.add_task(task_id, WORKING)
                group.start_soon(waits.wait, task_id, {"timeout": 50.0})
            await transport.sleep(4.0)
            await poller.aclose()
        await poller.aclose()

    expected: list[dict[str, Any]] = [
        {"task_id": task_id, "first_seen_at": began, "deadline_at": began + 50.0}
        for task_id in numbered(3)
    ]
    assert expected == sorted(poller.pending(), key=lambda one: str(one["task_id"]))


async def test_the_oldest_wait_is_pending_first() -> None:
    """`pending()` sorts by the begin of the waits, and not by when they were made."""
    gateway = FakeGateway()
    for task_id in "12":
        gateway.add_task(task_id, [(0, "IN_PROGRESS", "1%")])
    async with gateway.client() as client, client.task_poller() as poller:
        later, first = poller.watch_task("1"), poller.watch_task("2")
        await anext(first)
        await gateway.advance(5.0)
        await anext(later)
        pending = poller.pending()

    assert ["2", "1"] == [one["task_id"] for one in pending]
