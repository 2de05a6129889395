"""Fault 40: a proxy that is down, refuses, stalls or works, and odd values in the environment."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import traceback
from typing import Any

import anyio
import pytest
import trustme
from _connection_faults import stall
from _http_server import (
    BEARER,
    KEY,
    ONCE,
    TASK,
    HTTPServer,
    RawResponse,
    TLSServer,
    client_of,
    on_asyncio,
    respond_with,
)

from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import AsyncMJClient, RetryPolicy, errors

pytestmark = pytest.mark.anyio

PASSWORD = "hidden-0123456789"
CREDENTIALS = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
FAR = "http://127.0.0.2:9"  # loopback without a listener: only a proxy gets there


class Proxy(RawServer):
    """A proxy that records the heads of its requests, and then runs its handler."""

    def __init__(self, handler: ConnectionHandler) -> None:
        self.heads: list[str] = []
        super().__init__(self._recording(handler))

    def _recording(self, handler: ConnectionHandler) -> ConnectionHandler:
        async def run(connection: Connection) -> None:
            self.heads.append((await connection.read_head()).decode("latin-1"))
            await handler(connection)

        return run

    @property
    def address(self) -> str:
        """The address of the proxy, with a user and password."""
        return f"http://me:{PASSWORD}@127.0.0.1:{self._port}"


def responding(head: bytes, body: bytes = b"") -> ConnectionHandler:
    """Build a handler that sends this response to the first request."""

    async def handler(connection: Connection) -> None:
        await connection.answer(body, b"HTTP/1.1 " + head + b"\r\n")

    return handler


def tunnel_to(port: int) -> ConnectionHandler:
    """Build a handler that opens a tunnel to this port, whatever the request names."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def handler(connection: Connection) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(pump(reader, connection.writer), pump(connection.reader, writer))
        finally:
            writer.close()

    return handler


def client_through(address: str, **options: Any) -> AsyncMJClient:
    """Build a client whose gateway is reached through a proxy only."""
    options = {"base_url": FAR, "retry": ONCE, "dialect": BEARER, "proxy": address, **options}
    return AsyncMJClient(KEY, **options)


async def error_of(client: AsyncMJClient) -> errors.MJError:
    """Return the error of a call, and check that neither text nor traceback shows the password."""
    async with client:
        with pytest.raises(errors.MJError) as caught:
            await client.fetch_task("1")

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [frame for frame in shown.stack if "mj_async" in frame.filename]
    said = f"{caught.value}{vars(caught.value)}{''.join(str(frame.locals) for frame in own)}"
    assert own
    assert PASSWORD not in said
    assert CREDENTIALS not in said
    return caught.value


async def test_fault_40_a_proxy_that_works_is_used(caplog: pytest.LogCaptureFixture) -> None:
    """A proxy gets the absolute address and its own password, which no log shows."""
    caplog.set_level(logging.DEBUG)
    with Proxy(responding(b"200 OK", TASK)) as proxy:
        async with client_through(proxy.address) as client:
            task = await client.fetch_task("1")

    head = proxy.heads[0].lower()
    assert "1" == task.id
    assert proxy.heads[0].startswith(f"GET {FAR}/mj/task/1/fetch HTTP/1.1\r\n")
    assert f"proxy-authorization: basic {CREDENTIALS.lower()}\r\n" in head
    assert (False, False) == (PASSWORD in caplog.text, CREDENTIALS in caplog.text)


@on_asyncio
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_fault_40_the_environments_proxy_is_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy is used in either case, with or without http:// before it."""
    with Proxy(responding(b"200 OK", TASK)) as proxy:
        for address in (proxy.address, proxy.address.removeprefix("http://")):
            monkeypatch.setenv(name, address)
            async with AsyncMJClient(KEY, base_url=FAR, retry=ONCE) as client:
                await client.fetch_task("1")

    assert 2 == len(proxy.heads)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("by_environment", [False, True], ids=["argument", "environment"])
