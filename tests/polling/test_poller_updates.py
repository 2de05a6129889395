"""The callback of one wait among many: in its own task, and no other wait is held up."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import anyio
import pytest

from _many_waits import EVEN, WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import Task, errors

pytestmark = pytest.mark.anyio


async def test_a_slow_callback_holds_up_no_other_wait() -> None:
    """The others are asked for meanwhile; the slow one sees the newest state afterwards."""
    transport = RecordingTransport()
    for task_id in ("slow", "1", "2"):
        transport.gateway.add_task(
            task_id, [(0, "IN_PROGRESS", "0%"), (4, "IN_PROGRESS", "4%"), (8, "IN_PROGRESS", "8%"),
                      (12, "SUCCESS", "100%")],
        )  # fmt: skip
    seen: list[tuple[float, str | None]] = []

    async def dawdle(task: Task) -> None:
        seen.append((transport.gateway.now, task.progress_text))
        await transport.sleep(7.5)

    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "slow", {"on_update": dawdle})
            group.start_soon(waits.wait, "1")
            group.start_soon(waits.wait, "2")

    assert dict.fromkeys(["slow", "1", "2"], "SUCCESS") == waits.kinds()
    assert {"1": 12, "2": 12} == {one: waits.ended_at[one] for one in ("1", "2")}
    assert [0, 3, 6, 9, 12] == transport.at("1")
    assert [(0, "0%"), (9, "8%"), (16.5, "100%")] == seen


async def test_a_wait_that_comes_back_alone_does_not_wait_for_a_tick() -> None:
    """Without other waits the ticks go on from when it comes back, if a tick is over."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(5))
    back: list[float] = []

    async def dawdle(_task: Task) -> None:
        await transport.sleep(7.5)
        back.append(transport.gateway.now)

    async with transport.client() as client, client.task_poller() as poller:
        await poller.wait_for_task("1", on_update=dawdle)

    assert ([7.5, 15.0], [0, 7.5]) == (back, transport.at())


async def test_a_callback_may_give_anything_that_can_be_awaited() -> None:
    """A plain function may return an awaitable; what it returns otherwise is no matter."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(5))
    done: list[str] = []

    class Later:
        def __await__(self) -> Any:
            yield from anyio.lowlevel.checkpoint().__await__()
            done.append("awaited")

    def give(task: Task) -> Awaitable[None] | str:
        return Later() if task.is_final else "nothing"

    async with transport.client() as client, client.task_poller() as poller:
        await poller.wait_for_task("1", on_update=give)

    assert ["awaited"] == done


async def test_a_callback_runs_in_the_task_of_its_wait() -> None:
    """Context variables, cancel scopes and errors are those of the waiter."""
    transport, ids = RecordingTransport(), numbered(5)
    tasks: dict[str, set[int]] = {task_id: set() for task_id in ids}

    async def wait(task_id: str) -> None:
        def remember(_task: Task) -> None:
            tasks[task_id].add(anyio.get_current_task().id)

        remember(Task(task_id))
        await poller.wait_for_task(task_id, on_update=remember)

    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            for task_id in ids:
                transport.gateway.add_task(task_id, done_at(5))
                group.start_soon(wait, task_id)

    assert {1} == {len(one) for one in tasks.values()}
    assert 5 == len(set.union(*tasks.values()))


@pytest.mark.parametrize("refusing", numbered(3))
async def test_what_a_callback_raises_ends_that_wait_only(refusing: str) -> None:
    """It reaches the caller as it is; the others go on."""
    transport, ids = RecordingTransport(), numbered(3)
    caught: dict[str, LookupError] = {}  # their tracebacks hold the wait

    def refuse(_task: Task) -> None:
        raise LookupError("the message was deleted")

    async def wait(task_id: str) -> None:
        try:
            await waits.wait(task_id, {"on_update": refuse if task_id == refusing else None})
        except LookupError as error:
            caught[task_id] = error

    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                transport.gateway.add_task(task_id, done_at(5))
                group.start_soon(wait, task_id)

        assert () == poller.pending()
    assert {refusing: "the message was deleted"} == {one: str(caught[one]) for one in caught}
    others = {task_id for task_id in ids if task_id != refusing}
    assert dict.fromkeys(others, 6) == waits.ended_at
    assert [0, 3, 6] == transport.at()


async def test_the_deadline_does_not_cut_a_callback() -> None:
    """A callback ends by itself; only then the wait is over."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    ended: list[float] = []

    async def dawdle(_task: Task) -> None:
        await transport.sleep(20.0)
        ended.append(transport.gateway.now)

    async with transport.client() as client, client.task_poller(polling=EVEN) as poller:
        with pytest.raises(errors.WaitTimeoutError):
            await poller.wait_for_task("1", on_update=dawdle, timeout=10.0)

    assert ([20.0], 20.0, [0]) == (ended, transport.gateway.now, transport.at())
