"""A connection pool as a transport of httpx, which holds one connection in each stock transport.

Stock httpx 0.28 shares one httpcore pool between all requests. That pool loses a slot when a
request is cancelled at the wrong moment (encode/httpcore#1093), until it hangs for ever, and its
cost per request grows with the number of requests (encode/httpcore#1035). Here each transport has
one connection, so that neither can happen: what goes wrong on a connection ends with it.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import anyio
import attrs
import httpx

from ..errors import ConfigurationError

if TYPE_CHECKING:
    import httpcore


# Longer than the longest poll interval, shorter than the 75 s for which proxies keep a connection.
IDLE_SECONDS = 60.0
# Closing may write; a peer that reads nothing must not hold us.
_CLOSING_SECONDS = 1.0

# A kept connection that the server has just closed shows itself by one of these.
_CLOSED_BY_SERVER = (
    httpx.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
)


class SingleConnectionTransport(httpx.AsyncHTTPTransport):
    """A stock transport with one connection in place of its pool.

    A pool of one takes a quarter of a request's time, to find out which connection is free. httpx
    has no option for that, so this puts another one into its place; only 0.28 is allowed, as long
    as it does. What instruments stock transports, as OpenTelemetry does, sees this one as well.
    """

    def __init__(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self.connection = connection
        self._pool = connection  # type: ignore[assignment]  # it does what is asked of a pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, unless the connection has an end or an unwanted answer to read."""
        if self.connection.has_expired():
            raise httpx.ReadError("the connection was closed")
        return await super().handle_async_request(request)


class ConnectionPool(httpx.AsyncBaseTransport):
    """As many connections as there are requests at once; the slots of the session bound them.

    The transport that was used last is taken first, so that the others grow idle, and are closed by
    a later request. `count` is the number of connections, idle or in use.
    """

    def __init__(self, make_transport: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make_transport = make_transport
        self._idle: deque[tuple[float, httpx.AsyncBaseTransport]] = deque()
        self._closed = False
        self.count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on an idle transport, else on a new one.

        The server may have closed a kept connection in the meantime: then the request is sent
        once more on a new transport, for the other idle ones may be dead as well.
        """
        request.stream = _Body(await request.aread())
        while self._idle and self._idle[0][0] + IDLE_SECONDS <= anyio.current_time():
            await self._close(self._idle.popleft()[1])
        if self._idle:
            _, transport = self._idle.pop()
            try:
                return await self._send(transport, request)
            except _CLOSED_BY_SERVER:
                pass
        connecting = _Connecting()
        request.extensions = {**request.extensions, "trace": connecting}
        transport = self._make_transport()
        self.count += 1
        try:
            return await self._send(transport, request)
        except BaseException:
            await connecting.close()
            raise

    async def _send(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await self._close(transport)
            raise
        if response.is_redirect:
            # It is not followed, but httpx builds its request, and fails on odd addresses.
            response.headers.pop("location", None)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101
        response.stream = _PooledStream(response.stream, transport, self)
        return response

    async def put_back(self, transport: httpx.AsyncBaseTransport, *, usable: bool) -> None:
        """Keep a transport for the next request, if it can be used and the pool is open."""
        if isinstance(transport, SingleConnectionTransport):
            usable = usable and not transport.connection.is_closed()  # by the last answer
        if usable and not self._closed:
            self._idle.append((anyio.current_time(), transport))
        else:
            await self._close(transport)

    async def aclose(self) -> None:
        """Close the idle transports; the others are closed when they are put back."""
        self._closed = True
        try:
            while self._idle:
                await self._close(self._idle.popleft()[1])
        finally:  # a native cancellation passes shields, and httpx closes us only once
            if self._idle:
                await self.aclose()

    async def _close(self, transport: httpx.AsyncBaseTransport) -> None:
        self.count -= 1
        await _close(transport)


@attrs.define(eq=False)
class _Connecting:
    """Holds what a new transport has connected, through httpx's `trace` extension.

    Under trio a TLS handshake that is cut off leaves its socket to the garbage collection:
    httpcore closes it on errors, and not on cancellation.
    """

    _stream: Any = None

    async def __call__(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._stream = details["return_value"]

    async def close(self) -> None:
        if self._stream is not None:
            await _close(self._stream)


@attrs.define(eq=False)
class _Body(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """A request's body without a generator: one that is cut off in the middle makes trio warn."""

    _content: bytes
    _left: list[bytes] = attrs.field(factory=list, init=False)

    def __aiter__(self) -> Self:
        self._left = [self._content] if self._content else []
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@attrs.define(eq=False)
class _PooledStream(httpx.AsyncByteStream):
    """A body that puts its transport back when it has been read to its end."""

    _stream: httpx.AsyncByteStream
    _transport: httpx.AsyncBaseTransport
    _pool: ConnectionPool
    _ended: bool = attrs.field(default=False, init=False)
    _left: bool = attrs.field(default=False, init=False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk
        self._ended = True

    async def aclose(self) -> None:
        if self._left:
            return
        self._left = True
        try:
            # An answer that is there is not lost to a deadline that passes just now.
            with anyio.move_on_after(_CLOSING_SECONDS, shield=self._ended):
                await self._stream.aclose()
        except BaseException:
            await self._pool.put_back(self._transport, usable=False)
            raise
        await self._pool.put_back(self._transport, usable=self._ended)


async def _close(transport: Any) -> None:
    """Close a transport or a connection, also while being cancelled; so no slot is lost."""
    with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
        await transport.aclose()


def make_pool(
    base_url: str,
    proxy: httpx.Proxy | None,
    verify: bool | ssl.SSLContext,  # noqa: FBT001
) -> ConnectionPool:
    """Return a pool of connections to one gateway, over one TLS context.

    Raises:
        ConfigurationError: httpx cannot work with the proxy, or with `verify`.
    """
    if proxy is None and base_url.startswith("http:"):
        # No TLS: spare the 20 ms for reading certificates; this context trusts none.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = verify if isinstance(verify, ssl.SSLContext) else httpx.create_ssl_context(verify)
        make_transport = _transport_factory(httpx.URL(base_url), proxy, context)
        make_transport()  # what cannot work is found out now
        return ConnectionPool(make_transport)
    except (ImportError, ValueError, OSError, TypeError) as error:
        problem = f"{type(error).__name__} of httpx"
    # Outside of the except block: the error may show a proxy's password.
    raise ConfigurationError(f"proxy or verify cannot be used ({problem})")


def _transport_factory(
    url: httpx.URL, proxy: httpx.Proxy | None, context: ssl.SSLContext
) -> Callable[[], httpx.AsyncBaseTransport]:
    if proxy is not None:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=IDLE_SECONDS)
        return lambda: httpx.AsyncHTTPTransport(
            verify=context, proxy=proxy, limits=limits, trust_env=False
        )
    import httpcore  # noqa: PLC0415  # as httpx does: it takes as long as all the rest

    place = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")
    return lambda: SingleConnectionTransport(
        httpcore.AsyncHTTPConnection(place.origin, ssl_context=context)
    )
