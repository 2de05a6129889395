"""An HTTP server on real sockets that answers from a function, with or without TLS."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import attrs
import pytest

from _sockets import Connection, ConnectionHandler, RawServer, end
from mj_async import AsyncMJClient, Dialect, RetryPolicy

KEY = "sk-canary-0123456789"
TASK = b'{"id":"1","status":"SUCCESS","progress":"100%","imageUrl":"https://cdn.example/1.png"}'
RUNNING = b'{"id":"1","status":"IN_PROGRESS","progress":"40%"}'
ONCE = RetryPolicy(attempts=1)
SOON = RetryPolicy(first_delay=0.0)
BEARER = Dialect(auth="bearer")
# What an answer means does not depend on the event loop, so one of them is enough.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
_CONTEXT = ssl.create_default_context()  # one takes 20 ms to make


@attrs.frozen
class ReceivedRequest:
    """A request as the server received it."""

    line: bytes
    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """The request target."""
        return self.line.split(b" ")[1].decode()

    @property
    def form_ids(self) -> list[str]:
        """The values of the form field `ids`, read by the standard library's parser."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts: Any = BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts()
        names = [(part.get_param("name", header="content-disposition"), part) for part in parts]
        return [part.get_payload(decode=True).decode() for name, part in names if name == "ids"]


@attrs.frozen
class RawResponse:
    """A response; its headers are bytes, so that they can be malformed."""

    body: bytes = TASK
    status: int = 200
    headers: bytes = b""

    @property
    def wire(self) -> bytes:
        """The bytes of the whole response."""
        head = b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n"
        length = 0 if self.status in (204, 304) else len(self.body)
        return head % (self.status, self.headers, length) + self.body[:length]


Responder = Callable[[ReceivedRequest], RawResponse]


async def read_request(connection: Connection) -> ReceivedRequest:
    """Read a whole request."""
    line, *rows = (await connection.read_head()).decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
    body = await connection.reader.readexactly(int(headers.get("content-length", 0)))
    return ReceivedRequest(line.encode("latin-1"), headers, body)


def respond_with(answers: Responder, seen: list[ReceivedRequest]) -> ConnectionHandler:
    """Build a handler that keeps its connections and answers from a function."""

    async def handler(connection: Connection) -> None:
        while True:
            request = await read_request(connection)
            seen.append(request)
            await connection.send(answers(request).wire)

    return handler


class HTTPServer(RawServer):
    """A server that answers from a function, and records the requests."""

    def __init__(self, answers: Responder | RawResponse) -> None:
        self.seen: list[ReceivedRequest] = []
        given = (lambda _: answers) if isinstance(answers, RawResponse) else answers
        super().__init__(respond_with(given, self.seen))


class TLSServer(RawServer):
    """A socket server with TLS."""

    def __init__(self, handler: ConnectionHandler, context: ssl.SSLContext) -> None:
        super().__init__(handler)
        self._context = context

    @property
    def base_url(self) -> str:
        """The address of the server, by name."""
        return f"https://localhost:{self._port}"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda *_: None)  # handshakes fail on purpose
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await end(server)


def client_of(server: RawServer, **options: Any) -> AsyncMJClient:
    """Build a client of the server with the documented auth that retries without a delay."""
    usual = {"base_url": server.base_url, "retry": SOON, "dialect": BEARER, "verify": _CONTEXT}
    return AsyncMJClient(KEY, **{**usual, **options})


def id_of(target: str) -> str:
    """Return the id in a path, as it was sent."""
    match = re.search(r"/mj/task/([^/]*)/", target)
    return match[1] if match else ""
