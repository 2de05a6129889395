"""SharedGate with a real Redis: its rate, its holds, its failures, and its data in Redis."""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from coredis import Redis

from distributed._redis_server import RedisServer, free_port
from mj_async import Gate, errors
from mj_async.distributed import SharedGate

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
BASE_URL = "https://gateway.test"


def gate_of(server: RedisServer, **options: Any) -> SharedGate:
    """Return a new gate, as in another process."""
    return SharedGate(server.url, **{"base_url": BASE_URL, "api_key": KEY, **options})


async def refused(gate: SharedGate) -> float:
    """Return the seconds for which it refuses a request; 0: it does not."""
    try:
        await gate.acquire(deadline=anyio.current_time())
    except errors.RateLimitError as refusal:
        return refusal.retry_after or 0.0
    return 0.0


async def stored(server: RedisServer) -> dict[str, float]:
    """Return the fields of the only gate in Redis."""
    async with Redis.from_url(server.url) as redis:
        (name,) = await redis.keys()
        assert 0 < await redis.ttl(name)
        found = await redis.hgetall(name)
        return {field.decode(): float(value) for field, value in found.items()}


async def passed(gates: list[SharedGate], count: int) -> list[float]:
    """Acquire so many times, all at once, and return the times."""
    at: list[float] = []

    async def one(gate: SharedGate) -> None:
        await gate.acquire(deadline=None)
        at.append(time.monotonic())

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, gates[number % len(gates)])
    return sorted(at)


def all_bytes_in(folder: Path) -> bytes:
    """Return the content of all files in a folder."""
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


def max_per_second(at: list[float]) -> int:
    """Return the largest number of times within one second."""
    return max(sum(first <= one < first + 1.0 for one in at) for first in at)


# --- the rate ---------------------------------------------------------------------------------


async def test_it_is_a_gate(redis_server: RedisServer) -> None:
    """Without a rate and a hold, all requests pass."""
    gate: Gate = gate_of(redis_server)

    assert 50 == len(await passed([gate_of(redis_server)], 50))
    await gate.acquire(deadline=None)


@pytest.mark.parametrize("burst", [1, 10, 500])
async def test_a_rate_is_kept_by_several_together(redis_server: RedisServer, burst: int) -> None:
    """In any second, all gates together pass at most the rate, including the burst."""
    gates = [gate_of(redis_server, rate=40, burst=burst) for _ in range(3)]
    at = await passed(gates, 100)

    # The last of a hundred has its slot 99 intervals after the first, less a burst.
    assert 99 / 40 - min(burst, 40) / 40 - 0.2 <= at[-1] - at[0]
    assert max_per_second(at) <= 40 * 1.2


async def test_a_slow_rate_is_kept_in_turns(redis_server: RedisServer) -> None:
    """If slots are scarce, each process gets turns."""
    gates = [gate_of(redis_server, rate=8) for _ in range(3)]
    served = [0, 0, 0]

    async def go_on(number: int) -> None:
        while True:
            await gates[number].acquire(deadline=None)
            served[number] += 1

    with anyio.move_on_after(3.0):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(go_on, number)
                group.start_soon(go_on, number)

    assert sum(served) <= 8 + 3 * 8
    assert min(served) >= 2


async def test_slots_of_a_dead_process(redis_server: RedisServer) -> None:
    """The slots of a process that has died are lost, but others continue soon."""
    gone = gate_of(redis_server, rate=20)
    with anyio.move_on_after(0.5):
        await passed([gone], 500)
    before = time.monotonic()
    await gate_of(redis_server, rate=20).acquire(deadline=None)

    assert time.monotonic() - before <= 1.5


async def test_a_faster_rate_replaces_a_slower_one(redis_server: RedisServer) -> None:
    """A gate with a faster rate does not wait for a slot of the slower rate."""
    slow = gate_of(redis_server, rate=0.001)
    await slow.acquire(deadline=None)

    assert 900 <= await refused(slow)
    assert 2.5 >= await refused(gate_of(redis_server, rate=50))


async def test_callers_share_a_request_to_redis(redis_server: RedisServer) -> None:
    """A hundred callers at once need a few requests to Redis, not a hundred."""
    await passed([gate_of(redis_server, rate=1000, burst=100)], 100)
    async with Redis.from_url(redis_server.url) as redis:
        used: Any = await redis.info("commandstats")

    asked = sum(stats["calls"] for name, stats in used.items() if "eval" in name)
    assert 1 <= asked <= 20


