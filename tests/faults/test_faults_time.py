"""Faults 35 and 36: the time of day jumps, and five thousand tasks wait; on virtual time."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from email.utils import formatdate
from typing import Any

import anyio
import httpx
import pytest
from trio.testing import MockClock

from mj_async import AsyncMJClient, Polling, errors

pytestmark = pytest.mark.anyio

DAY = 86_400.0
STEADY = Polling(interval=3, factor=1, jitter=0)
SUCCESS = {"status": "SUCCESS", "progress": "100%", "imageUrl": "https://cdn.example/1.png"}
RUNNING = {"status": "IN_PROGRESS", "progress": "40%"}


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, with a clock that jumps when all tasks sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


class Slow(httpx.AsyncBaseTransport):
    """A slow transport; a task has succeeded at its last poll."""

    def __init__(self, lasting: float = 0.0, polls: int = 3) -> None:
        self._lasting = lasting
        self._polls = polls
        self._in_flight = 0
        self.most = 0
        self.at: dict[str, list[float]] = defaultdict(list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a fetch."""
        task_id = request.url.path.split("/")[3]
        self.at[task_id].append(anyio.current_time())
        self._in_flight += 1
        self.most = max(self.most, self._in_flight)
        await anyio.sleep(self._lasting)
        self._in_flight -= 1
        done = len(self.at[task_id]) >= self._polls
        return httpx.Response(200, json={"id": task_id, **(SUCCESS if done else RUNNING)})


def client_on(transport: httpx.AsyncBaseTransport, **options: Any) -> AsyncMJClient:
    """Build a client with this transport."""
    return AsyncMJClient(
        "sk-key",
        base_url="https://gateway.test",
        http_client=httpx.AsyncClient(transport=transport),
        **options,
    )


class Jumping(httpx.AsyncBaseTransport):
    """A transport that moves the time of day by a day at each request."""

    def __init__(self, jump: float, answers: list[httpx.Response]) -> None:
        self._answers = iter(answers)
        self._jumps = itertools.cycle([jump, -jump, -jump, jump])
        self._time_of_day = time.time
        self.shift = 0.0
        self.at: list[float] = []

    def time_of_day(self) -> float:
        """Return the time of day with the shift."""
        return self._time_of_day() + self.shift

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, and move the time of day."""
        self.at.append(anyio.current_time())
        self.shift += next(self._jumps)
        return next(self._answers)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the requests."""
        return [later - earlier for earlier, later in itertools.pairwise(self.at)]


def running(**fields: Any) -> httpx.Response:
    """Build the answer of a running task."""
    return httpx.Response(200, json={"id": "1", **RUNNING, **fields})


jumps = pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])


@jumps
async def test_fault_35_a_jump_moves_no_poll(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump of the time of day moves no poll."""
    wire = Jumping(jump, [running()] * 5 + [running(**SUCCESS)])
    monkeypatch.setattr(time, "time", wire.time_of_day)

    async with client_on(wire, polling=STEADY) as client:
        await client.wait_for_task("1")

    assert [3.0] * 5 == pytest.approx(wire.gaps)


@jumps
async def test_fault_35_a_jump_ends_no_wait(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump of the time of day does not end a wait early or late."""
    wire = Jumping(jump, [running()] * 100)
    monkeypatch.setattr(time, "time", wire.time_of_day)
    started = anyio.current_time()

    async with client_on(wire, polling=STEADY) as client:
        with pytest.raises(errors.WaitTimeoutError) as caught:
            await client.wait_for_task("1", timeout=100)

    assert 100.0 == pytest.approx(anyio.current_time() - started)
    assert 100.0 == pytest.approx(caught.value.elapsed)


@jumps
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_fault_35_a_jump_makes_no_retry_sooner_or_later(
    jump: float, status: int, *, as_date: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A jump does not change a Retry-After, even a date, for it counts from the answer's Date."""
    now = 784_111_777.0
    value = formatdate(now + 30, usegmt=True) if as_date else "30"
    busy = httpx.Response(
        status, headers={"retry-after": value, "date": formatdate(now, usegmt=True)}
    )
    wire = Jumping(jump, [busy, busy, running()])
    monkeypatch.setattr(time, "time", wire.time_of_day)

    async with client_on(wire) as client:
        await client.fetch_task("1", timeout=None)

    assert all(30.0 <= gap <= 33.0 + 1e-6 for gap in wire.gaps)
    assert 2 == len(wire.gaps)


async def wait_for_many(client: AsyncMJClient, number: int, **options: Any) -> Counter[str]:
    """Wait for many tasks together, and count their final statuses."""
    ended: Counter[str] = Counter()

    async def wait(task_id: str) -> None:
        task = await client.wait_for_task(task_id, **options)
        ended[task.status] += 1

    async with anyio.create_task_group() as group:
        for count in range(number):
            group.start_soon(wait, str(count))
    return ended


async def test_fault_36_five_thousand_waits_share_the_slots() -> None:
    """Five thousand waits have at most max_connections requests in flight, and all end."""
    slow = Slow(lasting=0.05, polls=2)
    started = anyio.current_time()

    async with client_on(slow) as client:
        ended = await wait_for_many(client, 5000)

    asked = [len(instants) for instants in slow.at.values()]
    assert {"SUCCESS": 5000} == ended
    assert 64 == slow.most
    assert (5000, {2}) == (len(asked), set(asked))
    # Fair: the first polls alone fill the slots for 3.9 s, the second ones follow in turn.
    assert max(instants[0] for instants in slow.at.values()) - started < 8.0
    assert anyio.current_time() - started < 12.0


async def test_fault_36_waits_that_begin_together_drift_apart() -> None:
    """Polls have jitter: a thousand waits that begin together do not poll together later."""
    slow = Slow(polls=5)
    started = anyio.current_time()

    async with client_on(slow, max_connections=1000) as client:
        await wait_for_many(client, 1000)

    for poll in range(1, 5):
        instants = [at[poll] - started for at in slow.at.values()]
        busiest = Counter(round(at / 0.1) for at in instants).most_common(1)[0][1]
        assert busiest < 250  # in one tenth of a second; evenly spread it is 111
    second = [at[1] - started for at in slow.at.values()]
    assert 2.55 <= min(second) < 2.65
    assert 3.35 < max(second) <= 3.45 + 1e-6
