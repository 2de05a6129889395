"""Sending over real sockets: deadlines, retries, caps; and a caller's own client."""

from __future__ import annotations

import gzip
import json
import logging
from typing import Any

import anyio
import httpx
import pytest
import respx

from _fakes import Wire, client_on
from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
TASK = json.dumps({"id": "1", "status": "SUCCESS", "progress": "100%"}).encode()
SOON = RetryPolicy(first_delay=0.0)
ONCE = RetryPolicy(attempts=1)


def client_of(server: RawServer, **options: Any) -> AsyncMJClient:
    """Make a client that asks the server, with retries at once."""
    dialect = Dialect(auth="bearer")
    options = {"base_url": server.base_url, "retry": SOON, "dialect": dialect, **options}
    return AsyncMJClient(KEY, **options)


def first_fails(fault: ConnectionHandler) -> ConnectionHandler:
    """Make a script whose first connection fails, and whose others answer."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        if connection.number == 0:
            await fault(connection)
        else:
            await connection.answer(TASK)

    return script


async def reset(connection: Connection) -> None:
    """Close with RST before the answer."""
    connection.reset()


async def server_error(connection: Connection) -> None:
    """Answer as a proxy before a dead gateway does."""
    await connection.answer(b"<html>502</html>", b"HTTP/1.1 502 Bad Gateway\r\n")


async def test_a_fault_is_tried_again() -> None:
    """What a proxy says of a dead gateway costs one retry; faults of the wire are in faults."""
    with RawServer(first_fails(server_error)) as server:
        async with client_of(server) as client:
            assert "1" == (await client.fetch_task("1")).id

    assert 2 == server.connections


async def test_gzip_is_asked_for_and_read() -> None:
    """A whole gzip body is unpacked."""
    heads = []

    async def script(connection: Connection) -> None:
        heads.append(await connection.read_head())
        await connection.answer(
            gzip.compress(TASK), b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        )

    with RawServer(script) as server:
        async with client_of(server) as client:
            assert "1" == (await client.fetch_task("1")).id

    assert b"accept-encoding: gzip\r\n" in heads[0].lower()


async def stall(connection: Connection) -> None:
    """Accept, and say nothing."""
    await connection.stall()


async def test_the_attempts_deadline_names_its_option() -> None:
    """The error of a slow answer says which option it was."""
    with RawServer(stall) as server:
        async with client_of(server, request_timeout=0.05, seed_timeout=0.1, retry=ONCE) as client:
            with pytest.raises(errors.RequestTimeoutError, match=r"request_timeout=0.05 s"):
                await client.fetch_task("1")
            with pytest.raises(TimeoutError, match=r"seed_timeout=0.1 s"):
                await client.image_seed("1")


async def test_a_calls_timeout_ends_it_with_the_last_real_error() -> None:
    """The time over all tries is the call's; what ended it is the last thing that happened."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        if connection.number == 0:
            connection.reset()
        await connection.stall()

    with RawServer(script) as server:
        async with client_of(server) as client:
            with pytest.raises(errors.TransportError) as caught:
                await client.fetch_task("1", timeout=0.3)

    assert not isinstance(caught.value, errors.RequestTimeoutError)
    assert 2 == server.connections


async def test_a_sleep_that_would_pass_the_deadline_is_not_begun() -> None:
    """A Retry-After beyond the call's timeout raises at once."""
    answer = httpx.Response(503, headers={"retry-after": "60"}, text="busy")
    wire = Wire(lambda _: answer)
    async with client_on(wire) as client:
        with anyio.fail_after(2), pytest.raises(errors.ServerError) as caught:
            await client.fetch_task("1", timeout=30.0)

    assert (60.0, 1) == (caught.value.retry_after, len(wire.requests))


async def test_a_redirect_is_not_followed() -> None:
    """Redirects are errors, so that the key stays here; also with a client that follows them."""
    moved = httpx.Response(302, headers={"location": "https://elsewhere.test/"})
    wire = Wire(lambda _: moved)
    http_client = httpx.AsyncClient(transport=wire, follow_redirects=True)
    async with AsyncMJClient(
        KEY, base_url="https://gateway.test", http_client=http_client
    ) as client:
        with pytest.raises(errors.UnexpectedAnswerError, match="redirects are not followed"):
            await client.fetch_task("1")

    assert ["gateway.test"] == [request.url.host for request in wire.requests]


