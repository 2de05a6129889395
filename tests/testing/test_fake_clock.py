"""The fake gateway's clock: it jumps when all sleep, and not under whoever moves it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from mj_async import errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio


async def test_whoever_advances_the_clock_has_its_turn() -> None:
    """After `advance` there is time to begin something before the clock jumps on."""
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
    """Each comes back at its own time, in order, whatever sleeps beside them."""
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
    """What is no number of seconds from 0 on is refused."""
    gateway = FakeGateway()

    with pytest.raises(errors.ConfigurationError, match="seconds"):
        await gateway.advance(seconds)

    assert 0 == gateway.now


async def test_waits_that_join_hold_the_clock() -> None:
    """A fake gateway's clock does not jump while waits join one after the other, as bots' do."""
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
