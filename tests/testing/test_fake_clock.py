"""The clock of the fake gateway: it jumps when all its users sleep, and not before."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from mj_async import errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio


async def test_the_caller_of_advance_runs_before_a_jump() -> None:
    """After `advance`, the caller can begin something before the clock jumps."""
    for _ in range(50):
        gateway = FakeGateway()
        async with gateway.client() as client, anyio.create_task_group() as group:
            group.start_soon(client._clock.sleep, 10.0)
            await anyio.lowlevel.checkpoint()
            await gateway.advance(1.0)
            for _turn in range(10):
                await anyio.lowlevel.checkpoint()

            assert 1.0 == gateway.now
            group.cancel_scope.cancel()


async def test_several_may_advance_at_once() -> None:
    """Each call returns at its own time, in order, whatever else sleeps."""
    gateway, back = FakeGateway(), []

    async def sleep(seconds: float) -> None:
        await gateway.advance(seconds)
        back.append((seconds, gateway.now))

    async with gateway.client() as client, anyio.create_task_group() as group:
        group.start_soon(client._clock.sleep, 500.0)
        async with anyio.create_task_group() as bots:
            for seconds in (30.0, 1.0, 10.0, 10.0):
                bots.start_soon(sleep, seconds)
        group.cancel_scope.cancel()

    assert [(1, 1), (10, 10), (10, 10), (30, 30)] == back


@pytest.mark.parametrize("seconds", [-5, float("nan"), float("inf"), "1"])
async def test_time_goes_forward(seconds: Any) -> None:
    """A negative, infinite or other invalid number of seconds is refused."""
    gateway = FakeGateway()

    with pytest.raises(errors.ConfigurationError, match="seconds"):
        await gateway.advance(seconds)

    assert 0 == gateway.now


async def test_the_clock_does_not_jump_while_waits_begin() -> None:
    """Waits that begin one after the other, as those of bots, begin at the same time."""
    gateway = FakeGateway()
    async with gateway.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            for number in range(50):
                gateway.add_task(f"{number}", [(0, "IN_PROGRESS", "0%"), (30, "SUCCESS", "100%")])
                group.start_soon(poller.wait_for_task, f"{number}")
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
            joined_at = gateway.now

    assert 0.0 == joined_at
    assert len(gateway.requests) <= 20
