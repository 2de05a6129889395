"""Faults 3 to 6, and 15 to 17: connections that end, or do not begin."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import anyio
import pytest
from _connection_faults import (
    KEY,
    ONCE,
    TASK,
    ServerOnPort,
    check_is_retried,
    check_raises,
    client_of,
    end,
    end_between_chunks,
    end_in_body,
    end_in_chunk,
    fail_each_connection,
    reset,
    reset_in_body,
)

from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import AsyncMJClient, RetryPolicy, errors

pytestmark = pytest.mark.anyio


def label(fault: ConnectionHandler) -> str:
    """Name a test after its fault."""
    return fault.__name__


def old_ones_fail(fault: ConnectionHandler, old: int = 1) -> ConnectionHandler:
    """Make a script whose first connections answer once and fail at their second request."""

    async def script(connection: Connection) -> None:
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

    return script


@pytest.mark.parametrize("fault", [end, reset], ids=label)
async def test_fault_03_a_kept_connection_closed_under_us(fault: ConnectionHandler) -> None:
    """The request is sent again on a new connection, which is no try and no retry."""
    with RawServer(old_ones_fail(fault)) as server:
        async with client_of(server, retry=ONCE) as client:
            tasks = [await client.fetch_task("1") for _ in range(3)]

    assert ["1", "1", "1"] == [task.id for task in tasks]
    assert 2 == server.connections


@pytest.mark.parametrize("fault", [end, reset], ids=label)
async def test_fault_03_all_kept_connections_closed_under_us(fault: ConnectionHandler) -> None:
    """The second try is made on a new connection and not on another old one, as dead as it."""
    with RawServer(old_ones_fail(fault, old=4)) as server:
        async with client_of(server, retry=ONCE) as client:
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(client.fetch_task, "1")
            before = server.connections
            task = await client.fetch_task("1")

    assert (4, "1", 5) == (before, task.id, server.connections)


async def fetch_twice(script: ConnectionHandler) -> tuple[int, list[int]]:
    """Fetch twice; return how many connections came, and how many were open after each."""
    still_open = []
    with RawServer(script) as server:
        async with client_of(server, retry=ONCE) as client:
            for _ in range(2):
                assert "1" == (await client.fetch_task("1")).id
                still_open.append(client.statistics().connections)
                await anyio.sleep(0.02)
    return server.connections, still_open


async def test_fault_03_a_kept_connection_closed_while_idle() -> None:
    """A connection that was closed between two requests is not used for the second."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK)

    connections, _ = await fetch_twice(script)

    assert 2 == connections


async def test_fault_03_a_connection_that_ends_with_its_answer_is_not_kept() -> None:
    """It is closed at once, and counted no more."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK, head=b"HTTP/1.1 200 OK\r\nConnection: close\r\n")

    assert (2, [0, 0]) == await fetch_twice(script)


async def test_fault_03_what_nobody_asked_for_is_no_answer() -> None:
    """What a server says on an idle connection, as proxies do before they close it, is not read."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK)
        await anyio.sleep(0.01)
        await connection.answer(b"too late", head=b"HTTP/1.1 408 Request Timeout\r\n")
        await connection.stall()

    connections, _ = await fetch_twice(script)

    assert 2 == connections


async def test_fault_03_only_a_kept_connection_is_replaced_for_nothing() -> None:
    """On a new connection, and once the head of the answer is there, it is a try that failed."""
    with (
        RawServer(fail_each_connection(end)) as fresh,
        RawServer(old_ones_fail(reset_in_body)) as kept,
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
    """It is tried again; if it stays so, it is a TransportError."""
    await check_is_retried(fault)
    error = await check_raises(errors.TransportError, fault)

    assert not isinstance(error, errors.RequestTimeoutError)


async def test_fault_05_a_reset_in_the_body() -> None:
    """It is tried again; if it stays so, it is a TransportError and no half result."""
    await check_is_retried(reset_in_body)
    await check_raises(errors.TransportError, reset_in_body)


@pytest.mark.parametrize("fault", [end_in_body, end_in_chunk, end_between_chunks], ids=label)
async def test_fault_06_an_end_in_the_body(fault: ConnectionHandler) -> None:
    """A body shorter than was said is no result, not even if what came could be read."""
    await check_is_retried(fault)
    await check_raises(errors.TransportError, fault)


@pytest.fixture
def full_port() -> Iterator[int]:
    """Give a port that listens, whose queue is full, and which accepts nobody."""
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
    """The deadline of an attempt counts the time to connect, and cuts it, again and again."""
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
    """Find a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


async def test_fault_16_a_refused_port() -> None:
    """Nobody listening is a TransportError that says so, and shows no key."""
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
    """A refused connection is tried again, until somebody listens."""
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
    """It is a TransportError that names the host and shows no key."""
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
    """Where nobody answers, that is all that is wrong with the address."""
    once = RetryPolicy(attempts=1)
    async with AsyncMJClient(KEY, base_url=base_url, retry=once) as client:
        with pytest.raises(errors.TransportError, match=r"failed \(ConnectError: "):
            await client.fetch_task("1", timeout=10.0)
