"""What a second review found in the rooms that wait and send: each was wrong once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from trio.testing import MockClock

from _fakes import Script, Wire, client_on, task, watch_on
from mj_async import AsyncMJClient, RetryPolicy, errors
from mj_async._clock import Clock
from mj_async._http.gate import BackoffGate
from mj_async._http.pool import ConnectionPool
from mj_async._lifecycle import Lifecycle
from mj_async.testing import FakeGateway

FOUND = {"id": "1", "status": "SUCCESS", "imageUrl": "https://cdn/1"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("ids", "good"),
    [(["a", None, None, "b"], 1), ([None, "a"], 0), ([*map(str, range(50)), "a/b", "c"], 50)],
    ids=["None in the middle", "None first", "a slash"],
)
async def test_a_bad_id_neither_ends_a_run_quietly_nor_takes_others_with_it(
    ids: list[Any], good: int
) -> None:
    """The ids before a bad one are looked up, and then it is an error."""
    gateway = FakeGateway()
    received = 0
    async with gateway.client() as client:
        async with client.image_seeds(iter(ids)) as outcomes:
            with pytest.raises(errors.ConfigurationError):
                async for _outcome in outcomes:
                    received += 1

    assert good == received


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_a_success_is_not_lost_by_a_look_that_was_cancelled() -> None:
    """A cancelled look at a SUCCESS without a picture is made again."""
    watch = watch_on(Script([task("SUCCESS", image_url=None)]), timeout=None)
    with anyio.move_on_after(1.0) as scope:
        await anext(watch)

    assert scope.cancelled_caught
    assert (await anext(watch)).succeeded


@pytest.mark.anyio
async def test_a_closed_gate_takes_nothing_from_the_budget() -> None:
    """Calls that are held back send nothing, so that nothing of them was a retry."""
    gateway = FakeGateway()
    gateway.add_task("1")
    gateway.fail_next(1, status=429, headers={"retry-after": "90"})
    async with gateway.client(retry=RetryPolicy(budget=2)) as client:
        for _ in range(20):
            with pytest.raises(errors.RateLimitError):
                await client.fetch_task("1", timeout=30.0)
        asked = len(gateway.requests)
        await gateway.advance(100.0)
        gateway.fail_next(1, status=500)
        await client.fetch_task("1")

    assert 1 == asked


@pytest.mark.anyio
async def test_a_hold_does_not_hide_the_last_real_error() -> None:
    """A call whose retry is held back for too long ends with what really happened to it."""
    gateway = FakeGateway()
    gateway.add_task("1")
    async with gateway.client(retry=RetryPolicy(first_delay=20.0)) as client:
        await client.fetch_task("1")
        gateway.fail_next(1, status=500)

        async def limited() -> None:
            await anyio.lowlevel.checkpoint()
            gateway.fail_next(1, status=429, headers={"retry-after": "110"})
            with pytest.raises(errors.RateLimitError):
                await client.fetch_task("1", timeout=5.0)

        async with anyio.create_task_group() as group:
            with pytest.raises(errors.ServerError):
                group.start_soon(limited)
                await client.fetch_task("1", timeout=60.0)


@pytest.mark.asyncio
async def test_closing_while_calls_queue_is_told_to_each() -> None:
    """Whatever moment the client is closed at, a call has its task or is told so."""
    for turns in range(40):
        client = client_on(Wire(lambda _: httpx.Response(200, json=FOUND)), max_connections=1)
        await client.fetch_task("1")
        calls = [asyncio.ensure_future(client.fetch_task("1")) for _ in range(8)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await client.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

        bad = [end for end in ended if isinstance(end, BaseException)]
        assert all(isinstance(end, errors.ClientStateError) for end in bad)


@pytest.mark.anyio
async def test_a_callers_client_that_was_closed_is_named() -> None:
    """The owner of the http_client may have closed it."""
    http_client = httpx.AsyncClient()
    client = AsyncMJClient("sk-key", base_url="https://gateway.test", http_client=http_client)
    await http_client.aclose()

    with pytest.raises(errors.ClientStateError, match="has been closed"):
        await client.fetch_task("1")


def test_a_proxy_that_would_not_be_used_is_refused() -> None:
    """A caller's client has its own proxy, and nobody is to go directly without knowing."""
    with pytest.raises(errors.ConfigurationError, match="to your http_client instead"):
        AsyncMJClient(
            "sk-key",
            base_url="https://gateway.test",
            http_client=httpx.AsyncClient(),
            proxy="http://proxy.test",
        )


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


@pytest.mark.asyncio
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


def test_what_runs_elsewhere_is_not_cancelled_from_here() -> None:
    """Scopes belong to the loop that entered them; another one leaves them alone."""
    lifecycle = Lifecycle(Clock())

    async def enter() -> anyio.CancelScope:
        lifecycle.check()
        scope = anyio.CancelScope()
        lifecycle.enter(scope)
        return scope

    async def close() -> bool:
        return lifecycle.close()

    scope = asyncio.run(enter())

    assert not asyncio.run(close())
    assert not scope.cancel_called


@pytest.mark.anyio
async def test_a_run_that_waits_for_its_source_ends_with_the_client() -> None:
    """Closing the client ends a run of seeds, also where its input has nothing to give."""

    async def silent() -> AsyncIterator[str]:
        await anyio.sleep_forever()
        yield "never"

    gateway = FakeGateway()
    client = gateway.client()

    async def close() -> None:
        await anyio.sleep(0.01)
        await client.aclose()

    with anyio.fail_after(2):
        async with client.image_seeds(silent()) as outcomes, anyio.create_task_group() as group:
            group.start_soon(close)
            with pytest.raises(errors.ClientStateError):
                await anext(outcomes)


@pytest.mark.anyio
async def test_a_cancelled_search_is_taken_over_by_one() -> None:
    """When the call that searches is cancelled, one of the others does, and not all of them."""

    def answer(request: httpx.Request) -> httpx.Response:
        right = "mj-api-secret" in request.headers
        return httpx.Response(200, json=FOUND) if right else httpx.Response(401)

    wire = Wire(answer)
    async with client_on(wire) as client, anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(client.fetch_task, "1")
            async with anyio.create_task_group() as finder:
                finder.start_soon(client.fetch_task, "1")
                await anyio.lowlevel.checkpoint()
                for _ in range(50):
                    group.start_soon(client.fetch_task, "1")
                await anyio.lowlevel.checkpoint()
                scope.cancel()

    refused = [one for one in wire.requests if "mj-api-secret" not in one.headers]
    assert len(refused) <= 2


@pytest.mark.anyio
async def test_a_hold_has_something_to_double() -> None:
    """Also where retries have no delay, a 429 holds the client back."""
    gate = BackoffGate(Clock(), 0.0)
    await gate.hold(None)

    with pytest.raises(errors.RateLimitError):
        await gate.acquire(deadline=0.0)
