"""Measure the cost of a shared gate, and how well it keeps a rate; it needs redis-server.

Run it as `python benchmarks/shared_gate.py`. In each row some processes call `acquire` of a gate
with one rate as fast as possible, for five seconds; no request is sent. Two figures follow: the
time that a query of Redis adds to a single request, and the time until a hold reaches another
process.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import multiprocessing
import secrets
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator

from mj_async import errors
from mj_async.distributed import SharedGate

SECONDS, QUERIES, HOLDS = 5.0, 200, 30
# rate, and the number of callers in each process
CROWDS = [(5, [3]), (5, [3, 3, 3]), (40, [30, 30, 30]), (200, [50]), (200, [50, 50, 50])]
CROWDS += [(1400, [64]), (1400, [64, 64, 64]), (1400, [5, 64, 64])]


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Run a Redis; the value is its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.kill()
        server.wait()


def gate_of(url: str, key: str, rate: float | None) -> SharedGate:
    """Build a gate, as each process does."""
    return SharedGate(url, base_url="https://gateway.test", api_key=key, rate=rate)


async def _acquire(url: str, key: str, rate: float, callers: int) -> tuple[list[float], float]:
    gate, at = gate_of(url, key, rate), []
    await gate.acquire(deadline=None)
    began, until = time.process_time(), time.monotonic() + SECONDS

    async def caller() -> None:
        while time.monotonic() < until:
            await gate.acquire(deadline=None)
            at.append(time.monotonic())
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(caller()) for _ in range(callers)]
    await asyncio.sleep(SECONDS)
    for task in tasks:
        task.cancel()
    return at, time.process_time() - began


def _crowd(url: str, key: str, rate: float, callers: int, done: multiprocessing.Queue) -> None:
    done.put(asyncio.run(_acquire(url, key, rate, callers)))


def measure_crowd(url: str, rate: float, callers: list[int]) -> None:
    """Print the rate that was reached while all processes were calling."""
    key, done = secrets.token_hex(), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=_crowd, args=(url, key, rate, few, done)) for few in callers
    ]
    for process in processes:
        process.start()
    results = [done.get() for _ in processes]
    for process in processes:
        process.join()
    begin, end = max(at[0] for at, _ in results) + 1, min(at[-1] for at, _ in results)
    every = sorted(one for at, _ in results for one in at)
    reached = (bisect.bisect(every, end) - bisect.bisect(every, begin)) / (end - begin)
    most = max(bisect.bisect_left(every, one + 1) - number for number, one in enumerate(every))
    cpu = sum(seconds for _, seconds in results)
    print(
        f"rate {rate:4}, callers {callers!s:12}: {reached:6.1f}/s, at most {most:4} in a second;"
        f" CPU {1e3 * cpu / len(every):5.2f} ms per request,"
        f" {100 * cpu / SECONDS / len(callers):4.1f} % of a core per process"
    )


async def measure_query(url: str) -> None:
    """Print the time that a request waits for a query of Redis."""
    gate, times = gate_of(url, secrets.token_hex(), 1000), []
    for _ in range(QUERIES):
        await asyncio.sleep(0.11)
        began = time.perf_counter()
        await gate.acquire(deadline=None)
        times.append(time.perf_counter() - began)
    print(
        f"a query of Redis: {1e3 * statistics.median(times):.2f} ms,"
        f" the slowest {1e3 * max(times):.2f} ms"
    )


async def measure_hold(url: str) -> None:
    """Print the time until a hold reaches a gate that is in use all the time."""
    times = []
    for _ in range(HOLDS):
        key = secrets.token_hex()
        one, other = gate_of(url, key, None), gate_of(url, key, None)
        until = time.monotonic() + 0.2 + secrets.randbelow(100) / 1000
        while time.monotonic() < until:
            await other.acquire(deadline=None)
            await asyncio.sleep(0.001)
        await one.hold(5.0)
        began = time.perf_counter()
        with contextlib.suppress(errors.RateLimitError):
            while True:
                await other.acquire(deadline=-1)
                await asyncio.sleep(0.001)
        times.append(time.perf_counter() - began)
    mean = 1e3 * statistics.mean(times)
    print(f"a hold reaches others after {mean:.0f} ms, at most {1e3 * max(times):.0f} ms")


def main() -> None:
    """Measure, and print the figures."""
    with redis() as url:
        for rate, callers in CROWDS:
            measure_crowd(url, rate, callers)
        asyncio.run(measure_query(url))
        asyncio.run(measure_hold(url))


if __name__ == "__main__":
    main()
