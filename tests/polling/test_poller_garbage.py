"""Watches that only the garbage collector has yet to find are no trouble to their poller."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from mj_async import TaskPoller
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio


@pytest.fixture
def collector() -> Iterator[None]:
    """Put the garbage collector back as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()


async def drop_watches(poller: TaskPoller) -> None:
    """Leave cancelled watches behind that only a cycle holds, as the traceback of an error does."""
    for number in range(10):
        watch = poller.watch_task(str(number))
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(watch)
        cycle: list[Any] = [watch]
        cycle.append(cycle)


@pytest.mark.usefixtures("collector")
async def test_garbage_may_be_collected_at_any_time() -> None:
    """`pending()` does not stumble over a watch that vanishes while it looks at it."""
    gateway = FakeGateway()
    async with gateway.client() as client:
        for threshold in range(1, 60):
            async with client.task_poller() as poller:
                gc.disable()
                await drop_watches(poller)
                gc.set_threshold(gc.get_count()[0] + threshold)
                gc.enable()
                poller.pending()

    assert () == gateway.requests
