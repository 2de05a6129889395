"""Faults 3 to 6, and 15 to 17: connections that end, or do not begin."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import anyio
import pytest
from _connection_faults import (
    ServerOnPort,
    check_is_retried,
    check_raises,
    end,
    end_between_chunks,
    end_in_body,
    end_in_chunk,
    fail_each_connection,
    reset,
    reset_in_body,
)
from _http_server import KEY, ONCE, TASK, client_of

from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import AsyncMJClient, RetryPolicy, errors

pytestmark = pytest.mark.anyio


def label(fault: ConnectionHandler) -> str:
    """Return the name of a fault, as a test id."""
    return fault.__name__


def fail_kept_connections(fault: ConnectionHandler, old: int = 1) -> ConnectionHandler:
    """Build a handler whose first connections answer once and fail at their second request."""

    async def handler(connection: Connection) -> None:
        await connection.read_head()
        if connection.number < old:
            await anyio.sleep(0.03)  # so that requests side by side need a connection each
        await connection.answer(TASK)
        await connection.read_head()
        if connection.number < old:
            await fault(connection)
        else:
            await connection.answer(TASK)
            await connection.stall()

    return handler


@pytest.mark.parametrize("fault", [end, reset], ids=label)
async def test_fault_03_a_kept_connection_closed_under_us(fault: ConnectionHandler) -> None:
    """The request is sent again on a new connection, which does not count as a retry."""
    with RawServer(fail_kept_connections(fault)) as server:
        async with client_of(server, retry=ONCE) as client:
            tasks = [await client.fetch_task("1") for _ in range(3)]

    assert ["1", "1", "1"] == [task.id for task in tasks]
    assert 2 == server.connections


@pytest.mark.parametrize("fault", [end, reset], ids=label)
async def test_fault_03_all_kept_connections_closed_under_us(fault: ConnectionHandler) -> None:
    """The request is sent again on a new connection, and not on another kept one."""
    with RawServer(fail_kept_connections(fault, old=4)) as server:
        async with client_of(server, retry=ONCE) as client:
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(client.fetch_task, "1")
            before = server.connections
            task = await client.fetch_task("1")

    assert (4, "1", 5) == (before, task.id, server.connections)


async def fetch_twice(handler: ConnectionHandler) -> tuple[int, list[int]]:
    """Fetch twice; return the count of connections, and how many were open after each fetch."""
    still_open = []
    with RawServer(handler) as server:
        async with client_of(server, retry=ONCE) as client:
            for _ in range(2):
                assert "1" == (await client.fetch_task("1")).id
                still_open.append(client.statistics().connections)
                await anyio.sleep(0.02)
    return server.connections, still_open


async def test_fault_03_a_kept_connection_closed_while_idle() -> None:
    """A connection that was closed between two requests is not used for the second."""

    async def handler(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK)

    connections, _ = await fetch_twice(handler)

    assert 2 == connections


async def test_fault_03_a_connection_that_ends_with_its_answer_is_not_kept() -> None:
    """A connection that the server closes with its answer is closed at once, and not counted."""

    async def handler(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK, head=b"HTTP/1.1 200 OK\r\nConnection: close\r\n")

    assert (2, [0, 0]) == await fetch_twice(handler)


async def test_fault_03_an_answer_without_a_request_is_not_read() -> None:
    """An answer on an idle connection is not read; proxies send one before they close it."""

    async def handler(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK)
        await anyio.sleep(0.01)
        await connection.answer(b"too late", head=b"HTTP/1.1 408 Request Timeout\r\n")
        await connection.stall()

    connections, _ = await fetch_twice(handler)

    assert 2 == connections


async def test_fault_03_only_a_kept_connection_is_replaced_for_nothing() -> None:
    """A new connection that ends is a failed attempt, and so is one that ends in the body."""
    with (
        RawServer(fail_each_connection(end)) as fresh,
        RawServer(fail_kept_connections(reset_in_body)) as kept,
    ):
        async with client_of(fresh, retry=ONCE) as client:
            with pytest.raises(errors.TransportError):
                await client.fetch_task("1")
        async with client_of(kept, retry=ONCE) as client:
            await client.fetch_task("1")
            with pytest.raises(errors.TransportError):
                await client.fetch_task("1")

    assert (1, 1) == (fresh.connections, kept.connections)


@pytest.mark.parametrize("fault", [end, reset], ids=label)
async def test_fault_04_a_connection_that_ends_before_the_answer(fault: ConnectionHandler) -> None:
    """An end before the answer is retried, and then is a TransportError."""
    await check_is_retried(fault)
    error = await check_raises(errors.TransportError, fault)

    assert not isinstance(error, errors.RequestTimeoutError)


async def test_fault_05_a_reset_in_the_body() -> None:
    """A reset in the body is retried, and then is a TransportError without half a result."""
    await check_is_retried(reset_in_body)
    await check_raises(errors.TransportError, reset_in_body)


@pytest.mark.parametrize("fault", [end_in_body, end_in_chunk, end_between_chunks], ids=label)
async def test_fault_06_an_end_in_the_body(fault: ConnectionHandler) -> None:
    """A body shorter than its length is never a result, even if its JSON is complete."""
    await check_is_retried(fault)
    await check_raises(errors.TransportError, fault)


@pytest.fixture
def full_port() -> Iterator[int]:
    """Return a port whose queue of connections is full, and which accepts none."""
    sockets = [socket.socket()]
    sockets[0].bind(("127.0.0.1", 0))
    sockets[0].listen(0)
    address = sockets[0].getsockname()
    try:
        for _ in range(64):
            sockets.append(socket.socket())
            sockets[-1].settimeout(0.1)
            sockets[-1].connect(address)
    except TimeoutError:
        pass
    yield address[1]
    for each in sockets:
        each.close()


async def test_fault_15_a_full_queue_of_connections(full_port: int) -> None:
    """The deadline of an attempt includes the time to connect, in each attempt."""
    started = time.monotonic()
    base_url = f"http://127.0.0.1:{full_port}"
    async with AsyncMJClient(
        KEY, base_url=base_url, retry=ONCE, request_timeout=0.2, max_connections=1
    ) as client:
        for _ in range(2):
            with pytest.raises(errors.RequestTimeoutError, match=r"request_timeout=0.2 s"):
                await client.fetch_task("1")

    assert 0.4 <= time.monotonic() - started <= 0.8


def unused_port() -> int:
    """Find a port without a listener."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


