"""A gate of the user's own: every request passes it, and it holds after a 429."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import pytest

from mj_async import AsyncMJClient, Dialect, Polling, RetryPolicy, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

DONE = [(0.0, "SUCCESS", "100%")]


@attrs.define
class Paced:
    """A gate as users write them: a request every so many seconds, on the gateway's clock."""

    gateway: FakeGateway
    every: float
    free_at: float = -math.inf
    passed: int = 0
    holds: list[float | None] = attrs.field(factory=list)

    async def acquire(self, *, deadline: float | None) -> None:
        """Sleep until one request may pass, unless that would pass the deadline."""
        while (left := self.free_at - self.gateway.now) > 1e-9:
            if deadline is not None and left > deadline - anyio.current_time():
                raise errors.RateLimitError(retry_after=left)
            await self.gateway._clock.sleep(left)
        self.free_at = self.gateway.now + self.every
        self.passed += 1

    async def hold(self, seconds: float | None) -> None:
        """Record nothing."""
        self.holds.append(seconds)
        self.free_at = max(self.free_at, self.gateway.now + (seconds or 1.0))


@attrs.define
class Open:
    """A gate that lets all pass, and records how long each may be held."""

    held: list[float | None] = attrs.field(factory=list)

    async def acquire(self, *, deadline: float | None) -> None:
        """Return at once."""
        self.held.append(deadline and deadline - anyio.current_time())

    async def hold(self, seconds: float | None) -> None:
        """Record nothing."""


@attrs.define
class Refusing:
    """A gate that refuses so often, from the `first` request on, with an error of its own."""

    times: float
    make: Callable[[], Exception]
    first: int = 1
    asked: int = 0

    async def acquire(self, *, deadline: float | None) -> None:
        """Refuse, or let pass."""
        self.asked += 1
        if self.first <= self.asked < self.first + self.times:
            raise self.make()

    async def hold(self, seconds: float | None) -> None:
        """Record nothing."""


def spaced(gateway: FakeGateway, every: float) -> bool:
    """Return True if no two requests came closer than that."""
    at = [request.at for request in gateway.requests]
    return all(later - at[0] >= every * number - 1e-6 for number, later in enumerate(at))


def made(count: int, **options: Any) -> FakeGateway:
    """Make a gateway with tasks that take a while."""
    gateway = FakeGateway(**options)
    for number in range(count):
        timeline = [(0.0, "IN_PROGRESS", "0%"), (20.0 + number, "SUCCESS", "100%")]
        gateway.add_task(f"w{number}", timeline)
        gateway.add_task(f"s{number}", DONE, seed=str(number))
    return gateway


async def fetches(client: AsyncMJClient) -> None:
    """Fetch many at once."""
    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(client.fetch_task, f"s{number}")


async def lists(client: AsyncMJClient) -> None:
    """List more than one call may have."""
    await client.list_tasks([f"s{number}" for number in range(30)])


async def waits(client: AsyncMJClient) -> None:
    """Wait, with a poll for each."""
    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(client.wait_for_task, f"w{number}")


async def polls(client: AsyncMJClient) -> None:
    """Wait, all together."""
    ids = [f"w{number}" for number in range(10)]
    async with client.wait_for_tasks(ids) as outcomes:
        assert 10 == len([outcome.unwrap() async for outcome in outcomes])


async def seeds(client: AsyncMJClient) -> None:
    """Look up seeds, with one question each."""
    ids = [f"s{number}" for number in range(10)]
    async with client.image_seeds(ids, max_asks=1, ask_again_after=0) as outcomes:
        found = [outcome.unwrap().seed async for outcome in outcomes]

    assert sorted(map(str, range(10))) == sorted(map(str, found))


CALLS = [fetches, lists, waits, polls, seeds]
Calls = Callable[[AsyncMJClient], Awaitable[None]]


DIALECTS = ["newapi", "onehub", "java", "csharp", "documented"]


@pytest.mark.parametrize(
    ("dialect", "calls"),
    [(one, calls) for one in DIALECTS for calls in CALLS if (one, calls) != ("java", seeds)],
)
async def test_each_request_passes_the_gate_once(dialect: Any, calls: Calls) -> None:
    """As many pass as requests are sent, at the gate's rate, whatever has to be found out."""
    gateway = made(30, dialect=dialect)
    gate = Paced(gateway, every=0.5)
    async with gateway.client(gate=gate) as client:
        await calls(client)

        assert client.statistics().requests == gate.passed

    assert gate.passed == len(gateway.requests)
    assert spaced(gateway, 0.5)


