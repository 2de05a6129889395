"""Faults 19 and 21: a 429 holds back every call; on virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from _http_server import BEARER, KEY
from trio.testing import MockClock

from mj_async import AsyncMJClient, Polling, RetryPolicy, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

Call = Callable[[AsyncMJClient], Any]
CALLS: list[Call] = [
    lambda client: client.fetch_task("1"),
    lambda client: client.list_tasks(["1", "2"]),
    lambda client: client.image_seed("1"),
]
NAMES = ["fetch", "list", "seed"]
PATIENT = RetryPolicy(attempts=20)


def gateway_with_task(**options: Any) -> FakeGateway:
    """Build a gateway that has two finished tasks."""
    gateway = FakeGateway(**options)
    for task_id in "12":
        gateway.add_task(
            task_id, [(0, "SUCCESS", "100%")], seed="5", imageUrl="https://cdn.example/1.png"
        )
    return gateway


def instants(gateway: FakeGateway) -> list[float]:
    """Return the times of the requests."""
    return [request.at for request in gateway.requests]


async def asked(gateway: FakeGateway, number: int) -> None:
    """Wait until the gateway has received so many requests, in no time."""
    while len(gateway.requests) < number:
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("options", [{}, {"dialect": BEARER}], ids=["auto", "bearer"])
async def test_fault_19_a_429_holds_back_every_call(options: dict[str, Any]) -> None:
    """After a 429 every call waits for its Retry-After, and at most a tenth longer."""
    gateway = gateway_with_task()
    gateway.fail_next(1, 429, {"retry-after": "5"})

    async with gateway.client(**options) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.fetch_task, "1")
            await asked(gateway, 1)
            for call in CALLS * 5:
                group.start_soon(call, client)
            group.start_soon(client.wait_for_task, "1")

    first, *others = instants(gateway)
    assert 0.0 == first
    assert len(others) >= 17
    assert 5.0 <= min(others)
    assert max(others) <= 5.5


async def test_fault_19_a_hold_without_retry_after_doubles() -> None:
    """Without Retry-After the hold is 0.5 s and doubles up to 60 s, and up to a tenth more."""
    gateway = gateway_with_task()
    gateway.fail_next(10, 429)

    async with gateway.client(retry=PATIENT) as client:
        await client.fetch_task("1", timeout=None)

    at = instants(gateway)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    holds = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(holds) == len(gaps)
    for hold, gap in zip(holds, gaps, strict=True):
        assert hold <= gap <= 1.1 * hold + 1e-6


@pytest.mark.parametrize(("quiet", "hold"), [(30.0, 1.0), (90.0, 0.5)])
async def test_fault_19_a_minute_without_429_is_forgotten(quiet: float, hold: float) -> None:
    """The hold doubles only if the next 429 comes within a minute."""
    gateway = gateway_with_task()

    async with gateway.client(retry=PATIENT) as client:
        gateway.fail_next(1, 429)
        await client.fetch_task("1")
        await gateway.advance(quiet)
        gateway.fail_next(1, 429)
        await client.fetch_task("1")

    at = instants(gateway)
    assert hold <= at[3] - at[2] <= 1.1 * hold + 1e-6


class Busy(httpx.AsyncBaseTransport):
    """A transport that needs 0.1 s for an answer; the first answers are 429."""

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals
        self.at: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the request."""
        self.at.append(anyio.current_time())
        refused = len(self.at) <= self._refusals
        await anyio.sleep(0.1)
        return httpx.Response(429 if refused else 200, json={"id": "1", "status": "SUCCESS"})


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual"]
)
async def test_fault_19_refusals_of_one_moment_count_once() -> None:
    """Ten requests in flight that are all refused hold for 0.5 s, and not for minutes."""
    busy = Busy(10)
    client = AsyncMJClient(
        KEY,
        base_url="https://gateway.test",
        dialect=BEARER,
        http_client=httpx.AsyncClient(transport=busy),
    )
    async with client, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(client.fetch_task, "1")

    started = busy.at[0]
    assert [0.0] * 10 == pytest.approx([at - started for at in busy.at[:10]])
    assert 20 == len(busy.at)
    assert busy.at[-1] - started <= 0.1 + 0.55 + 1e-6


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
async def test_fault_21_a_long_retry_after_raises_at_once(call: Call) -> None:
    """A Retry-After above max_retry_after raises, also in later calls, until it is over."""
    gateway = gateway_with_task()
    gateway.fail_next(1, 429, {"retry-after": "300"})

    async with gateway.client() as client:
        with pytest.raises(errors.RateLimitError) as first:
            await client.fetch_task("1")
        await gateway.advance(100)
        with pytest.raises(errors.RateLimitError) as second:
            await call(client)
        sent_meanwhile = len(gateway.requests)
        now = gateway.now
        await gateway.advance(231)
        await call(client)

    assert (300.0, 429, 1, 100.0) == (
        first.value.retry_after,
        first.value.status_code,
        sent_meanwhile,
        now,
    )
    assert 200 <= (second.value.retry_after or 0) <= 230