async def test_a_callers_client_is_used_and_not_closed() -> None:
    """Its headers and hooks apply, its auth does not, and it stays open."""
    seen = []

    async def hook(request: httpx.Request) -> None:
        seen.append(request.headers["x-tenant"])

    wire = Wire(lambda _: httpx.Response(200, content=TASK))
    http_client = httpx.AsyncClient(
        transport=wire,
        headers={"x-tenant": "7"},
        auth=("me", "hidden"),
        event_hooks={"request": [hook]},
    )
    async with AsyncMJClient(
        KEY, base_url="https://gateway.test", http_client=http_client
    ) as client:
        await client.fetch_task("1")

    assert ["7"] == seen
    assert f"Bearer {KEY}" == wire.requests[0].headers["authorization"]
    assert not http_client.is_closed
    await http_client.aclose()


async def test_a_body_that_a_hook_has_read_is_taken_as_it_is() -> None:
    """A hook may read the answer first, packed or not."""

    async def read(response: httpx.Response) -> None:
        await response.aread()

    packed = httpx.Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(TASK))

    class Packed(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            stream = httpx.ByteStream(gzip.compress(TASK))
            return httpx.Response(200, headers=packed.headers, stream=stream)

    http_client = httpx.AsyncClient(transport=Packed(), event_hooks={"response": [read]})
    async with http_client, AsyncMJClient(
        KEY, base_url="https://gateway.test", http_client=http_client
    ) as client:  # fmt: skip
        assert "1" == (await client.fetch_task("1")).id


@respx.mock
async def test_it_works_under_respx() -> None:
    """Respx answers with a body that has been read; packed ones, too."""
    headers = {"content-encoding": "gzip"}
    route = respx.get("https://gateway.test/mj/task/1/fetch")
    route.side_effect = [
        httpx.Response(200, content=TASK),
        httpx.Response(200, headers=headers, content=gzip.compress(TASK)),
        httpx.ConnectError("refused"),
        httpx.Response(200, content=TASK),
    ]
    async with AsyncMJClient(KEY, base_url="https://gateway.test", retry=SOON) as client:
        for _ in range(3):
            assert "1" == (await client.fetch_task("1")).id


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadError("cut"),
        httpx.InvalidURL("odd"),
        httpx.StreamClosed(),
        OSError(101, "Network is unreachable"),
        UnicodeError("odd host"),
        anyio.ClosedResourceError(),
        anyio.BrokenResourceError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failure_below_httpx_is_a_transport_error(failure: Exception) -> None:
    """What a transport raises for a request that failed is named, and is tried again."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise failure

    wire = Wire(fail)
    async with client_on(wire, retry=RetryPolicy(attempts=2, first_delay=0)) as client:
        with pytest.raises(errors.TransportError, match=type(failure).__name__):
            await client.fetch_task("1")

    assert 2 == len(wire.requests)


async def test_a_proxys_own_refusal_is_named() -> None:
    """A 407 is the proxy's, not the gateway's, and is not tried again."""
    wire = Wire(lambda _: httpx.Response(407))
    async with client_on(wire) as client:
        with pytest.raises(errors.TransportError, match="the proxy asks for a user and password"):
            await client.fetch_task("1")

    assert 1 == len(wire.requests)


async def test_slots_bound_the_requests_under_way() -> None:
    """Never more than max_connections at once, and seeds hold at most half of them."""
    running: dict[str, int] = {"fetch": 0, "image-seed": 0}
    most = dict(running)

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            kind = request.url.path.rpartition("/")[2]
            running[kind] += 1
            most[kind] = max(most[kind], running[kind])
            assert sum(running.values()) <= 4
            await anyio.sleep(0.01)
            running[kind] -= 1
            body: dict[str, Any] = json.loads(TASK)
            return httpx.Response(200, json={"code": 1, "result": "5"} if kind != "fetch" else body)

    client = AsyncMJClient(
        KEY,
        base_url="https://gateway.test",
        http_client=httpx.AsyncClient(transport=Slow()),
        max_connections=4,
    )
    async with client, anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(client.image_seed, "1")
            group.start_soon(client.fetch_task, "1")

    assert {"fetch": 4, "image-seed": 2} == most


async def test_the_queue_counts_against_the_call_and_not_the_attempt() -> None:
    """A call that waits for its turn is not out of time for it; its own timeout goes on."""

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await anyio.sleep(0.05)
            return httpx.Response(200, content=TASK)

    client = AsyncMJClient(
        KEY,
        base_url="https://gateway.test",
        http_client=httpx.AsyncClient(transport=Slow()),
        max_connections=1,
        request_timeout=0.2,
    )
    async with client, anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(client.fetch_task, "1")


async def test_a_closed_client_says_so() -> None:
    """After aclose() every call is refused; closing twice is nothing."""
    wire = Wire(lambda _: httpx.Response(200, content=TASK))
    client = client_on(wire)
    await client.aclose()
    await client.aclose()

    with pytest.raises(errors.ClientStateError, match="closed"):
        await client.fetch_task("1")
    with pytest.raises(errors.ClientStateError, match="closed"):
        await client.image_seed("1")
    with pytest.raises(errors.ClientStateError, match="closed"):
        await client.wait_for_task("1")
    with pytest.raises(errors.ClientStateError, match="closed"):
        async with client:
            pass
    assert [] == wire.requests


async def test_our_own_client_names_itself() -> None:
    """Requests carry the library's name, or that of the caller's client."""
    heads = []

    async def script(connection: Connection) -> None:
        heads.append(await connection.read_head())
        await connection.answer(TASK)

    wire = Wire(lambda _: httpx.Response(200, content=TASK))
    http_client = httpx.AsyncClient(transport=wire, headers={"user-agent": "bot/1"})
    with RawServer(script) as server:
        async with client_of(server) as client, client_of(server, http_client=http_client) as other:
            await client.fetch_task("1")
            await other.fetch_task("1")

    assert b"User-Agent: mj_async/" in heads[0]
    assert "bot/1" == wire.requests[0].headers["user-agent"]


async def test_our_own_client_is_closed() -> None:
    """What we made we close."""
    client = AsyncMJClient(KEY, base_url="https://gateway.test")
    await client.aclose()

    assert client._session._http_client.is_closed


async def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, nothing that logs shows the key."""
    caplog.set_level(logging.DEBUG)
    with RawServer(first_fails(reset)) as server:
        async with client_of(server) as client:
            await client.fetch_task("1")

    assert caplog.records
    assert KEY not in caplog.text


async def test_a_gateway_that_echoes_the_key_is_not_quoted() -> None:
    """The key is taken out of what a gateway says."""
    said = httpx.Response(400, json={"description": f"bad token {KEY}", "code": 4})
    async with client_on(Wire(lambda _: said), api_key=KEY) as client:
        with pytest.raises(errors.APIError, match=r"bad token \*\*\*") as caught:
            await client.fetch_task("1")

    assert KEY not in f"{caught.value!r}{vars(caught.value)}"


async def test_seeds_are_asked_again_after_the_gateways_time() -> None:
    """After a gateway's time-out the second request comes 20 s later, and gets the seed."""
    from mj_async.testing import FakeGateway

    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")], seed="5")
    late = json.dumps({"description": "do_request_failed ", "type": "upstream_error", "code": 5})
    gateway.fail_next(1, status=400, body=late.encode())

    async with gateway.client() as client:
        seed = await client.image_seed("1")

    assert ("5", [0.0, 20.0]) == (seed.seed, [request.at for request in gateway.requests])


async def test_a_callers_client_that_was_closed_is_named() -> None:
    """The owner of the http_client may have closed it."""
    http_client = httpx.AsyncClient()
    client = AsyncMJClient("sk-key", base_url="https://gateway.test", http_client=http_client)
    await http_client.aclose()

    with pytest.raises(errors.ClientStateError, match="has been closed"):
        await client.fetch_task("1")


async def test_a_request_that_gets_its_slot_as_the_client_is_closed_is_not_sent() -> None:
    """The slot is free before the cancellation arrives."""
    sent: list[httpx.Request] = []
    may_answer = anyio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        await may_answer.wait()
        return httpx.Response(200, content=TASK)

    client = AsyncMJClient(
        KEY,
        base_url="https://gateway.test",
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        max_connections=1,
    )

    async def fetch_and_close() -> None:
        await client.fetch_task("1")
        await client.aclose()

    async def wait_in_the_queue() -> None:
        with pytest.raises(errors.ClientStateError, match="this client is closed"):
            await client.fetch_task("1")

    async with anyio.create_task_group() as group:
        group.start_soon(fetch_and_close)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(wait_in_the_queue)
        await anyio.wait_all_tasks_blocked()
        may_answer.set()

    assert 1 == len(sent)