@pytest.mark.parametrize("calls", CALLS)
async def test_failures_pass_the_gate_once_each(calls: Calls) -> None:
    """A retry is a request; each 429 holds the gate, with its Retry-After or without."""
    gateway = made(30)
    gate = Paced(gateway, every=0.25)
    if calls is not seeds:  # there each is sent once
        gateway.fail_next(2, status=503)
    gateway.fail_next(1, status=429, headers={"retry-after": "7"})
    gateway.fail_next(1, status=429)
    async with gateway.client(gate=gate, retry=RetryPolicy(attempts=5)) as client:
        await calls(client)

    assert [7.0, None] == gate.holds
    assert gate.passed == len(gateway.requests)
    assert spaced(gateway, 0.25)


async def test_a_poller_and_feeds_pass_the_gate() -> None:
    """A poll that a webhook brings forward is a request like any other."""
    gateway = made(5)
    gate = Paced(gateway, every=1.0)
    async with gateway.client(gate=gate) as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(poller.wait_for_task, f"w{number}")
            await gateway.advance(21.0)
            poller.feed({"id": "w3", "status": "IN_PROGRESS"})

    assert gate.passed == len(gateway.requests)
    assert spaced(gateway, 1.0)


async def test_a_refusal_ends_a_call_before_it_is_sent() -> None:
    """The gate's error is raised with the task's id, and takes neither attempts nor budget."""
    gateway = made(1)
    refusal = errors.RateLimitError(status_code=429, retry_after=20.0, description="busy")
    gate = Refusing(1, lambda: refusal)
    async with gateway.client(gate=gate, retry=RetryPolicy(attempts=2, budget=1)) as client:
        with pytest.raises(errors.RateLimitError, match="busy") as caught:
            await client.fetch_task("s0")
        gateway.fail_next(1, status=503)
        await client.fetch_task("s0")  # by the one retry of the budget

        assert (2, 1) == (client.statistics().requests, client.statistics().retries)

    assert (None, "s0", 20.0) == (
        caught.value.status_code,
        caught.value.task_id,
        caught.value.retry_after,
    )


async def test_a_refusal_of_a_retry_raises_what_the_gateway_said() -> None:
    """The gate's error says less than the failure before it."""
    gateway = made(1)
    gateway.fail_next(1, status=503)
    gate = Refusing(1, lambda: errors.RateLimitError(retry_after=20.0), first=2)
    async with gateway.client(gate=gate) as client:
        with pytest.raises(errors.ServerError):
            await client.fetch_task("s0")

        assert (1, 0) == (client.statistics().requests, client.statistics().retries)


@pytest.mark.parametrize(
    ("timeout", "expected"), [(50.0, 50.0), (None, 1.1 * 120.0), (600.0, 1.1 * 120.0)]
)
async def test_a_call_is_held_until_its_deadline_and_max_retry_after(
    timeout: float | None, expected: float
) -> None:
    """So it is for each attempt; the tenth is for gates that lengthen a Retry-After."""
    gateway = made(1)
    gateway.fail_next(1, status=503, headers={"retry-after": "10"})
    gate = Open()
    async with gateway.client(gate=gate) as client:
        await client.fetch_task("s0", timeout=timeout)

    first, second = gate.held
    assert expected == pytest.approx(first, abs=0.01)
    assert second == pytest.approx(39.5 if timeout == 50.0 else expected, abs=0.6)


async def test_a_wait_and_a_bulk_lookup_are_held_for_any_time() -> None:
    """Their requests have no deadline of their own at the gate."""
    gateway = made(1)
    gate = Open()
    async with gateway.client(gate=gate) as client:
        await client.wait_for_task("w0", timeout=900.0)
        async with client.image_seeds(["s0"]) as outcomes:
            assert ["0"] == [outcome.unwrap().seed async for outcome in outcomes]

    assert {None} == set(gate.held)


