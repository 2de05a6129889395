"""The two ways to a fake gateway: a transport of httpx in process, and a server on real TCP."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
from anyio import CancelScope, to_thread
from anyio.lowlevel import checkpoint

from ._models import FakeResponse

if TYPE_CHECKING:
    import uvicorn

RequestHandler: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], FakeResponse]


class Transport(httpx.AsyncBaseTransport):
    """Hands each request to whoever answers.

    Args:
        handle: Answers a method, target, headers and body.
    """

    def __init__(self, handle: RequestHandler) -> None:
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await checkpoint()  # a socket lets others run, too
        response = self._handle(
            request.method,
            request.url.raw_path.decode("ascii"),
            {name.lower(): value for name, value in request.headers.items()},
            await request.aread(),
        )
        # As a stream, so that the client reads it the way it reads a socket.
        stream = httpx.ByteStream(response.body)
        return httpx.Response(response.status, headers=dict(response.headers), stream=stream)


class Server:
    """Serves on loopback: `async with Server(…) as base_url`.

    Args:
        handle: Gives the answer to (method, target, headers, body).
        on_address: Told the address, and None at the end.
        port: Where it listens; 0: wherever there is room.
    """

    def __init__(
        self, handle: RequestHandler, on_address: Callable[[str | None], None], port: int = 0
    ) -> None:
        self._port = port
        self._handle = handle
        self._on_address = on_address

    async def __aenter__(self) -> str:
        self._socket = _listen(self._port)
        self._server = _make_server(self._handle)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )
        base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._on_address(base_url)
        # The socket listens already: a connection that comes before uvicorn does is kept.
        self._thread.start()
        return base_url

    async def __aexit__(self, *_exception: object) -> None:
        self._on_address(None)
        self._server.should_exit = True
        with CancelScope(shield=True):
            await to_thread.run_sync(self._thread.join)
        self._socket.close()


def _listen(port: int) -> socket.socket:
    """Listen on loopback.

    Raises:
        OSError: The port cannot be had.
    """
    # asyncio sends small packets at once (TCP_NODELAY) only where the protocol is named;
    # without that each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Connections of the one before us linger for a minute. Windows needs no such leave, and
        # would let two listen on one port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def _make_server(handle: RequestHandler) -> uvicorn.Server:
    # Imported on use: who tests in process needs neither.
    import uvicorn  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415

    async def application(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        query = scope["query_string"]
        target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("ascii")
        response = handle(request.method, target, dict(request.headers), await request.body())
        answer = Response(response.body, response.status, dict(response.headers))
        await answer(scope, receive, send)

    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,  # its own asks a stdout that may be closed whether it is a terminal
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
