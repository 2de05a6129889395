"""Many waits, one poll, on the event loop's own clock, as it is in use: trio's, which jumps."""

from __future__ import annotations

import json
from typing import Any

import anyio
import attrs
import httpx
import pytest
from trio.testing import MockClock

from _fakes import client_on
from _many_waits import EVEN, SPOKEN, numbered
from mj_async import TaskOutcome, errors

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, whose clock jumps when all sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


@attrs.define
class Slow(httpx.AsyncBaseTransport):
    """Answers lists after some seconds: all tasks succeed at one time; it records the instants."""

    seconds: float
    done_at: float
    at: list[float] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a list."""
        self.at.append(round(anyio.current_time(), 6))
        await anyio.sleep(self.seconds)
        status = "SUCCESS" if anyio.current_time() >= self.done_at else "IN_PROGRESS"
        ids = json.loads(await request.aread())["ids"]
        rows = [{"id": one, "status": status, "imageUrl": "https://cdn.test/1.png"} for one in ids]
        return httpx.Response(200, json=rows)


async def test_a_poller_keeps_to_the_instants() -> None:
    """250 waits are three lists a tick, from start to start, however long an answer takes."""
    wire, ids = Slow(seconds=1.5, done_at=6.0), numbered(250)
    ended: list[str] = []
    async with client_on(wire, polling=EVEN, dialect=SPOKEN) as client:  # type: ignore[arg-type]
        async with client.task_poller() as poller:

            async def wait(task_id: str) -> None:
                ended.append((await poller.wait_for_task(task_id)).id)

            async with anyio.create_task_group() as group:
                for task_id in ids:
                    group.start_soon(wait, task_id)

    assert [0, 1, 2, 3, 4, 5] == wire.at[:6]
    assert sorted(ids) == sorted(ended)
    assert 8.5 == anyio.current_time()


async def test_deadlines_cut_at_their_instant() -> None:
    """Also in the middle of a call: the others repeat it once at most."""
    wire = Slow(seconds=4.0, done_at=0.0)
    ended: dict[str, tuple[float, str]] = {}
    async with client_on(wire, polling=EVEN, dialect=SPOKEN) as client:  # type: ignore[arg-type]
        async with client.task_poller() as poller:

            async def wait(task_id: str, timeout: float) -> None:
                try:
                    kind = (await poller.wait_for_task(task_id, timeout=timeout)).status
                except errors.WaitTimeoutError:
                    kind = "timeout"
                ended[task_id] = (anyio.current_time(), kind)

            async with anyio.create_task_group() as group:
                for task_id, timeout in (("1", 2.5), ("2", 60.0), ("3", 60.0)):
                    group.start_soon(wait, task_id, timeout)

    assert {"1": (2.5, "timeout"), "2": (4, "SUCCESS"), "3": (4, "SUCCESS")} == ended
    assert [0] == wire.at


async def test_a_run_keeps_to_the_instants() -> None:
    """Outcomes come when their list is answered; the deadline is that of all."""
    wire, ids = Slow(seconds=1.0, done_at=4.0), numbered(150)
    found: list[tuple[float, TaskOutcome]] = []
    async with client_on(wire, polling=EVEN, dialect=SPOKEN) as client:  # type: ignore[arg-type]
        async with client.wait_for_tasks(ids, timeout=5.0) as outcomes:
            async for outcome in outcomes:
                found.append((anyio.current_time(), outcome))  # noqa: PERF401

    assert [0, 1.5, 3, 4.5] == wire.at
    assert {4.0, 5.0} == {at for at, _ in found}
    assert 100 == sum(outcome.task is not None for _, outcome in found)
    assert 150 == len(found)