async def test_fault_16_a_refused_port() -> None:
    """A refused connection is a TransportError that says so, and shows no key."""
    retry = RetryPolicy(first_delay=0.0)
    async with AsyncMJClient(
        KEY, base_url=f"http://127.0.0.1:{unused_port()}", retry=retry
    ) as client:
        with pytest.raises(errors.TransportError, match="ConnectError") as caught:
            await client.fetch_task("1")

    assert KEY not in f"{caught.value}{caught.value!r}"
    assert ("1", None, None) == (
        caught.value.task_id,
        caught.value.__cause__,
        caught.value.__context__,
    )


async def test_fault_16_a_server_that_starts_between_two_tries() -> None:
    """A refused connection is retried, until a server listens."""
    port = unused_port()
    retry = RetryPolicy(attempts=60, first_delay=0.05, max_delay=0.05)
    server = ServerOnPort(fail_each_connection(lambda connection: connection.answer(TASK)), port)
    timer = threading.Timer(0.2, server.__enter__)
    timer.start()
    async with AsyncMJClient(KEY, base_url=f"http://127.0.0.1:{port}", retry=retry) as client:
        task = await client.fetch_task("1")
    timer.join()
    server.__exit__(None, None, None)

    assert ("1", 1) == (task.id, server.connections)


async def test_fault_17_a_name_that_does_not_exist() -> None:
    """An unknown host is a TransportError that names the host, and shows no key."""
    with pytest.warns(UserWarning, match="the key travels unencrypted to x.invalid"):
        client = AsyncMJClient(KEY, base_url="http://x.invalid", retry=RetryPolicy(first_delay=0.0))
    async with client:
        with pytest.raises(errors.TransportError, match=r"x\.invalid") as caught:
            await client.fetch_task("1", timeout=10.0)

    assert caught.value.temporary
    assert KEY not in f"{caught.value}{caught.value!r}"


@pytest.mark.parametrize(
    "base_url",
    ["https://[::1]:1/mj", "https://bücher.invalid", "https://x.invalid:443", "https://X.Invalid"],
)
async def test_fault_17_any_way_of_writing_an_address_reaches_it(base_url: str) -> None:
    """Each valid form of an address is accepted: the only error is that of the connection."""
    once = RetryPolicy(attempts=1)
    async with AsyncMJClient(KEY, base_url=base_url, retry=once) as client:
        with pytest.raises(errors.TransportError, match=r"failed \(ConnectError: "):
            await client.fetch_task("1", timeout=10.0)
