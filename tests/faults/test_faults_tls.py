"""Faults 41 and 42: certificates that are not trusted, and no TLS."""

from __future__ import annotations

import itertools
import ssl
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from _http_server import (
    KEY,
    HTTPServer,
    RawResponse,
    ReceivedRequest,
    TLSServer,
    client_of,
    respond_with,
)

from _sockets import Connection, RawServer
from mj_async import AsyncMJClient, Dialect, errors

CA = trustme.CA()
OTHER_CA = trustme.CA()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def trusting() -> ssl.SSLContext:
    """Return a context that trusts the tests' authority."""
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


def server_with(certificate: trustme.LeafCert, seen: list[ReceivedRequest]) -> TLSServer:
    """Build a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return TLSServer(respond_with(lambda _: RawResponse(), seen), context)


@pytest.mark.anyio
async def test_fault_41_a_trusted_certificate_works() -> None:
    """With a context that trusts the authority, calls work, on a kept connection."""
    seen: list[ReceivedRequest] = []
    with server_with(CA.issue_cert("localhost"), seen) as server:
        async with client_of(server, verify=trusting()) as client:
            for _ in range(3):
                assert "1" == (await client.fetch_task("1")).id

    assert (3, 1) == (len(seen), server.connections)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "certificate",
    [
        OTHER_CA.issue_cert("localhost"),
        CA.issue_cert("elsewhere.test"),
        CA.issue_cert("localhost", not_before=YESTERDAY - timedelta(days=9), not_after=YESTERDAY),
    ],
    ids=["unknown authority", "another host", "expired"],
)
async def test_fault_41_a_bad_certificate_is_refused_once(certificate: trustme.LeafCert) -> None:
    """A certificate that is not trusted is a TransportError that says so, without a retry."""
    seen: list[ReceivedRequest] = []
    with server_with(certificate, seen) as server:
        connections = Counting(server)
        async with client_of(server, verify=trusting()) as client:
            with pytest.raises(errors.TransportError, match="certificate is not trusted") as caught:
                await client.fetch_task("1")
            with pytest.raises(errors.TransportError, match="certificate is not trusted"):
                await client.wait_for_task("1", timeout=5)

    assert not caught.value.temporary
    assert ([], 0) == (seen, connections.accepted)


class Counting:
    """A counter of connections with a complete handshake."""

    def __init__(self, server: RawServer) -> None:
        self._server = server

    @property
    def accepted(self) -> int:
        """The count."""
        return self._server.connections


@pytest.mark.anyio
async def test_fault_41_the_default_trusts_no_own_authority() -> None:
    """By default a private authority is not trusted; verify=False trusts any certificate."""
    seen: list[ReceivedRequest] = []
    with server_with(CA.issue_cert("localhost"), seen) as server:
        async with client_of(server, verify=True) as client:
            with pytest.raises(errors.TransportError, match="certificate is not trusted"):
                await client.fetch_task("1")

        assert [] == seen
        async with client_of(server, verify=False) as client:
            await client.fetch_task("1")

    assert 1 == len(seen)


@pytest.mark.anyio
async def test_fault_41_a_bad_certificate_is_tried_once() -> None:
    """A certificate that is not trusted costs one TCP connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    OTHER_CA.issue_cert("localhost").configure_cert(context)
    accepted: list[int] = []

    async def handler(connection: Connection) -> None:
        accepted.append(connection.number)
        try:
            await connection.writer.start_tls(context)
        except ssl.SSLError:
            return

    with RawServer(handler) as server:
        base_url = server.base_url.replace("http://127.0.0.1", "https://localhost")
        async with client_of(server, base_url=base_url, verify=trusting()) as client:
            with pytest.raises(errors.TransportError, match="certificate is not trusted"):
                await client.fetch_task("1")

    assert [0] == accepted


@pytest.mark.anyio
async def test_fault_41_plain_text_behind_https_is_a_transport_error() -> None:
    """A server without TLS behind https is a TransportError that sends no key."""
    heads: list[bytes] = []

    async def handler(connection: Connection) -> None:
        heads.append(await connection.reader.read(1000))
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with RawServer(handler) as server:
        base_url = server.base_url.replace("http", "https")
        async with client_of(server, base_url=base_url) as client:
            with pytest.raises(errors.TransportError):
                await client.fetch_task("1")

    assert heads
    assert KEY.encode() not in b"".join(heads)