async def test_fault_40_a_proxy_that_is_down_is_a_transport_error(
    scheme: str, *, by_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that does not run is a TransportError that does not show the password."""
    address: str | None = f"http://me:{PASSWORD}@127.0.0.1:1"
    base_url = FAR.replace("http", scheme)
    if by_environment:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", str(address))
        address = None

    error = await error_of(AsyncMJClient(KEY, base_url=base_url, proxy=address, retry=ONCE))

    assert isinstance(error, errors.TransportError)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_fault_40_a_407_is_a_transport_error(scheme: str) -> None:
    """A 407 is a TransportError, with and without CONNECT."""
    with Proxy(responding(b"407 Proxy Authentication Required", b"<html>")) as proxy:
        base_url = FAR.replace("http", scheme)
        error = await error_of(client_through(proxy.address, base_url=base_url))

    assert isinstance(error, errors.TransportError)
    assert "407" in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_fault_40_a_407_is_not_tried_again(scheme: str) -> None:
    """A 407 is not retried."""
    with Proxy(responding(b"407 Proxy Authentication Required")) as proxy:
        base_url = FAR.replace("http", scheme)
        retry = RetryPolicy(first_delay=0.0)
        await error_of(client_through(proxy.address, base_url=base_url, retry=retry))

    assert 1 == len(proxy.heads)


@pytest.mark.parametrize("head", [b"502 Bad Gateway", b"403 Forbidden", b"200"])
async def test_fault_40_a_refused_tunnel_is_a_transport_error(head: bytes) -> None:
    """A proxy that opens no tunnel is a TransportError, and does not get the key."""
    with Proxy(responding(head, b"no")) as proxy:
        error = await error_of(client_through(proxy.address, base_url="https://127.0.0.2:9"))

    assert isinstance(error, errors.TransportError)
    assert [] == [line for line in proxy.heads if KEY in line]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_fault_40_a_proxy_that_stalls_is_cut_at_the_deadline(scheme: str) -> None:
    """A proxy that never answers is a RequestTimeoutError after request_timeout."""
    with Proxy(stall) as proxy:
        base_url = FAR.replace("http", scheme)
        client = client_through(proxy.address, base_url=base_url, request_timeout=0.2)
        with anyio.fail_after(2):
            error = await error_of(client)

    assert isinstance(error, errors.RequestTimeoutError)
    assert "request_timeout=0.2 s" in str(error)


async def test_fault_40_a_tunnel_hides_the_key_from_the_proxy() -> None:
    """Through CONNECT the proxy sees the address only, and the tunnel is kept."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    ca.configure_trust(trusting)

    with TLSServer(respond_with(lambda _: RawResponse(), []), context) as server:
        with Proxy(tunnel_to(server._port)) as proxy:
            client = client_through(proxy.address, base_url=server.base_url, verify=trusting)
            async with client:
                for _ in range(3):
                    await client.fetch_task("1")

    assert 1 == len(proxy.heads)
    assert proxy.heads[0].startswith(f"CONNECT localhost:{server._port} HTTP/1.1\r\n")
    assert KEY not in proxy.heads[0]


@on_asyncio
@pytest.mark.parametrize(
    ("value", "bypassed"),
    [
        ("fe80::/10", False), ("[::1]", False), ("::1", False), ("10.0.0.0/8", False),
        (",,", False), (" ", False), ("http://x", False), ("*.example", False), ("é", False),
        ("[", False), ("%zz", False), ("a b", False), ("*", True), ("127.0.0.1", True),
        ("x, 127.0.0.1", True), ("127.0.0.1:{port}", True),
        ("127.0.0.1:1", False), ("7.0.0.1", False),
    ],
)  # fmt: skip
async def test_fault_40_odd_values_of_no_proxy_break_nothing(
    value: str, *, bypassed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY understands a host, host:port and *; other values are ignored."""
    with HTTPServer(RawResponse()) as server, Proxy(responding(b"200 OK", TASK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        monkeypatch.setenv("NO_PROXY", value.format(port=server._port))
        async with client_of(server) as client:
            await client.fetch_task("1")

    assert (bypassed, not bypassed) == (len(server.seen) == 1, len(proxy.heads) == 1)


async def test_fault_40_the_environment_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With trust_env=False no proxy of the environment is used."""
    for value in ("http://127.0.0.1:1", "socks5://x", "foo://", "http://[", "\x01"):
        monkeypatch.setenv("HTTP_PROXY", value)
        with HTTPServer(RawResponse()) as server:
            async with client_of(server, trust_env=False) as client:
                assert "1" == (await client.fetch_task("1")).id


@pytest.mark.parametrize(
    "address",
    [
        f"socks5://me:{PASSWORD}@127.0.0.1:1",  # its package is not installed
        f"socks5h://me:{PASSWORD}@127.0.0.1:1",
        f"foo://me:{PASSWORD}@127.0.0.1:1",
        f"http://me:{PASSWORD}@[",
        f"http://me:{PASSWORD}@127.0.0.1:port",
        f"http://me:{PASSWORD}@127.0.0.1:99999",
        f"http://me:{PASSWORD}@",
        f"http://me:{PASSWORD}@a\x01b",
    ],
)
def test_fault_40_a_bad_proxy_is_refused_and_not_shown(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malformed proxy address is a ConfigurationError that does not show it."""
    for proxy in (address, None):  # as an argument, and from the environment
        with pytest.raises(errors.ConfigurationError, match=r"(?i)proxy") as caught:
            AsyncMJClient(KEY, base_url="https://gateway.test", proxy=proxy)

        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        assert PASSWORD not in f"{caught.value}{vars(caught.value)}"
        monkeypatch.setenv("HTTPS_PROXY", address)