@pytest.mark.parametrize("options", [{}, {"dialect": BEARER}], ids=["auto", "bearer"])
async def test_fault_21_a_wait_sleeps_out_what_calls_refuse(options: dict[str, Any]) -> None:
    """A wait sleeps for any Retry-After within its timeout, while single calls raise."""
    gateway = gateway_with_task()
    gateway.fail_next(1, 429, {"retry-after": "300"})
    refused: list[float] = []

    async with gateway.client(**options) as client:

        async def ask_meanwhile() -> None:
            await asked(gateway, 1)
            for call in CALLS:
                with pytest.raises(errors.RateLimitError):
                    await call(client)
                refused.append(gateway.now)

        async with anyio.create_task_group() as group:
            group.start_soon(client.wait_for_task, "1")
            group.start_soon(ask_meanwhile)

    at = instants(gateway)
    assert [0.0] * 3 == refused
    assert (0.0, 2) == (at[0], len(at))
    assert 300 <= at[1] <= 330 + 1e-6


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
@pytest.mark.parametrize("options", [{}, {"dialect": BEARER}], ids=["auto", "bearer"])
async def test_fault_21_a_call_raises_while_a_wait_is_held(
    options: dict[str, Any], call: Call
) -> None:
    """A single call raises at once, also while a wait sleeps for the same 429."""
    gateway = gateway_with_task()
    gateway.fail_next(1, 429, {"retry-after": "300"})

    async with gateway.client(**options) as client:
        with pytest.raises(errors.RateLimitError):
            await client.fetch_task("1")
        async with anyio.create_task_group() as group:
            group.start_soon(client.wait_for_task, "1")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            with pytest.raises(errors.RateLimitError):
                await call(client)
            raised_at = gateway.now

    assert 0.0 == raised_at


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
async def test_fault_21_a_call_raises_while_waits_hold_all_slots(call: Call) -> None:
    """Waits that a long 429 holds back keep no single call in the queue for their slots."""
    gateway = gateway_with_task()
    gateway.fail_next(1, 429, {"retry-after": "300"})

    async with gateway.client(max_connections=2) as client:
        with pytest.raises(errors.RateLimitError):
            await client.fetch_task("1")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(client.wait_for_task, "1")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            with pytest.raises(errors.RateLimitError, match="nothing was sent"):
                await call(client)
            raised_at = gateway.now

    assert 0.0 == raised_at


async def test_fault_21_a_wait_without_the_time_ends_in_time() -> None:
    """A Retry-After beyond the timeout of a wait ends the wait, without another request."""
    gateway = gateway_with_task()
    gateway.fail_next(1, 429, {"retry-after": "300"})

    async with gateway.client() as client:
        with pytest.raises(errors.WaitTimeoutError) as caught:
            await client.wait_for_task("1", timeout=100, polling=Polling(jitter=0))

    assert ([0.0], 100.0) == (instants(gateway), gateway.now)
    assert isinstance(caught.value.__cause__, errors.RateLimitError)
