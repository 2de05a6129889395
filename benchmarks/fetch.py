"""What a `fetch_task` costs in CPU, against bare httpx in the same run.

A server in a process of its own answers with the published documents' task. Ours and bare httpx
take turns, for machines drift; the ratios of the medians are what counts. Run it as
`nox -s bench`, or `python benchmarks/fetch.py`, or with `--base-url` against a server of yours:
what bare httpx costs at a hundred at once depends on how the server answers.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from mj_async import AsyncMJClient, Dialect

SAMPLE = Path(__file__).parents[1] / "tests/samples/documented/fetch_winfull.json"
BODY = SAMPLE.read_bytes()
TASK_ID = json.loads(BODY)["id"]
KEY = "sk-benchmark"
ROUNDS, REQUESTS = 5, 2000


class Answering(asyncio.Protocol):
    """Answers each request with the same bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY

    def data_received(self, data: bytes) -> None:
        """Answer each head."""
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for _ in heads:
            self._transport.write(self._answer)


async def serve() -> None:
    """Serve until killed, and say on which port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def cost(ask: Callable[[], Awaitable[object]], at_once: int) -> float:
    """Tell the CPU microseconds of one request, so many gathered at a time."""
    turns = max(1, REQUESTS // at_once)
    started = time.process_time()
    for _ in range(turns):
        await asyncio.gather(*(ask() for _ in range(at_once)))
    return (time.process_time() - started) / (turns * at_once) * 1e6


async def ours(base_url: str, at_once: int) -> float:
    """Fetch with an all-default client, but for the scheme, which is known."""
    async with AsyncMJClient(KEY, base_url=base_url, dialect=Dialect(auth="bearer")) as client:
        return await cost(lambda: client.fetch_task(TASK_ID), at_once)


async def bare(base_url: str, at_once: int) -> float:
    """Do the same with an all-default httpx client, and read the JSON."""
    url, headers = f"{base_url}/mj/task/{TASK_ID}/fetch", {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient() as client:

        async def ask() -> object:
            return json.loads((await client.get(url, headers=headers)).content)

        return await cost(ask, at_once)


async def warm(base_url: str, at_once: int) -> float:
    """Do the same with an httpx client that has had one request before, which is cheaper."""
    url, headers = f"{base_url}/mj/task/{TASK_ID}/fetch", {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient() as client:

        async def ask() -> object:
            return json.loads((await client.get(url, headers=headers)).content)

        await ask()
        return await cost(ask, at_once)


def main() -> None:
    """Measure in turns, and print the table."""
    if "--serve" in sys.argv:
        asyncio.run(serve())
    if "--base-url" in sys.argv:
        report(measure(sys.argv[sys.argv.index("--base-url") + 1]))
        return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            report(measure(f"http://127.0.0.1:{int(server.stdout.readline())}"))
        finally:
            server.kill()


def measure(base_url: str) -> dict[str, list[float]]:
    """Let all take their turns, for some rounds."""
    runs = [
        (ours, 1),
        (bare, 1),
        (ours, 10),
        (bare, 10),
        (ours, 100),
        (bare, 100),
        (warm, 100),
        (ours, 1000),
    ]
    measured: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for run, at_once in runs:
            name = f"{run.__name__} {at_once}"
            measured.setdefault(name, []).append(asyncio.run(run(base_url, at_once)))
    return measured


def report(measured: dict[str, list[float]]) -> None:
    """Print the medians, and the ratios that are targets."""
    for name, values in measured.items():
        middle, least, most = statistics.median(values), min(values), max(values)
        print(f"{name:>10} at once: {middle:6.0f} us  ({least:.0f} to {most:.0f})")
    median = {name: statistics.median(values) for name, values in measured.items()}
    for target, one, other in (
        ("1.10", "ours 1000", "ours 10"),
        ("0.33", "ours 100", "bare 100"),
        ("0.33", "ours 100", "warm 100"),
        ("1.05", "ours 1", "bare 1"),
    ):
        print(f"{one} / {other}: {median[one] / median[other]:.2f}, to be at most {target}")


if __name__ == "__main__":
    main()