@pytest.mark.anyio
async def test_fault_41_a_stalled_handshake_is_cut_at_the_deadline() -> None:
    """A handshake that never ends is a RequestTimeoutError after request_timeout."""

    async def handler(connection: Connection) -> None:
        await connection.stall()

    with RawServer(handler) as server:
        base_url = server.base_url.replace("http", "https")
        async with client_of(server, base_url=base_url, request_timeout=0.2) as client:
            started = time.monotonic()
            with anyio.fail_after(3), pytest.raises(errors.RequestTimeoutError):
                await client.fetch_task("1")

    assert 0.6 <= time.monotonic() - started < 1.5  # three attempts


@pytest.mark.anyio
async def test_fault_41_tls_that_is_cut_is_tried_again() -> None:
    """A connection that ends in its handshake is retried."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("localhost").configure_cert(context)

    async def handler(connection: Connection) -> None:
        if connection.number == 0:
            return
        await connection.writer.start_tls(context)
        await connection.read_head()
        await connection.send(RawResponse().wire)

    with RawServer(handler) as server:
        base_url = server.base_url.replace("http://127.0.0.1", "https://localhost")
        async with client_of(server, base_url=base_url, verify=trusting()) as client:
            assert "1" == (await client.fetch_task("1")).id

    assert 2 == server.connections


def warnings_of(base_url: str, key: str | None = KEY, **options: Any) -> list[str]:
    """Return the UserWarnings of building a client."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AsyncMJClient(key, base_url=base_url, **options)
    assert {UserWarning} >= {warning.category for warning in caught}
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://gateway.example", "gateway.example"),
        ("http://gateway.example:8080/fast/mj", "gateway.example"),
        ("HTTP://GATEWAY.example", "gateway.example"),
        ("http://192.168.1.5", "192.168.1.5"),
        ("http://[2001:db8::1]:80", "2001:db8::1"),
        ("http://0.0.0.0", "0.0.0.0"),
        ("http://localhost.example", "localhost.example"),
        ("http://127.0.0.1.example", "127.0.0.1.example"),
    ],
)
def test_fault_42_plain_http_to_another_machine_warns_once(base_url: str, host: str) -> None:
    """One warning names the host and says that the key travels unencrypted."""
    (said,) = warnings_of(base_url)

    assert host in said
    assert "the key travels unencrypted" in said
    assert KEY not in said


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1", "http://127.0.0.1:8080/mj", "http://127.1.2.3", "http://localhost:3000",
        "http://LOCALHOST", "http://[::1]:8080", "https://gateway.example", "https://192.168.1.5",
    ],
)  # fmt: skip
def test_fault_42_loopback_and_https_do_not_warn(base_url: str) -> None:
    """Loopback and https cause no warning."""
    assert [] == warnings_of(base_url)


def test_fault_42_without_a_key_there_is_nothing_to_warn_of() -> None:
    """Without a key, plain http causes no warning."""
    assert [] == warnings_of("http://gateway.example", None, dialect=Dialect(auth="none"))


@pytest.mark.parametrize("userinfo", ["me@", "me:hidden@", ":hidden@", "@", "me%40x:hidden@"])
def test_fault_42_a_user_in_base_url_is_refused(userinfo: str) -> None:
    """A user or password in base_url is a ConfigurationError that does not repeat it."""
    hosts = ["gateway.example", "127.0.0.1:8080", "[::1]"]
    for scheme, host in itertools.product(["http", "https"], hosts):
        with pytest.raises(errors.ConfigurationError, match="user or password") as caught:
            AsyncMJClient(KEY, base_url=f"{scheme}://{userinfo}{host}")

        assert "hidden" not in f"{caught.value}{vars(caught.value)}"


@pytest.mark.anyio
async def test_fault_42_a_gateway_on_loopback_gets_the_key_without_a_warning() -> None:
    """On loopback, plain http sends the key without a warning."""
    with HTTPServer(RawResponse()) as server:
        async with client_of(server) as client:
            await client.fetch_task("1")

    assert f"Bearer {KEY}" == server.seen[0].headers["authorization"]


def test_certificates_are_read_only_where_there_is_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only a client for https reads the certificates, and raises if they cannot be read."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    AsyncMJClient(KEY, base_url="http://127.0.0.1:3000")
    with pytest.raises(errors.ConfigurationError, match="verify cannot be used"):
        AsyncMJClient(KEY, base_url="https://gateway.test")
