"""Outcomes on their way from those who get them to the one who reads them."""

from __future__ import annotations

import math

import anyio
import pytest

from mj_async._outcomes import OutcomeQueue

pytestmark = pytest.mark.anyio


async def test_outcomes_are_taken_in_the_order_they_landed() -> None:
    """What has landed is given, each once, and after the last one nothing more."""
    queue = OutcomeQueue[int](math.inf)
    for number in range(5):
        queue.put(number)
    queue.close()

    assert [0, 1, 2, 3, 4] == [await queue.get() for _ in range(5)]
    assert (None, None) == (await queue.get(), await queue.get())


async def test_a_reader_waits_for_the_next() -> None:
    """Taking waits until something lands, or until nothing can."""
    queue = OutcomeQueue[str](1)
    taken: list[str | None] = []

    async def read() -> None:
        while (one := await queue.get()) is not None:
            taken.append(one)
        taken.append("the end")

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            queue.put("one")
            await anyio.wait_all_tasks_blocked()
            assert ["one"] == taken
            queue.close()

    assert ["one", "the end"] == taken


async def test_a_cancelled_reader_loses_nothing() -> None:
    """What lands after it was cancelled is for the next one."""
    queue = OutcomeQueue[str](1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.get()
    queue.put("one")

    assert scope.cancelled_caught
    assert "one" == await queue.get()


async def test_room_holds_back_those_who_get_more() -> None:
    """`wait_for_room` waits while the queue is full; `put` never does."""
    queue = OutcomeQueue[int](2)
    let_in: list[int] = []

    async def get(number: int) -> None:
        await queue.wait_for_room()
        let_in.append(number)

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            await get(0)
            for number in range(3):
                queue.put(number)
            group.start_soon(get, 1)
            await anyio.wait_all_tasks_blocked()
            assert [0] == let_in
            assert [0, 1] == [await queue.get(), await queue.get()]
            await anyio.wait_all_tasks_blocked()

    assert [0, 1] == let_in


async def test_without_a_limit_there_is_always_room() -> None:
    """An endless landing holds nobody back."""
    queue = OutcomeQueue[int](math.inf)
    for number in range(1000):
        queue.put(number)

    with anyio.fail_after(2):
        await queue.wait_for_room()
