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
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from ..errors import ConfigurationError

if TYPE_CHECKING:
    import httpcore


# Longer than the longest poll interval, shorter than the 75 s for which proxies keep a connection.
IDLE_SECONDS = 60.0
# Closing may write; a peer that reads nothing must not hold us.
_CLOSING_SECONDS = 1.0

# A kept connection that the server has just closed shows itself by one of these.
_CLOSED_UNDER_US = (
    httpx.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
)


class SingleConnectionTransport(httpx.AsyncHTTPTransport):
    """A stock transport with a connection in place of its pool.

    A pool of one takes a quarter of a request's time, to find out which connection is free. httpx
    has no option for that, so this puts another one into its place; only 0.28 is allowed, as long
    as it does. What instruments stock transports, as OpenTelemetry does, sees this one as well.

    Args:
        connection: Not yet open.
    """

    def __init__(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._connection = connection
        self._pool = connection  # type: ignore[assignment]  # it does what is asked of a pool

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed it with its last answer."""
        return self._connection.is_closed()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, unless there is something to read: an end, or what nobody has asked for."""
        if self._connection.has_expired():
            raise httpx.ReadError("the connection was closed")
        return await super().handle_async_request(request)


class ConnectionPool(httpx.AsyncBaseTransport):
    """As many connections as there are requests at once; whoever sends bounds that number.

    The transport that was used last is taken first, so that the others grow idle, and are closed by
    a later request.

    Args:
        make_transport: Makes a transport that holds one connection.

    Attributes:
        count: How many there are, idle or in use.
    """

    def __init__(self, make_transport: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make_transport = make_transport
        self._idle: deque[tuple[float, httpx.AsyncBaseTransport]] = deque()
        self._closed = False
        self.count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on an idle transport, else on a new one.

        A kept connection may have been closed by the server in the meantime: then the request
        is sent once more on a new transport, for the other idle ones may be dead as well.
        """
        request.stream = _Body(await request.aread())
        if self._idle:
            await self._close_idle(older_than=IDLE_SECONDS)
        if self._idle:
            _, transport = self._idle.pop()
            try:
                return await self._send(transport, request)
            except _CLOSED_UNDER_US:
                pass
        connecting = _Connecting()
        request.extensions = {**request.extensions, "trace": connecting}
        try:
            return await self._send(self._open(), request)
        except BaseException:
            await connecting.close()
            raise

    def _open(self) -> httpx.AsyncBaseTransport:
        transport = self._make_transport()
        self.count += 1
        return transport

    async def _close(self, transport: httpx.AsyncBaseTransport) -> None:
        self.count -= 1
        await _close(transport)

    async def _send(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await self._close(transport)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101
        return httpx.Response(
            response.status_code,
            headers=_without_location(response),
            stream=_PooledStream(response.stream, transport, self),
            extensions=response.extensions,
        )

    async def put_back(self, transport: httpx.AsyncBaseTransport, *, usable: bool) -> None:
        """Keep a transport for the next request, if it can be used and we are not closed."""
        is_over = isinstance(transport, SingleConnectionTransport) and transport.is_closed
        if usable and not is_over and not self._closed:
            self._idle.append((anyio.current_time(), transport))
        else:
            await self._close(transport)

    async def _close_idle(self, older_than: float) -> None:
        while self._idle and self._idle[0][0] + older_than <= anyio.current_time():
            await self._close(self._idle.popleft()[1])

    async def aclose(self) -> None:
        """Close the idle pool; the others are closed when they are given back."""
        self._closed = True
        try:
            while self._idle:
                await self._close(self._idle.popleft()[1])
        finally:  # a native cancellation passes shields, and httpx closes us only once
            if self._idle:
                await self.aclose()


def _without_location(response: httpx.Response) -> httpx.Headers:
    """Redirects are not followed, but httpx builds their request, and fails on odd addresses."""
    if response.is_redirect:
        response.headers.pop("location", None)
    return response.headers


class _Connecting:
    """Holds what a new transport has connected, through httpx's `trace` extension.

    Under trio a TLS handshake that is cut off leaves its socket to the garbage collection:
    httpcore closes it on errors, and not on cancellation.
    """

    def __init__(self) -> None:
        self._stream: Any = None

    async def __call__(self, event: str, details: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._stream = details["return_value"]

    async def close(self) -> None:
        if self._stream is not None:
            await _close(self._stream)


class _Body(httpx.AsyncByteStream):
    """A request's body without a generator: one that is cut off in the middle makes trio warn."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Once(self._content)


class _Once(AsyncIterator[bytes]):
    def __init__(self, content: bytes) -> None:
        self._left = [content] if content else []

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _PooledStream(httpx.AsyncByteStream):
    """A body that gives its transport back when it has been read to its end."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        transport: httpx.AsyncBaseTransport,
        pool: ConnectionPool,
    ) -> None:
        self._stream = stream
        self._transport = transport
        self._pool = pool
        self._ended = False
        self._left = False

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


class _NoCookies(httpx.Cookies):
    """A gateway has no business with cookies, and to look for them costs 20 us a request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none."""


class _HTTPClient(httpx.AsyncClient):
    """Stock, but for cookies."""

    cookies = _NoCookies()  # type: ignore[override]  # in place of a property

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(transport=pool, trust_env=False)
        self.pool = pool


def count_connections(http_client: httpx.AsyncClient) -> int:
    """Tell how many pool a client has; one that we have not made has none."""
    return http_client.pool.count if isinstance(http_client, _HTTPClient) else 0


def make_http_client(
    base_url: str,
    proxy: httpx.Proxy | None,
    verify: bool | ssl.SSLContext,  # noqa: FBT001
) -> httpx.AsyncClient:
    """Make the client's own `httpx.AsyncClient`.

    Raises:
        ConfigurationError: httpx cannot work with the proxy, or with `verify`.
    """
    if proxy is None and base_url.startswith("http:"):
        # No TLS: spare the 20 ms for reading certificates; this context trusts none.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return _HTTPClient(_make_pool(base_url, proxy, verify))
    except (ImportError, ValueError, OSError, TypeError) as error:
        problem = f"{type(error).__name__} of httpx"
    # Outside the except block: the error may show a proxy's password.
    raise ConfigurationError(f"proxy or verify cannot be used ({problem})")


def _make_pool(
    base_url: str,
    proxy: httpx.Proxy | None,
    verify: bool | ssl.SSLContext,  # noqa: FBT001
) -> ConnectionPool:
    """Make pool over one TLS context, which takes 20 ms to make.

    Args:
        base_url: Where all requests go.
        proxy: What every transport goes through.
        verify: False to trust any certificate, or a context.

    Returns:
        The pool.

    Raises:
        OSError: A certificate file of the environment cannot be read.
        ImportError: The proxy needs a package that is not installed, as SOCKS does.
        ValueError: The proxy's scheme is not known.
    """
    import httpcore  # noqa: PLC0415  # as httpx does: it takes as long as all the rest

    context = verify if isinstance(verify, ssl.SSLContext) else httpx.create_ssl_context(verify)
    limits = httpx.Limits(max_connections=1, keepalive_expiry=IDLE_SECONDS)
    url = httpx.URL(base_url)
    where = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")

    def make_transport() -> httpx.AsyncHTTPTransport:
        if proxy is None:
            return SingleConnectionTransport(
                httpcore.AsyncHTTPConnection(where.origin, ssl_context=context)
            )
        return httpx.AsyncHTTPTransport(verify=context, proxy=proxy, limits=limits, trust_env=False)

    make_transport()  # what cannot work is found out now
    return ConnectionPool(make_transport)