async def test_two_keys_are_independent(redis_server: RedisServer) -> None:
    """Another key, or another address, has its own rate and holds; another spelling has not."""
    held = gate_of(redis_server, rate=1)
    await held.acquire(deadline=None)
    await held.hold(60.0)

    assert 0 < await refused(held)
    assert 0.0 == await refused(gate_of(redis_server, rate=1, api_key="sk-other"))
    assert 0.0 == await refused(gate_of(redis_server, rate=1, base_url=f"{BASE_URL}/other"))
    assert 0.0 < await refused(gate_of(redis_server, base_url=f"{BASE_URL}/mj/"))
    assert 0.0 < await refused(gate_of(redis_server, api_key=f"Bearer {KEY}"))


# --- holds ------------------------------------------------------------------------------------


async def test_a_hold_reaches_others_soon(redis_server: RedisServer) -> None:
    """Also gates with a valid grant, with or without slots."""
    holder = gate_of(redis_server)
    others = [gate_of(redis_server), gate_of(redis_server, rate=1000)]
    for other in others:
        await other.acquire(deadline=None)
    await holder.hold(30.0)
    await anyio.sleep(0.15)

    for gate in (holder, *others):
        assert 29.0 <= await refused(gate) <= 33.0


@pytest.mark.parametrize("rate", [None, 1e-300, 1e11])
async def test_extreme_holds_and_rates(redis_server: RedisServer, rate: float | None) -> None:
    """Any Retry-After and any rate can be obeyed."""
    gate = gate_of(redis_server, rate=rate)
    await gate.acquire(deadline=None)
    await gate.hold(1e15)

    assert 1e9 <= await refused(gate_of(redis_server, rate=rate)) <= 1.1e9


async def test_a_hold_is_slept_out_where_the_deadline_allows(redis_server: RedisServer) -> None:
    """A sleep that would end after the deadline does not begin."""
    gate = gate_of(redis_server)
    await gate.hold(0.3)
    before = time.monotonic()
    with pytest.raises(errors.RateLimitError, match="nothing was sent"):
        await gate.acquire(deadline=anyio.current_time() + 0.1)
    await gate.acquire(deadline=anyio.current_time() + 5.0)

    assert 0.29 <= time.monotonic() - before


async def test_holds_without_a_retry_after_double_for_all(redis_server: RedisServer) -> None:
    """The length is shared by all processes; a 429 within a hold does not double it."""
    one, other = gate_of(redis_server), gate_of(redis_server)
    async with anyio.create_task_group() as group:
        for gate in (one, other):
            for _ in range(8):
                group.start_soon(gate.hold, None)
    assert 1.0 == (await stored(redis_server))["next"]

    await anyio.sleep(0.6)
    await other.hold(None)
    assert 2.0 == (await stored(redis_server))["next"]
    assert 0.8 <= await refused(one) <= 1.1


async def test_a_hold_is_reported_later(redis_server: RedisServer) -> None:
    """A hold whose report was cancelled reaches Redis with the next request."""
    gate = gate_of(redis_server)
    await gate.acquire(deadline=None)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await gate.hold(30.0)

    assert 29.0 <= await refused(gate) <= 33.0
    assert 29.0 <= await refused(gate_of(redis_server)) <= 33.0


# --- Redis, away and back -----------------------------------------------------------------------


