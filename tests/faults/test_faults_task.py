"""Faults 43 and 44: a task that goes back, fails without a reason, never ends or vanishes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from _http_server import on_asyncio

from mj_async import Polling, Task, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

STEADY = Polling(jitter=0)
UNKNOWN = json.dumps({"description": "task_no_found", "type": "upstream_error", "code": 4}).encode()
PICTURE = "https://cdn.example/1.png"


def gateway_with(*timeline: tuple[float, str, str], **fields: Any) -> FakeGateway:
    """Build a gateway with one task."""
    gateway = FakeGateway()
    gateway.add_task("1", timeline, **{"imageUrl": PICTURE, **fields})
    return gateway


async def test_fault_44_success_is_final() -> None:
    """A task that has succeeded is final, even if it would run again later."""
    gateway = gateway_with(
        (0, "IN_PROGRESS", "40%"), (2, "SUCCESS", "100%"), (5, "IN_PROGRESS", "1%")
    )

    async with gateway.client(polling=STEADY) as client:
        seen = [(task.status, task.progress) async for task in client.watch_task("1")]

    assert [("IN_PROGRESS", 40), ("SUCCESS", 100)] == seen
    assert [0.0, 3.0] == [request.at for request in gateway.requests]


async def test_fault_44_success_without_a_picture_stays_a_success() -> None:
    """A SUCCESS without a picture stays one, even if the second answer says that it runs."""
    gateway = gateway_with((0, "SUCCESS", "100%"), (1, "IN_PROGRESS", "1%"), imageUrl=None)

    async with gateway.client(polling=STEADY) as client:
        task = await client.wait_for_task("1")

    assert ("SUCCESS", 2.0, 2) == (task.status, gateway.now, len(gateway.requests))


async def test_fault_44_progress_may_go_back() -> None:
    """Progress that goes back is a change, and does not end the wait."""
    gateway = gateway_with(
        (0, "IN_PROGRESS", "40%"),
        (2, "IN_PROGRESS", "10%"),
        (5, "SUBMITTED", ""),
        (8, "IN_PROGRESS", "90%"),
        (15, "SUCCESS", "100%"),
    )
    seen: list[tuple[str, int | None]] = []

    def note(task: Task) -> None:
        seen.append((task.status, task.progress))

    async with gateway.client(polling=Polling(interval=3, factor=1, jitter=0)) as client:
        await client.wait_for_task("1", on_update=note)

    assert [40, 10, None, 90, 100] == [progress for _, progress in seen]


@on_asyncio
@pytest.mark.parametrize("reason", [None, "", 5])
async def test_fault_44_a_failure_needs_no_reason(reason: object) -> None:
    """A failure without a reason is a TaskFailedError that keeps the task."""
    gateway = gateway_with((0, "FAILURE", "100%"), failReason=reason)

    async with gateway.client(polling=STEADY) as client:
        with pytest.raises(errors.TaskFailedError) as caught:
            await client.wait_for_task("1")
        returned = await client.wait_for_task("1", raise_on_failure=False)

    assert ("FAILURE", returned) == (returned.status, caught.value.task)
    assert not returned.fail_reason


@on_asyncio
@pytest.mark.parametrize("status", ["IN_PROGRESS", "NOT_START", "SUBMITTED", "UNHEARD_OF", ""])
async def test_fault_44_what_never_ends_times_out(status: str) -> None:
    """A task that never ends raises WaitTimeoutError exactly at the timeout, with the task."""
    gateway = gateway_with((0, status, "40%"))

    async with gateway.client(polling=STEADY) as client:
        with pytest.raises(errors.WaitTimeoutError) as caught:
            await client.wait_for_task("1", timeout=600)

    error = caught.value
    assert (600.0, 600.0, "1") == (gateway.now, error.elapsed, error.task_id)
    assert error.task is not None
    assert (status, 40) == (error.task.status, error.task.progress)
    assert len(gateway.requests) == error.polls
    assert isinstance(error, TimeoutError)


@on_asyncio
@pytest.mark.parametrize("status", [404, 400])
async def test_fault_44_what_vanishes_is_not_found(status: int) -> None:
    """A task that the gateway has forgotten raises TaskNotFoundError after missing_grace."""
    gateway = gateway_with((0, "IN_PROGRESS", "40%"))

    async with gateway.client(polling=Polling(interval=3, factor=1, jitter=0)) as client:
        await client.fetch_task("1")
        gateway.fail_next(100, status, body=UNKNOWN)
        with pytest.raises(errors.TaskNotFoundError) as caught:
            await client.wait_for_task("1")

    assert (10.0, "1") == (gateway.now, caught.value.task_id)


async def test_fault_44_what_comes_back_is_awaited_on() -> None:
    """A task that is missing for less than missing_grace does not end the wait."""
    gateway = gateway_with((0, "IN_PROGRESS", "40%"), (30, "SUCCESS", "100%"))

    async with gateway.client(polling=Polling(interval=3, factor=1, jitter=0)) as client:
        gateway.fail_next(3, 404, body=UNKNOWN)
        run = client.watch_task("1")
        seen = [(await anext(run)).status]
        gateway.fail_next(3, 404, body=UNKNOWN)
        seen.append((await anext(run)).status)

    assert ["IN_PROGRESS", "SUCCESS"] == seen
    assert 30.0 == gateway.now


async def test_fault_43_a_crossed_answer_ends_no_wait() -> None:
    """In a wait, an answer about another task is ignored."""
    gateway = gateway_with((0, "IN_PROGRESS", "40%"), (9, "SUCCESS", "100%"))
    crossed = json.dumps({"id": "2", "status": "SUCCESS", "imageUrl": PICTURE}).encode()
    gateway.fail_next(2, 200, body=crossed)
    seen: list[str] = []

    async with gateway.client(polling=Polling(interval=3, factor=1, jitter=0)) as client:
        task = await client.wait_for_task("1", on_update=lambda task: seen.append(task.id))

    assert ("1", ["1", "1"], 9.0) == (task.id, seen, gateway.now)
