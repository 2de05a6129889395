"""Faults 1 and 2: a call is cancelled at every step."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import anyio
import anyio.abc
import pytest
from _cancellation_sweep import BACKENDS, Backend, Call, sweep
from _http_server import TASK, client_of
from _sweep_server import SweepServer

from _sockets import Connection, RawServer
from mj_async import AsyncMJClient, Polling

SOON = Polling(interval=0.003, factor=1, jitter=0)


@pytest.fixture(scope="module")
def gateway() -> Iterator[SweepServer]:
    """Run one server for all sweeps."""
    with SweepServer() as gateway:
        yield gateway


async def fetch_task(client: AsyncMJClient) -> object:
    """Fetch one task."""
    return (await client.fetch_task("1")).id


async def list_tasks(client: AsyncMJClient) -> object:
    """List two tasks."""
    return [task.id for task in await client.list_tasks(["1", "2"])]


async def image_seed(client: AsyncMJClient) -> object:
    """Look up a seed."""
    return (await client.image_seed("1")).seed


async def image_seeds(client: AsyncMJClient) -> object:
    """Look up two seeds: a list, then two requests that share one slot."""
    async with client.image_seeds(["1", "2"]) as outcomes:
        return [outcome.unwrap().seed async for outcome in outcomes]


async def wait_for_task(client: AsyncMJClient) -> object:
    """Wait for a task that is not finished at the first poll."""
    return (await client.wait_for_task(f"wait-{uuid4()}", polling=SOON)).status


async def queued_fetch(client: AsyncMJClient) -> object:
    """Fetch a task while another request, which is shielded, holds the only slot."""

    async def hold_slot(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.CancelScope(shield=True):
            task_status.started()
            assert "holder" == (await client.fetch_task("holder")).id

    async with anyio.create_task_group() as group:
        await group.start(hold_slot)
        task = await client.fetch_task("1")
    return task.id


CALLS: list[Call] = [fetch_task, list_tasks, image_seed, image_seeds, wait_for_task]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_fault_01_a_call_cancelled_at_any_step_loses_nothing(
    call: Call,
    backend: Backend,
    gateway: SweepServer,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A cancellation at any step reaches the caller, and leaks no task and no slot."""
    caplog.set_level(logging.WARNING)
    phases = [one for warm in (False, True) for one in sweep(backend, gateway, call, warm=warm)]
    gc.collect()

    assert {"nothing", "in the body", "answered"} == set(phases)
    assert [] == caplog.records
    assert ("", "") == capsys.readouterr()


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_fault_02_a_queued_call_cancelled_at_any_step_loses_no_slot(
    backend: Backend, gateway: SweepServer, caplog: pytest.LogCaptureFixture
) -> None:
    """No slot is lost if a call is cancelled at the step at which it gets the slot."""
    caplog.set_level(logging.WARNING)
    phases = [
        phase
        for warm in (False, True)
        for phase in sweep(backend, gateway, queued_fetch, warm=warm)
    ]
    gc.collect()

    assert {"nothing", "in the body", "answered"} == set(phases)
    assert [] == caplog.records


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["fetch_task", "image_seed"])
async def test_fault_02_a_call_cancelled_in_the_queue_is_never_sent(method: str) -> None:
    """A call that is cancelled in the queue sends nothing, and the next call gets the slot."""
    targets: list[bytes] = []

    async def handler(connection: Connection) -> None:
        while True:
            targets.append((await connection.read_head()).split()[1].split(b"/")[3])
            await anyio.sleep(0.1)
            seed = b'{"code": 1, "result": "5"}'
            await connection.answer(TASK if method == "fetch_task" else seed)

    with RawServer(handler) as server:
        async with client_of(server, max_connections=1) as client:
            call: Any = getattr(client, method)
            async with anyio.create_task_group() as group:
                group.start_soon(call, "1")
                with anyio.move_on_after(0.03) as scope:
                    await anyio.sleep(0.01)
                    await call("queued")
                with anyio.fail_after(2):
                    await call("1")

    assert scope.cancelled_caught
    assert [b"1", b"1"] == targets
