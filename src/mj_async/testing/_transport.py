"""A fake gateway in the place of the network: a transport of httpx that ends in its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from ._server import Answering


class Transport(httpx.AsyncBaseTransport):
    """Hands each request to whoever answers.

    Args:
        answer: Answers a method, target, headers and body.
    """

    def __init__(self, answer: Answering) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await checkpoint()  # a socket lets others run, too
        answer = self._answer(
            request.method,
            request.url.raw_path.decode("ascii"),
            {name.lower(): value for name, value in request.headers.items()},
            await request.aread(),
        )
        # As a stream, so that the client reads it the way it reads a socket.
        stream = httpx.ByteStream(answer.body)
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=stream)
