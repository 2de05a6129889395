"""The hold after a 429 and the budget of retries, on the gateway's clock."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from trio.testing import MockClock

from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors
from mj_async._clock import Clock
from mj_async._http.gate import BackoffGate
from mj_async._http.retry import RetryBudget
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, whose clock jumps when all sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


async def waited(gate: BackoffGate) -> float:
    """Pass the gate, and tell how long that took."""
    before = anyio.current_time()
    await gate.acquire(deadline=None)
    return anyio.current_time() - before


async def test_a_gate_is_open_at_first() -> None:
    """Nothing is held back before a 429."""
    assert 0.0 == await waited(BackoffGate(Clock(), 0.5))


async def test_a_retry_after_holds_for_its_time() -> None:
    """A Retry-After is kept, and up to a tenth more; a shorter one does not shorten it."""
    gate = BackoffGate(Clock(), 0.5)
    await gate.hold(60.0)
    await gate.hold(1.0)

    assert 60.0 <= await waited(gate) <= 66.0
    assert 0.0 == await waited(gate)


async def test_holds_without_a_retry_after_double_up_to_a_minute() -> None:
    """0.5, 1, 2 … 60 seconds, for each 429 that follows within a minute."""
    gate = BackoffGate(Clock(), 0.5)
    holds = []
    for _ in range(10):
        await gate.hold(None)
        holds.append(await waited(gate))

    expected = [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(least <= hold <= 1.1 * least for least, hold in zip(expected, holds, strict=True))


async def test_a_quiet_minute_is_forgiven() -> None:
    """After a minute without a 429 the holds begin anew."""
    gate = BackoffGate(Clock(), 0.5)
    for _ in range(4):
        await gate.hold(None)
        await waited(gate)
    await anyio.sleep(60.0)
    await gate.hold(None)

    assert 0.5 <= await waited(gate) <= 0.55


async def test_answers_to_requests_under_way_do_not_double() -> None:
    """Sixty-four 429s at once are one reason to slow down."""
    gate = BackoffGate(Clock(), 0.5)
    for _ in range(64):
        await gate.hold(None)

    assert await waited(gate) <= 0.55


async def test_a_sleep_beyond_the_deadline_is_not_begun() -> None:
    """Where the gate is held beyond the deadline, that is said at once."""
    gate = BackoffGate(Clock(), 0.5)
    await gate.hold(60.0)
    before = anyio.current_time()

    with pytest.raises(errors.RateLimitError, match="nothing was sent") as caught:
        await gate.acquire(deadline=before + 59.0)

    assert before == anyio.current_time()
    assert caught.value.retry_after is not None
    assert 60.0 <= caught.value.retry_after <= 66.0


def test_the_budget_is_spent_and_earned() -> None:
    """A retry takes one, a success gives a fifth back, and below one there is none."""
    budget = RetryBudget(2)

    assert [True, True, False] == [budget.withdraw() for _ in range(3)]
    for _ in range(5):
        budget.deposit()
    assert [True, False] == [budget.withdraw() for _ in range(2)]


def test_the_budget_has_a_maximum() -> None:
    """Successes do not make it larger than it began."""
    budget = RetryBudget(1)
    for _ in range(100):
        budget.deposit()

    assert [True, False] == [budget.withdraw() for _ in range(2)]


async def test_a_spent_budget_ends_retries() -> None:
    """A client whose budget is spent asks once a call, until something works again."""
    gateway = FakeGateway()
    gateway.add_task("1")
    gateway.fail_next(100, status=503)
    async with gateway.client(retry=RetryPolicy(budget=3)) as client:
        for _ in range(5):
            with pytest.raises(errors.ServerError):
                await client.fetch_task("1")

    assert 5 + 3 == len(gateway.requests)


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


async def test_a_hold_has_something_to_double() -> None:
    """Also where retries have no delay, a 429 holds the client back."""
    gate = BackoffGate(Clock(), 0.0)
    await gate.hold(None)

    with pytest.raises(errors.RateLimitError):
        await gate.acquire(deadline=0.0)


async def test_successes_pay_for_a_retry() -> None:
    """Five of them give one retry back to a client whose budget is spent."""
    gateway = FakeGateway()
    gateway.add_task("1")
    async with gateway.client(retry=RetryPolicy(budget=1)) as client:
        for successes in (5, 4):
            gateway.fail_next(1, status=503)
            await client.fetch_task("1")
            for _ in range(successes - 1):  # the retry was one
                await client.fetch_task("1")
        gateway.fail_next(1, status=503)
        with pytest.raises(errors.ServerError):
            await client.fetch_task("1")


async def test_the_time_in_the_queue_is_no_time_at_the_gate() -> None:
    """A call may be held for `max_retry_after` from when it has a slot, and not from its start."""
    at: list[float] = []

    async def answer(_: httpx.Request) -> httpx.Response:
        at.append(anyio.current_time())
        await anyio.sleep(10.0)
        held = httpx.Response(429, headers={"retry-after": "1"})
        return held if len(at) == 1 else httpx.Response(200, json={"id": "1"})

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with AsyncMJClient(
        "sk-key",
        base_url="https://gateway.test",
        dialect=Dialect(auth="bearer"),
        http_client=http_client,
        max_connections=1,
        retry=RetryPolicy(max_retry_after=5.0),
    ) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.fetch_task, "1")
            group.start_soon(client.fetch_task, "1")

    assert 3 == len(at)
    assert 11.0 <= at[1] <= 11.1
