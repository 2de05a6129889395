"""The two ways to a fake gateway: in process by a transport of httpx, and a server on real TCP."""

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

# (method, target, headers, body) -> response
RequestHandler: TypeAlias = Callable[[str, str, Mapping[str, str], bytes], FakeResponse]


class Transport(httpx.AsyncBaseTransport):
    """Leads the requests of an httpx client to the gateway, without a network."""

    def __init__(self, handle: RequestHandler) -> None:
        self._handle = handle

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await checkpoint()  # as with a socket, other tasks run meanwhile
        response = self._handle(
            request.method,
            request.url.raw_path.decode("ascii"),
            {name.lower(): value for name, value in request.headers.items()},
            await request.aread(),
        )
        # A stream, so that the client reads it as it reads from a socket.
        stream = httpx.ByteStream(response.body)
        return httpx.Response(response.status, headers=dict(response.headers), stream=stream)


class Server:
    """Serves on loopback, in another thread: `async with Server(…) as base_url`."""

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
        # The socket already listens: connections wait there until uvicorn is ready.
        self._thread.start()
        return base_url

    async def __aexit__(self, *_exception: object) -> None:
        self._on_address(None)
        self._server.should_exit = True
        with CancelScope(shield=True):
            await to_thread.run_sync(self._thread.join)
        self._socket.close()


def _listen(port: int) -> socket.socket:
    """Return a listening socket on loopback.

    Raises:
        OSError: The port is in use, or not permitted.
    """
    # asyncio sets TCP_NODELAY only if the socket was created with its protocol; without it, each
    # response takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Closed connections keep the port for a minute. On Windows they do not, and the option
        # would allow two servers on one port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, os.name == "posix")
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def _make_server(handle: RequestHandler) -> uvicorn.Server:
    # Imported here, because tests in process need neither.
    import uvicorn  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415

    async def application(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        query = scope["query_string"]
        target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("ascii")
        response = handle(request.method, target, dict(request.headers), await request.body())
        send_response = Response(response.body, response.status, dict(response.headers))
        await send_response(scope, receive, send)

    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,  # its default calls isatty() of a stdout that may be closed
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