async def test_redis_may_go_and_come_back(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """While Redis is away, nothing passes, and one warning is logged; then it continues."""
    gate = gate_of(redis_server, rate=100)
    await gate.acquire(deadline=None)
    redis_server.kill()
    await anyio.sleep(0.11)
    with pytest.raises(errors.RateLimitError, match="cannot be reached") as caught:
        await gate.acquire(deadline=anyio.current_time())
    await gate.hold(None)  # this is not an error either
    await anyio.sleep(1.2)
    assert 0.5 <= await refused(gate) <= 1.1

    redis_server.start()
    await gate.acquire(deadline=anyio.current_time() + 20.0)
    assert f"127.0.0.1:{redis_server.port}" in str(caught.value)
    closed, again = caplog.messages
    assert closed.startswith("the shared gate is closed: Redis at 127.0.0.1:")
    assert f"the shared gate can reach 127.0.0.1:{redis_server.port} again" == again
    assert all(record.exc_info is None for record in caplog.records)


async def test_a_redis_that_hangs_is_away(redis_server: RedisServer) -> None:
    """A Redis that does not answer within two seconds counts as away, until it answers."""
    gate = gate_of(redis_server)
    assert redis_server._process is not None
    redis_server._process.send_signal(signal.SIGSTOP)
    try:
        assert 0 < await refused(gate)
    finally:
        redis_server._process.send_signal(signal.SIGCONT)
    await gate.acquire(deadline=None)


async def test_a_wrong_password_is_an_error_on_first_use(tmp_path: Path) -> None:
    """Each call raises it; the message does not show the password."""
    server = RedisServer(tmp_path / "locked", "--requirepass", "hush-hush")
    server.start()
    try:
        gate = SharedGate(
            server.url.replace("//", "//:wrong-word@"), base_url=BASE_URL, api_key=KEY
        )
        for _ in range(3):
            with pytest.raises(errors.ConfigurationError, match="refuses the user") as caught:
                await gate.acquire(deadline=None)
    finally:
        server.kill()

    assert "wrong-word" not in str(caught.value)


async def test_a_redis_that_has_worked_will_work_again(redis_server: RedisServer) -> None:
    """After it has worked once, no error of Redis is fatal: a bot may run for months."""
    gate = gate_of(redis_server, rate=1000)
    await gate.acquire(deadline=None)
    async with Redis.from_url(redis_server.url) as redis:
        (name,) = await redis.keys()
        await redis.set(name, "of another program")
    await anyio.sleep(0.11)

    with pytest.raises(errors.RateLimitError, match="cannot do what is needed"):
        await gate.acquire(deadline=anyio.current_time())


# --- what it is made of, and what it leaves -------------------------------------------------------


async def test_only_a_hash_goes_to_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    """Neither the key nor the address is in a command; here, Redis writes each to a file."""
    gate = gate_of(redis_server, rate=5)
    await gate.acquire(deadline=None)
    await gate.hold(None)
    written = all_bytes_in(tmp_path)

    assert b"mj_async:gate:" in written
    for secret in (KEY, KEY[3:], "gateway.test"):
        assert secret.encode() not in written


async def test_cancellation_at_any_moment(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Another caller takes over the request to Redis, nothing is logged, and it still works."""
    gate = gate_of(redis_server, rate=5000, burst=500)
    for number in range(60):
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(number / 15_000):
                group.start_soon(lambda: gate.acquire(deadline=None))
                await gate.acquire(deadline=None)
                await gate.hold(None if number % 20 == 0 else 0.001)

    await gate.acquire(deadline=anyio.current_time() + 20.0)
    assert [] == caplog.records


def test_one_event_loop_after_another(redis_server: RedisServer) -> None:
    """A gate keeps only numbers, so it works in a new event loop."""
    gate = gate_of(redis_server, rate=50)

    async def use() -> None:
        await gate.acquire(deadline=None)

    for _ in range(2):
        asyncio.run(use())
        anyio.run(use, backend="trio")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"redis_url": "localhost"}, "redis_url is not the address"),
        ({"api_key": ""}, "the key is empty"),
        ({"api_key": None}, "no key"),
        ({"base_url": None}, "no gateway"),
        ({"base_url": "gateway"}, "base_url"),
        ({"rate": 0}, "rate must be a finite number of requests a second above 0, not 0"),
        ({"rate": "5"}, "rate must be"),
        ({"rate": float("nan")}, "rate must be"),
        ({"burst": 0}, "burst must be a whole number"),
        ({"burst": 1.5}, "burst must be a whole number"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], complaint: str) -> None:
    """They are refused before anything is sent to Redis."""
    given = {"redis_url": "redis://localhost", "base_url": BASE_URL, "api_key": KEY, **options}
    with pytest.raises(errors.ConfigurationError, match=complaint) as caught:
        SharedGate(**given)

    assert KEY not in str(caught.value)


def test_key_and_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for `AsyncMJClient`."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    monkeypatch.setenv("MJ_BASE_URL", f"{BASE_URL}/mj")
    gate = SharedGate("redis://me:hush-hush@redis.test:7000/0", rate=2.5)

    assert "<SharedGate('https://gateway.test' by Redis at redis.test:7000, rate=2.5)>" == repr(
        gate
    )
    assert "rate" not in repr(SharedGate("redis://redis.test"))


@pytest.mark.parametrize("copy", [pickle.dumps, lambda gate: gate.__reduce_ex__(4)])
def test_it_cannot_be_pickled(copy: Callable[[Any], object]) -> None:
    """It holds a key and a password."""
    gate = SharedGate("redis://localhost", base_url=BASE_URL, api_key=KEY)
    with pytest.raises(TypeError, match="create one in each process"):
        copy(gate)


async def test_redis_may_start_later(caplog: pytest.LogCaptureFixture) -> None:
    """Redis may start after the bots; until then, one warning is logged."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    gate = SharedGate(url, base_url=BASE_URL, api_key=KEY)
    for _ in range(3):
        assert 0 < await refused(gate)

    assert ["WARNING"] == [record.levelname for record in caplog.records]
    assert logging.getLogger("mj_async").name == caplog.records[0].name
