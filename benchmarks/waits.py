"""What a thousand waits cost: one poll for all, against one coroutine and one poll for each.

A server in a process of its own answers `/fetch` and the list with the published documents' task,
unfinished for four polls of each id. Both ways wait in the same run, in turns, with ticks of 2 s.
It prints the requests of each tick, the CPU seconds, and their ratio; and what an idle waiter of a
poller takes in memory, the task of its caller included. Run it as `nox -s bench`, or
`python benchmarks/waits.py`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from mj_async import AsyncMJClient, Dialect, Polling, Task

SAMPLE = Path(__file__).parents[1] / "tests/samples/documented/fetch_winfull.json"
TASK = json.loads(SAMPLE.read_bytes())
KEY = "sk-benchmark"
DIALECT = Dialect(auth="bearer", ids="json")
POLLING = Polling(interval=2.0, factor=1.0, jitter=0)
WAITS, POLLS, ROUNDS = 1000, 4, 3
IDLE_WAITS = 2000


class Gateway(asyncio.Protocol):
    """Answers for any id; a task ends with its fourth poll, and tells the requests so far."""

    polls: dict[str, int] = {}  # noqa: RUF012  # one process, one gateway
    requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is there."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if not found or len(body) < length:
            return
        self._received = b""
        Gateway.requests += 1
        if head.startswith(b"POST"):
            answer: object = [self._task(one) for one in json.loads(body)["ids"]]
        else:
            answer = self._task(head.split(b"/")[3].decode())
        text = json.dumps(answer).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

    def _task(self, task_id: str) -> object:
        self.polls[task_id] = self.polls.get(task_id, 0) + 1
        done = self.polls[task_id] >= POLLS
        status = "SUCCESS" if done else "IN_PROGRESS"
        return {**TASK, "id": task_id, "status": status, "description": str(Gateway.requests)}


async def serve() -> None:
    """Serve until killed, and say on which port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Gateway, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def cost(
    client: AsyncMJClient, wait: Callable[[str], Awaitable[Task]], name: str
) -> tuple[float, float]:
    """Tell the CPU seconds of a thousand waits, and the requests a tick."""
    before = int((await client.fetch_task(f"{name}-before")).description or 0)
    started = time.process_time()
    tasks = await asyncio.gather(*(wait(f"{name}-{number}") for number in range(WAITS)))
    seconds = time.process_time() - started
    assert all(task.succeeded for task in tasks)
    after = int((await client.fetch_task(f"{name}-after")).description or 0)
    return seconds, (after - before - 1) / POLLS


async def measure(base_url: str) -> None:
    """Let both take turns, and print what they cost."""
    seconds: dict[str, list[float]] = {"one poll for each": [], "one poll for all": []}
    requests: dict[str, float] = {}
    for number in range(ROUNDS):
        for way, costs in seconds.items():
            async with (
                AsyncMJClient(KEY, base_url=base_url, dialect=DIALECT, polling=POLLING) as client,
                client.task_poller() as poller,
            ):
                waiter = poller if way == "one poll for all" else client
                name = f"{number}-{way[-4:].strip()}"
                cpu, requests[way] = await cost(client, waiter.wait_for_task, name)
                costs.append(cpu)
    for way, costs in seconds.items():
        cpu = statistics.median(costs)
        print(f"{way:18} {requests[way]:7.0f} requests a tick  {cpu:6.3f} s of CPU")
    each, together = (statistics.median(costs) for costs in seconds.values())
    print(f"CPU, all against each: {together / each:.3f} (target 0.06)")


async def idle_memory() -> None:
    """Print what one more parked waiter takes, before and after it has seen a task."""
    answer = json.dumps([]).encode()

    def answer_nothing(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, content=answer)
        return httpx.Response(200, content=json.dumps({**TASK, "status": "IN_PROGRESS"}))

    def answer_tasks(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["ids"]
        tasks = [{"id": one, "status": "IN_PROGRESS", "progress": "1%"} for one in ids]
        return httpx.Response(200, content=json.dumps(tasks).encode())

    for name, answer_with, seconds in (
        ("nothing seen yet", answer_nothing, 0.0),
        ("a task seen", answer_tasks, 3.0),
    ):
        http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer_with))
        async with (
            AsyncMJClient(
                KEY, base_url="https://none.example", dialect=DIALECT, http_client=http_client
            ) as client,
            client.task_poller(polling=Polling(interval=2.0, max_interval=600.0)) as poller,
        ):
            tracemalloc.start()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            waits = [
                asyncio.ensure_future(poller.wait_for_task(f"{number:016}"))
                for number in range(IDLE_WAITS)
            ]
            await asyncio.sleep(seconds)
            gc.collect()
            each = (tracemalloc.get_traced_memory()[0] - before) / IDLE_WAITS
            tracemalloc.stop()
            print(f"memory of an idle waiter, {name}: {each:.0f} bytes (target 3000)")
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        await http_client.aclose()


def main() -> None:
    """Measure, and print."""
    if "--serve" in sys.argv:
        asyncio.run(serve())
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            asyncio.run(measure(f"http://127.0.0.1:{int(server.stdout.readline())}"))
        finally:
            server.kill()
    asyncio.run(idle_memory())


if __name__ == "__main__":
    main()
