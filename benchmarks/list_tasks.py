"""What `list_tasks` of 10,000 ids costs in CPU, against one aiohttp GET and json.loads per id.

A server in a process of its own answers both with the published documents' task, of nine buttons.
They take turns, for machines drift; the ratios of the medians are what counts. What a GET costs
depends on how many are under way, so that three ratios are printed. It needs aiohttp, which
mj_async does not. Run it as `python benchmarks/list_tasks.py`.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import aiohttp

from mj_async import AsyncMJClient, Dialect

SAMPLE = Path(__file__).parents[1] / "tests/samples/documented/fetch_winfull.json"
TASK = json.loads(SAMPLE.read_bytes())
KEY = "sk-benchmark"
ROUNDS = 5
AT_ONCE = (1, 10, 100)
IDS = [str(1_730_621_826_000_000 + number) for number in range(10_000)]
TARGET = 0.25


def write(task_id: str) -> bytes:
    """Write the documents' task under another id."""
    return json.dumps({**TASK, "id": task_id}, ensure_ascii=False).encode()


class Answering(asyncio.Protocol):
    """Answers a list with an array, and anything else with one task."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer a request when it is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._received = b""
        if body:
            answer = b"[" + b",".join(map(write, json.loads(body)["ids"])) + b"]"
        else:
            answer = write(head.split(b"/")[3].decode())
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(answer)
            + answer
        )


async def serve() -> None:
    """Serve until killed, and say on which port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def ours(base_url: str) -> int:
    """List all of them."""
    async with AsyncMJClient(KEY, base_url=base_url, dialect=Dialect(auth="bearer")) as client:
        return len(await client.list_tasks(IDS))


async def singly(base_url: str, at_once: int) -> int:
    """Get one after another, so many at once, and read the JSON."""
    remaining = iter(IDS)
    headers = {"Authorization": f"Bearer {KEY}"}
    count = 0

    async def take_turns(session: aiohttp.ClientSession) -> None:
        nonlocal count
        for task_id in remaining:
            url = f"{base_url}/mj/task/{task_id}/fetch"
            async with session.get(url, headers=headers) as response:
                count += json.loads(await response.read())["id"] == task_id

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(take_turns(session) for _ in range(at_once)))
    return count


def cost(ask: Callable[[str], Awaitable[int]], base_url: str) -> float:
    """Tell the CPU microseconds of one id."""

    async def run() -> float:
        started = time.process_time()
        assert await ask(base_url) == len(IDS)
        return (time.process_time() - started) / len(IDS) * 1e6

    return asyncio.run(run())


def measure(base_url: str) -> dict[str, list[float]]:
    """Let all take their turns, for some rounds."""
    measured: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        measured.setdefault("list_tasks", []).append(cost(ours, base_url))
        for at_once in AT_ONCE:
            ask = partial(singly, at_once=at_once)
            measured.setdefault(f"aiohttp, {at_once} at once", []).append(cost(ask, base_url))
    return measured


def report(measured: dict[str, list[float]]) -> None:
    """Print the medians, and the ratios."""
    median = {name: statistics.median(values) for name, values in measured.items()}
    for name, values in measured.items():
        print(f"{name:>20}: {median[name]:6.1f} us an id  ({min(values):.1f} to {max(values):.1f})")
    for name in list(measured)[1:]:
        ratio = median["list_tasks"] / median[name]
        print(f"list_tasks / {name}: {ratio:.2f}, to be at most {TARGET}")


def main() -> None:
    """Measure, and print the table."""
    if "--serve" in sys.argv:
        asyncio.run(serve())
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            report(measure(f"http://127.0.0.1:{int(server.stdout.readline())}"))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
