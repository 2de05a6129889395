"""A socket server on loopback, whose connections are handled by a function."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

import attrs
from anyio import to_thread

if TYPE_CHECKING:
    from types import TracebackType


@attrs.define
class Connection:
    """One accepted connection; `number` counts from 0."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_head(self) -> bytes:
        """Read a request up to the empty line."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n") -> None:
        """Send a whole response."""
        await self.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def stall(self) -> None:
        """Send nothing until the client closes the connection."""
        await self.reader.read()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


async def end(server: asyncio.Server) -> None:
    """Close a server and all its connections, also those that were accepted just now."""
    server.close()
    await _yield_to_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _yield_to_loop()


async def _yield_to_loop() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


ConnectionHandler = Callable[[Connection], Awaitable[None]]


class StallingHandler:
    """A handler that reads a request and never answers."""

    def __init__(self) -> None:
        self._reached = threading.Event()

    async def __call__(self, connection: Connection) -> None:
        """Read a request, and send nothing."""
        await connection.read_head()
        self._reached.set()
        await connection.stall()

    async def reach(self) -> None:
        """Wait for a request."""
        await to_thread.run_sync(self._reached.wait)


class RawServer:
    """A server that handles connections in a thread, so that it works with trio, too."""

    def __init__(self, handler: ConnectionHandler) -> None:
        self._handler = handler
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def base_url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self._port}"

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await end(server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self.connections, reader, writer)
        self.connections += 1
        try:
            await self._handler(connection)
        except asyncio.CancelledError:  # the server ends, and the client may not read the rest
            writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
