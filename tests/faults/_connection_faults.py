"""Faults of a connection, and the checks that are the same for all of them."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import pytest
from _http_server import KEY, TASK, client_of, read_request

from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import errors

E = TypeVar("E", bound=errors.MJError)

GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"


def fail_first_connection(fault: ConnectionHandler) -> ConnectionHandler:
    """Build a handler whose first connection fails, and whose others answer."""

    async def handler(connection: Connection) -> None:
        await read_request(connection)
        if connection.number == 0:
            await fault(connection)
        else:
            await connection.answer(TASK)

    return handler


def fail_each_connection(fault: ConnectionHandler) -> ConnectionHandler:
    """Build a handler whose every connection fails at its first request."""

    async def handler(connection: Connection) -> None:
        await read_request(connection)
        await fault(connection)

    return handler


async def check_is_retried(fault: ConnectionHandler, **options: Any) -> None:
    """Check that one retry on a new connection repairs the fault."""
    with RawServer(fail_first_connection(fault)) as server:
        async with client_of(server, **options) as client:
            task = await client.fetch_task("1")

    assert ("1", "SUCCESS", 100) == (task.id, task.status, task.progress)
    assert 2 == server.connections


async def check_raises(kind: type[E], fault: ConnectionHandler, **options: Any) -> E:
    """Check that a lasting fault is this error after three attempts.

    The error names the task, and has neither the key nor the request, not even as its cause.
    """
    with RawServer(fail_each_connection(fault)) as server:
        async with client_of(server, **options) as client:
            with pytest.raises(kind) as caught:
                await client.fetch_task("1")

    error = caught.value
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert 3 == server.connections
    assert ("1", None, None) == (error.task_id, error.__cause__, error.__context__)
    assert KEY not in "".join(shown.format())
    assert KEY.encode() not in pickle.dumps(error)
    return error


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until the server has seen something, two seconds at most."""
    with anyio.fail_after(2):
        while not condition():  # noqa: ASYNC110  # it is seen in the server's thread
            await anyio.sleep(0.005)


class ServerOnPort(RawServer):
    """A server on a given port, like a server that restarts."""

    def __init__(self, handler: ConnectionHandler, port: int) -> None:
        super().__init__(handler)
        self._port = port

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


# --- faults ---------------------------------------------------------------------------------------


async def reset(connection: Connection) -> None:
    """Close with RST before the answer."""
    connection.reset()


async def reset_in_body(connection: Connection) -> None:
    """Close with RST in the middle of the body."""
    await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"i')
    await anyio.sleep(0.01)
    connection.reset()


async def end(connection: Connection) -> None:
    """Close with FIN before the answer."""


async def end_in_body(connection: Connection) -> None:
    """Close with FIN in the middle of the body."""
    await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"i')


async def end_in_chunk(connection: Connection) -> None:
    """Close with FIN in the middle of a chunk."""
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{")


async def end_between_chunks(connection: Connection) -> None:
    """Close with FIN after a chunk that holds the whole task, before the last chunk."""
    await connection.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(TASK), TASK)
    )


async def stall(connection: Connection) -> None:
    """Accept, and send nothing."""
    await connection.stall()


async def drip(connection: Connection) -> None:
    """Send one byte after another: no single read ever times out."""
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await connection.send(b" ")
        await anyio.sleep(0.02)


async def endless_headers(connection: Connection) -> None:
    """Send headers without an end."""
    await connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await connection.send(b"X: y\r\n")
        await anyio.sleep(0.02)


async def huge_header(connection: Connection) -> None:
    """Send one header of a megabyte."""
    await connection.send(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2**20)
    await connection.stall()
