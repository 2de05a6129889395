"""The connection pool: one connection each, the last one used first, and none that is broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import httpx
import pytest
from trio.testing import MockClock

from mj_async._http.pool import IDLE_SECONDS, ConnectionPool

pytestmark = pytest.mark.anyio
URL = "https://gateway.test/"


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, whose clock jumps when all sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


@attrs.define
class Body(httpx.AsyncByteStream):
    """A body that may fail when it is read or closed."""

    reading: Exception | None = None
    closing: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield one chunk."""
        if self.reading is not None:
            raise self.reading
        yield b"x"

    async def aclose(self) -> None:
        """Close, or fail to."""
        await anyio.lowlevel.checkpoint()
        if self.closing is not None:
            raise self.closing


@attrs.define
class SingleConnectionTransport(httpx.AsyncBaseTransport):
    """A connection that answers, or fails as its maker says; it remembers what became of it."""

    number: int
    faults: dict[int, Exception]
    body: Body
    sent: int = 0
    closed: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.sent += 1
        if self.sent in self.faults:
            raise self.faults[self.sent]
        return httpx.Response(200, stream=self.body)

    async def aclose(self) -> None:
        """Remember it."""
        self.closed = True


@attrs.define
class Maker:
    """Makes connections; all but the first are sound."""

    faults: dict[int, Exception] = attrs.field(factory=dict)
    body: Body = attrs.field(factory=Body)
    made: list[SingleConnectionTransport] = attrs.field(factory=list)

    def __call__(self) -> SingleConnectionTransport:
        """Make a connection."""
        first = not self.made
        connection = SingleConnectionTransport(
            len(self.made), self.faults if first else {}, self.body if first else Body()
        )
        self.made.append(connection)
        return connection


async def ask(pool: ConnectionPool) -> bytes:
    """Send a request and read the answer to its end."""
    response = await pool.handle_async_request(httpx.Request("GET", URL))
    try:
        return await response.aread()
    finally:
        await response.aclose()


async def test_a_connection_is_used_again() -> None:
    """One request after the other needs one connection."""
    maker = Maker()
    pool = ConnectionPool(maker)
    for _ in range(3):
        assert b"x" == await ask(pool)

    assert [3] == [connection.sent for connection in maker.made]


async def test_the_connection_that_was_used_last_is_taken_first() -> None:
    """The others grow idle, and are closed by the next request after their time."""
    maker = Maker()
    pool = ConnectionPool(maker)
    answers = [await pool.handle_async_request(httpx.Request("GET", URL)) for _ in range(3)]
    for answer in answers:
        await answer.aread()
        await answer.aclose()
    await anyio.sleep(IDLE_SECONDS / 2)
    await ask(pool)
    await anyio.sleep(IDLE_SECONDS / 2)
    await ask(pool)

    assert [1, 1, 3] == [connection.sent for connection in maker.made]
    assert [True, True, False] == [connection.closed for connection in maker.made]


@pytest.mark.parametrize(
    "fault",
    [
        httpx.RemoteProtocolError("Server disconnected"),
        httpx.ReadError("reset"),
        httpx.WriteError("broken pipe"),
        httpx.CloseError("closed"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_kept_connection_that_was_closed_is_replaced(fault: Exception) -> None:
    """What a used connection fails with before the head is tried once more, on a new connection."""
    maker = Maker(faults={2: fault})
    pool = ConnectionPool(maker)
    await ask(pool)

    assert b"x" == await ask(pool)
    assert [(2, True), (1, False)] == [
        (connection.sent, connection.closed) for connection in maker.made
    ]


async def test_a_new_connection_that_fails_is_not_replaced() -> None:
    """What fails at first use is no stale connection: the error is the caller's."""
    maker = Maker(faults={1: httpx.ReadError("reset")})

    with pytest.raises(httpx.ReadError):
        await ask(ConnectionPool(maker))
    assert [True] == [connection.closed for connection in maker.made]


async def test_another_fault_of_a_used_connection_is_the_callers() -> None:
    """Only what a closed connection looks like is tried again."""
    maker = Maker(faults={2: httpx.ConnectError("refused")})
    pool = ConnectionPool(maker)
    await ask(pool)

    with pytest.raises(httpx.ConnectError):
        await ask(pool)
    assert [True] == [connection.closed for connection in maker.made]


async def test_a_body_that_was_not_read_to_its_end_costs_its_lane() -> None:
    """A connection is given back only when its answer has been read."""
    maker = Maker()
    pool = ConnectionPool(maker)
    response = await pool.handle_async_request(httpx.Request("GET", URL))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    await response.stream.aclose()
    await response.stream.aclose()
    await ask(pool)

    assert [True, False] == [connection.closed for connection in maker.made]


@pytest.mark.parametrize("when", ["reading", "closing"])
async def test_a_body_that_fails_costs_its_lane(when: str) -> None:
    """A fault in the body, or when it is closed, ends the connection."""
    maker = Maker(body=Body(**{when: httpx.ReadError("reset")}))
    pool = ConnectionPool(maker)
    with pytest.raises(httpx.ReadError):
        await ask(pool)
    await ask(pool)

    assert [True, False] == [connection.closed for connection in maker.made]


@pytest.mark.parametrize("read", [True, False])
async def test_a_deadline_that_passes_at_the_end_takes_no_answer(*, read: bool) -> None:
    """An answer read to its end is closed in order; one that is cut costs its connection."""
    maker = Maker()
    pool = ConnectionPool(maker)
    response = await pool.handle_async_request(httpx.Request("GET", URL))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    if read:
        assert [b"x"] == [chunk async for chunk in response.stream]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await response.stream.aclose()

    assert scope.cancelled_caught is not read
    assert [not read] == [connection.closed for connection in maker.made]


async def test_closing_closes_the_lanes() -> None:
    """Idle pool are closed at once, and one that is under way when it comes back."""
    maker = Maker()
    pool = ConnectionPool(maker)
    first = await pool.handle_async_request(httpx.Request("GET", URL))
    await ask(pool)
    await pool.aclose()
    under_way = [connection.closed for connection in maker.made]
    await first.aread()
    await first.aclose()

    assert [False, True] == under_way
    assert [True, True] == [connection.closed for connection in maker.made]


class Idle(httpx.AsyncBaseTransport):
    """A connection that answers, and takes a moment to close."""

    def __init__(self) -> None:
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with nothing."""
        return httpx.Response(204, stream=httpx.ByteStream(b""))

    async def aclose(self) -> None:
        """Close after a turn of the loop."""
        await asyncio.sleep(0)
        self.closed = True


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_close_closes_the_other_connections() -> None:
    """A native cancellation passes shields; the connections behind it are closed all the same."""
    made: list[Idle] = []

    def make() -> Idle:
        made.append(Idle())
        return made[-1]

    pool = ConnectionPool(make)
    request = httpx.Request("GET", "https://gateway.test")
    answers = [await pool.handle_async_request(request) for _ in range(5)]
    for answer in answers:
        await answer.aread()
        await answer.aclose()
    closing = asyncio.ensure_future(pool.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    assert 4 == sum(one.closed for one in made)
