"""Faults 7 to 11: bodies that are cut, packed wrongly, or too large."""

from __future__ import annotations

import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache

import pytest
from _connection_faults import (
    GZIP,
    check_is_retried,
    check_raises,
    eventually,
    fail_each_connection,
    fail_first_connection,
)
from _http_server import ONCE, TASK, client_of, on_asyncio

from _sockets import Connection, ConnectionHandler, RawServer
from mj_async import DOCUMENTED, errors

pytestmark = pytest.mark.anyio

MEGABYTE = 2**20
PLAIN = b"HTTP/1.1 200 OK\r\n"


def sends(head: bytes, body: bytes) -> ConnectionHandler:
    """Build a fault: a complete response with this head and body."""

    async def fault(connection: Connection) -> None:
        await connection.answer(body, head)

    return fault


@on_asyncio
@pytest.mark.parametrize("length", [1, 20, len(TASK) - 1])
async def test_fault_07_half_of_the_json_up_to_the_end_of_the_connection(length: int) -> None:
    """A body without a length that was cut is requested again, and is never a result."""

    async def fault(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + TASK[:length])

    await check_is_retried(fault)
    error = await check_raises(errors.UnexpectedAnswerError, fault)

    assert "cut short" == error.reason


async def test_fault_08_gzip_cut_at_any_byte_under_the_right_length() -> None:
    """Gzip without its end is an error, wherever it was cut; stock httpx gives an empty 200."""
    packed = gzip.compress(TASK)

    async def handler(connection: Connection) -> None:
        for length in range(1, len(packed)):
            await connection.read_head()
            await connection.answer(packed[:length], GZIP)
        await connection.read_head()
        await connection.answer(packed, GZIP)

    reasons = []
    with RawServer(handler) as server:
        async with client_of(server, retry=ONCE) as client:
            for _ in range(1, len(packed)):
                with pytest.raises(errors.UnexpectedAnswerError) as caught:
                    await client.fetch_task("1")
                reasons.append(caught.value.reason)
            assert "1" == (await client.fetch_task("1")).id

    assert {"cut short"} == set(reasons)
    assert 1 == server.connections


async def test_fault_08_half_gzip_is_tried_again() -> None:
    """Half a gzip body costs a retry; after the last one the error says that it was cut."""
    fault = sends(GZIP, gzip.compress(TASK)[:12])
    await check_is_retried(fault)
    error = await check_raises(errors.UnexpectedAnswerError, fault)

    assert "cut short" == error.reason


@on_asyncio
@pytest.mark.parametrize(
    ("head", "body", "reason"),
    [
        (GZIP, b"junk", "cut short"),
        (GZIP, TASK, "cut short"),
        (GZIP, gzip.compress(TASK)[:-8] + b"\0" * 8, "cut short"),
        (GZIP, gzip.compress(TASK) + b"junk", "cut short"),
        (GZIP, zlib.compress(TASK), "cut short"),
        (GZIP, gzip.compress(b"junk"), "json"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n", TASK, "json"),
    ],
    ids=["junk", "plain", "checksum", "junk behind", "zlib", "junk inside", "unasked encoding"],
)
async def test_fault_09_corrupt_gzip(head: bytes, body: bytes, reason: str) -> None:
    """A body that cannot be unpacked is requested again, and then is an UnexpectedAnswerError."""
    fault = sends(head, body)
    await check_is_retried(fault)
    error = await check_raises(errors.UnexpectedAnswerError, fault)

    assert reason == error.reason


@cache
def bomb() -> bytes:
    """Pack 200 MiB of spaces into 200 kB of gzip."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(b" " * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    head, end_and_trailer = gzip.compress(b"")[:10], b"\x03\0" + b"\0" * 8
    return head + block * 200 + end_and_trailer


async def peak_of(call: Callable[[], Awaitable[object]]) -> int:
    """Return the peak of Python's memory during a call, in bytes."""
    tracemalloc.start()
    try:
        await call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def peak_of_answer(packed: bytes, method: str, reason: str) -> int:
    """Return the peak of memory of a call with this body, and check the reason of its error."""

    async def call() -> None:
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            await getattr(client, method)("1" if method == "fetch_task" else ["1"])
        assert reason == caught.value.reason

    with RawServer(fail_each_connection(sends(GZIP, packed))) as server:
        async with client_of(server, dialect=DOCUMENTED) as client:
            peak = await peak_of(call)

    assert 1 == server.connections
    return peak


@pytest.mark.parametrize("method", ["fetch_task", "list_tasks"])
async def test_fault_10_a_gzip_bomb(method: str) -> None:
    """A gzip bomb is unpacked up to the limit, and is not requested again."""
    packed = bomb()

    assert 200_000 <= len(packed) <= 300_000
    assert await peak_of_answer(packed, method, "too large") < 40 * MEGABYTE


async def test_fault_10_gzip_of_many_empty_members() -> None:
    """Empty gzip members never reach the limit, and still do not block the event loop."""
    fault = sends(GZIP, gzip.compress(b"") * 100_000)
    with RawServer(fail_each_connection(fault)) as server:
        async with client_of(server, retry=ONCE, dialect=DOCUMENTED) as client:
            started = time.thread_time()  # of others on a busy machine it tells nothing
            with suppress(errors.MJError):
                await client.list_tasks(["1"])
            lasted = time.thread_time() - started

    assert lasted < 1.0


async def test_fault_10_gzip_in_gzip_in_gzip() -> None:
    """Several layers of gzip are not unpacked, for they were not requested."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip\r\n"
    fault = sends(head, gzip.compress(gzip.compress(bomb())))

    async def call() -> None:
        await check_raises(errors.UnexpectedAnswerError, fault)

    assert await peak_of(call) < 32 * MEGABYTE


HEADS = {
    "no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "a length too large": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "gzip": GZIP + b"\r\n",
}


@pytest.mark.parametrize("kind", HEADS)
async def test_fault_11_a_body_for_ever(kind: str) -> None:
    """Reading stops at the limit, the connection is closed, and the request is not sent again."""
    part = b"10000\r\n" + b" " * 65536 + b"\r\n" if kind == "chunks" else b" " * 65536
    closed = threading.Event()

    async def fault(connection: Connection) -> None:
        await connection.send(HEADS[kind])
        try:
            while True:
                await connection.send(part)
        except OSError:
            closed.set()

    with RawServer(fail_first_connection(fault)) as server:
        async with client_of(server, max_connections=1) as client:

            async def call() -> None:
                with pytest.raises(errors.UnexpectedAnswerError) as caught:
                    await client.fetch_task("1")
                assert "too large" == caught.value.reason

            peak = await peak_of(call)
            before = server.connections
            await eventually(closed.is_set)
            assert "1" == (await client.fetch_task("1")).id

    assert (1, 2) == (before, server.connections)
    assert peak < 32 * MEGABYTE


@pytest.mark.parametrize("behind", [b"junk", b"junk\r\n", TASK], ids=["junk", "line", "task"])
async def test_fault_11_more_bytes_than_the_length_says(behind: bytes) -> None:
    """Bytes behind the body are not part of it, and do not harm the next request."""
    head = PLAIN + b"Content-Length: %d\r\n\r\n" % len(TASK)

    async def handler(connection: Connection) -> None:
        while True:
            await connection.read_head()
            await connection.send(head + TASK + behind)

    with RawServer(handler) as server:
        async with client_of(server, retry=ONCE, request_timeout=2) as client:
            for _ in range(3):
                assert "1" == (await client.fetch_task("1")).id

    assert 3 == server.connections
