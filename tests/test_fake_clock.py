"""The fake gateway's clock: it jumps when all sleep, and not under whoever moves it."""

from __future__ import annotations

import anyio
import pytest

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
