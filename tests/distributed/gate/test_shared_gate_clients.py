"""Clients with a shared gate, in one process and in several."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from distributed._redis_server import RedisServer
from mj_async import Polling, errors
from mj_async.distributed import SharedGate
from mj_async.testing import FakeGateway, FakeRequest

pytestmark = pytest.mark.anyio

WORKER = Path(__file__).with_name("_gate_worker.py")
RATE, LIMIT = 40, 50


def max_per_second(requests: list[FakeRequest]) -> int:
    """Return the largest number of requests within one second."""
    at = [request.at for request in requests]
    return max(sum(first <= one < first + 1.0 for one in at) for first in at)


async def run_workers(count: int, words: list[str]) -> list[int]:
    """Run so many processes at once, and return how many requests each has sent."""
    sent: list[int] = []

    async def run() -> None:
        done = await anyio.run_process([sys.executable, str(WORKER), *words], stderr=None)
        sent.append(int(done.stdout))

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(run)
    return sent


async def test_processes_together_keep_below_the_gateways_limit(
    redis_server: RedisServer,
) -> None:
    """With a rate below the gateway's limit, all processes together stay below the limit."""
    gateway = FakeGateway()
    gateway.add_task("1")
    async with gateway.serve() as base_url:
        words = [redis_server.url, base_url, gateway.api_key, str(RATE), "3"]
        sent = await run_workers(3, words)
    requests = list(gateway.requests)

    assert len(requests) == sum(sent)
    assert min(sent) >= 3
    assert max_per_second(requests) <= LIMIT
    # They use most of the rate; it is not reached while the processes start.
    assert len(requests) >= 1.5 * RATE


async def test_a_429_of_one_process_holds_the_others(redis_server: RedisServer) -> None:
    """After the 429 of one client, another client sends nothing until the hold is over."""
    gateway = FakeGateway()
    gateway.add_task("1")

    def gate() -> SharedGate:
        return SharedGate(redis_server.url, base_url=gateway.base_url, api_key=gateway.api_key)

    gateway.fail_next(1, status=429, headers={"retry-after": "30"})
    async with gateway.client(gate=gate()) as one, gateway.client(gate=gate()) as other:
        with pytest.raises(errors.RateLimitError, match="HTTP 429"):
            await one.fetch_task("1", timeout=5.0)
        with pytest.raises(errors.RateLimitError, match="shared gate"):
            await other.fetch_task("1", timeout=5.0)

    assert 1 == len(gateway.requests)


async def test_waits_and_runs_go_on_when_redis_is_back(redis_server: RedisServer) -> None:
    """A call ends within its timeout and names the reason; waits and lookups continue later."""
    gateway = FakeGateway()
    gateway.add_task("1", seed="5")
    gate = SharedGate(redis_server.url, base_url=gateway.base_url, api_key=gateway.api_key)
    redis_server.kill()
    schedule = Polling(max_consecutive_errors=1)
    async with gateway.client(gate=gate, polling=schedule) as client:
        with pytest.raises(errors.RateLimitError, match="cannot be reached"):
            await client.fetch_task("1", timeout=0.5)
        assert 0 == len(gateway.requests)
        redis_server.start()

        assert "SUCCESS" == (await client.wait_for_task("1", timeout=None)).status
        async with client.image_seeds(["1"], max_asks=1) as outcomes:
            assert ["5"] == [outcome.unwrap().seed async for outcome in outcomes]
