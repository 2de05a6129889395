"""Faults 12 to 14, and 18: servers that are slow, or away for a while."""

from __future__ import annotations

import json
import time

import anyio
import pytest
from _connection_faults import (
    ServerOnPort,
    check_is_retried,
    check_raises,
    drip,
    endless_headers,
    eventually,
    fail_each_connection,
    huge_header,
    stall,
)
from _http_server import client_of

from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import AsyncMJClient, Polling, Task, errors

pytestmark = pytest.mark.anyio


async def check_deadlines(fault: ConnectionHandler) -> None:
    """Check that each attempt has a deadline to its last byte, and the call has its own."""
    await check_is_retried(fault, request_timeout=0.2)
    error = await check_raises(errors.RequestTimeoutError, fault, request_timeout=0.05)
    started = time.monotonic()
    with RawServer(fail_each_connection(fault)) as server:
        async with client_of(server, request_timeout=0.2) as client:
            with pytest.raises(errors.RequestTimeoutError):
                await client.fetch_task("1", timeout=0.5)
            lasted = time.monotonic() - started

    assert "request_timeout=0.05 s" in str(error)
    assert 0.5 <= lasted <= 0.7
    assert 3 == server.connections


async def test_fault_12_a_stall_before_the_answer() -> None:
    """A stall ends at the deadline of the attempt, and the call at its own timeout."""
    await check_deadlines(stall)


async def test_fault_13_a_drip() -> None:
    """A slow body does not move the deadline of the attempt."""
    await check_deadlines(drip)


async def test_fault_14_endless_headers() -> None:
    """Endless headers do not move the deadline of the attempt."""
    await check_deadlines(endless_headers)


async def test_fault_14_a_header_of_a_megabyte() -> None:
    """A header of a megabyte is not read to its end, is retried, and then is a TransportError."""
    await check_is_retried(huge_header)
    error = await check_raises(errors.TransportError, huge_header)

    assert not isinstance(error, errors.RequestTimeoutError)


def task_with(status: str, progress: str) -> ConnectionHandler:
    """Build a handler that answers every request with the same task."""
    picture = "https://cdn.example/1.png"
    task = {"id": "1", "status": status, "progress": progress, "imageUrl": picture}

    async def handler(connection: Connection) -> None:
        while True:
            await connection.read_head()
            await connection.answer(json.dumps(task).encode())

    return handler


async def test_fault_18_a_server_that_restarts_during_a_wait() -> None:
    """A wait survives a second without a server, and reads the answers of the new one."""
    updates: list[Task] = []
    ended: list[Task] = []
    polling = Polling(interval=0.05, factor=1, jitter=0)

    async def wait(client: AsyncMJClient) -> None:
        ended.append(
            await client.wait_for_task("1", polling=polling, timeout=10, on_update=updates.append)
        )

    async with anyio.create_task_group() as group:
        with RawServer(task_with("IN_PROGRESS", "40%")) as server:
            client = client_of(server, max_connections=1)
            group.start_soon(wait, client)
            await eventually(lambda: updates)
        await anyio.sleep(1.0)
        assert [] == ended
        port = int(server.base_url.rpartition(":")[2])
        with ServerOnPort(task_with("SUCCESS", "100%"), port):
            await eventually(lambda: ended)
            await client.aclose()

    assert ["IN_PROGRESS", "SUCCESS"] == [task.status for task in updates]
    assert ["SUCCESS"] == [task.status for task in ended]