async def test_time_at_the_gate_is_no_time_of_the_request() -> None:
    """A gate that holds for longer than request_timeout cuts no request."""
    gateway = made(2)
    gate = Paced(gateway, every=30.0)
    async with gateway.client(gate=gate, request_timeout=5.0) as client:
        await client.fetch_task("s0")
        await client.fetch_task("s1")

    assert [0.0, 30.0] == [request.at for request in gateway.requests]


async def test_a_wait_asks_again_when_a_refusal_says() -> None:
    """A refusal is no failed poll, and does not use up the grace of an unknown id."""
    gateway = FakeGateway()
    gate = Refusing(20, lambda: errors.RateLimitError(retry_after=200.0))
    schedule = Polling(max_consecutive_errors=1, missing_grace=10.0, jitter=0)
    async with gateway.client(gate=gate, polling=schedule) as client:
        with pytest.raises(errors.TaskNotFoundError):
            await client.wait_for_task("1", timeout=None)

    first, *_, last = [request.at for request in gateway.requests]
    assert 20 * 200.0 <= first <= 20 * 220.0
    assert 10.0 == pytest.approx(last - first)


async def test_a_wait_ends_at_its_deadline_at_the_gate() -> None:
    """A sleep at the gate is cut by the wait's own timeout."""
    gateway = made(1)
    gate = Paced(gateway, every=0.0, free_at=200.0)
    async with gateway.client(gate=gate) as client:
        with pytest.raises(errors.WaitTimeoutError):
            await client.wait_for_task("w0", timeout=30.0)

    assert 30.0 == pytest.approx(gateway.now)


async def test_the_key_is_found_out_at_the_pace_of_a_gate() -> None:
    """The calls try the headers at that pace, and no header twice."""
    gateway = made(30, dialect="java")
    gate = Paced(gateway, every=1.5)
    async with gateway.client(gate=gate, dialect=Dialect(auth="auto")) as client:
        await fetches(client)

        assert "mj-api-secret" == client.statistics().dialect.auth

    assert 31 == len(gateway.requests)


async def test_a_refused_key_is_found_out_at_the_pace_of_a_gate() -> None:
    """It is three requests, and the first refusal is what all raise."""
    gateway = made(1)
    gate = Paced(gateway, every=3.0)
    refusals = []
    async with gateway.client(gate=gate, api_key="sk-other") as client:

        async def fetch() -> None:
            with pytest.raises(errors.AuthenticationError) as caught:
                await client.fetch_task("s0")
            refusals.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(fetch)

    assert 2 == len(refusals)
    assert 6 >= len(gateway.requests)
    assert gate.passed == len(gateway.requests)


class Broken(Exception):  # noqa: N818  # a user's
    """What a gate of the user's raises."""


@pytest.mark.parametrize("calls", CALLS)
async def test_what_else_a_gate_raises_reaches_the_caller(calls: Calls) -> None:
    """It is neither swallowed nor tried again, in waits and runs either."""
    gateway = made(30)
    gate = Refusing(math.inf, lambda: Broken("no"))  # for ever
    async with gateway.client(gate=gate) as client:
        with pytest.raises((Broken, ExceptionGroup)) as caught:
            await calls(client)

    assert isinstance(caught.value, Broken) or caught.group_contains(Broken)
    assert () == tuple(gateway.requests)


async def test_clients_share_a_gate() -> None:
    """A 429 of one client holds back the other, where they have one gate."""
    gateway = made(1)
    gate = Paced(gateway, every=0.0)
    gateway.fail_next(1, status=429, headers={"retry-after": "30"})
    async with gateway.client(gate=gate) as one, gateway.client(gate=gate) as other:
        with pytest.raises(errors.RateLimitError):
            await one.fetch_task("s0", timeout=5.0)
        await other.fetch_task("s0")

    assert 30.0 == pytest.approx(gateway.requests[-1].at, abs=0.1)


class Half:
    """A gate that lacks a method."""

    async def acquire(self, *, deadline: float | None) -> None:
        """Return at once."""


@pytest.mark.parametrize("gate", [Half(), Paced, "gate", 5, False])
def test_what_is_no_gate_is_refused(gate: Any) -> None:
    """It says what is missing, before anything is sent."""
    with pytest.raises(errors.ConfigurationError, match="gate must be an object with the methods"):
        FakeGateway().client(gate=gate)
