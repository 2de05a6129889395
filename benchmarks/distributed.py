"""Measure distributed jobs: the CPU of a worker, the memory of Redis, the gain of more workers.

`python benchmarks/distributed.py [IDS]` starts its own redis-server and all processes. It measures:

- a million ids without HTTP, as a job and without Redis: the difference is the overhead of a job;
- a gateway that takes 0.4 s for a seed, with one worker and with three.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from mj_async import AsyncMJClient, Dialect, ImageSeed, SeedOutcome, Task
from mj_async.distributed import SeedJob

CPU_TARGET, MEMORY_TARGET, SCALE_TARGET = 10.0, 60.0, 2.5
SLOW_IDS, SLOW_SECONDS, SLOW_CONCURRENCY = 3000, 0.4, 16


def task_of(task_id: str) -> dict[str, str]:
    """Return a successful task, as a gateway does."""
    return {
        "id": task_id,
        "status": "SUCCESS",
        "prompt": f"a pig in a poke {task_id} --v 6.1",
        "imageUrl": f"https://cdn.example/attachments/{task_id}.png",
    }


class Ready(AsyncMJClient):
    """A client that has each seed at once."""

    @asynccontextmanager
    async def image_seeds(self, tasks: Any, **_options: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        """Yield an outcome for each id."""

        async def each() -> AsyncIterator[SeedOutcome]:
            for one in tasks:
                found = task_of(one)
                task = Task(
                    one, status="SUCCESS", prompt=found["prompt"], image_url=found["imageUrl"]
                )
                yield SeedOutcome(one, ImageSeed(one, one, "list", task))

        yield each()


class Slow(httpx.AsyncBaseTransport):
    """A slow gateway: each seed takes `SLOW_SECONDS`."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a list at once, and a seed after a while."""
        if request.method == "POST":
            answer: object = [task_of(one) for one in json.loads(request.content)["ids"]]
        else:
            await asyncio.sleep(SLOW_SECONDS)
            answer = {"code": 1, "result": request.url.path.split("/")[-2]}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer).encode()))


def ids_of(count: int) -> Iterator[str]:
    """Return that number of ids."""
    return (f"17306218{number:08}" for number in range(count))


async def look_up_alone(count: int) -> None:
    """Read the outcomes of the client, as a worker does, without Redis."""
    client = Ready(base_url="http://localhost", dialect=Dialect(auth="none"))
    async with client.image_seeds(ids_of(count)) as outcomes:
        async for _outcome in outcomes:
            pass


async def play(role: str, job: SeedJob, count: int, directory: str) -> None:
    """Run one role of a job."""
    dialect = Dialect(auth="none", ids="json", seed="path")
    if role == "alone":
        await look_up_alone(count)
    elif role == "submit":
        await job.submit(ids_of(count))
    elif role == "collect":
        await job.collect(directory)
    elif role == "work":
        await job.work(Ready(base_url="http://localhost", dialect=dialect))
    else:
        async with httpx.AsyncClient(transport=Slow()) as http_client:
            client = AsyncMJClient(
                base_url="http://localhost", dialect=dialect, http_client=http_client
            )
            await job.work(client, concurrency=SLOW_CONCURRENCY)


def play_and_report(arguments: list[str]) -> None:
    """Run one process of a job, and print its CPU time."""
    role, url, name, chunk_size, count, directory = arguments
    job = SeedJob(url, name, chunk_size=int(chunk_size))
    began = time.process_time()
    asyncio.run(play(role, job, int(count), directory))
    print(json.dumps({"role": role, "cpu": time.process_time() - began}))


@contextmanager
def redis_server(folder: str) -> Iterator[int]:
    """Run a Redis with an append-only file; the value is its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    options = ["--port", str(port), "--save", "", "--appendonly", "yes", "--dir", folder]
    command = ["redis-server", *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    yield port
    server.kill()
    server.wait()


def peak_memory(port: int) -> float:
    """Return the peak of Redis' memory in MB."""
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(b"INFO memory\r\n")
        answer = wire.recv(65536).decode()
    facts = dict(line.split(":", 1) for line in answer.split("\r\n") if ":" in line)
    return int(facts["used_memory_peak"]) / 1e6


def run_job(
    port: int, out: Path, roles: list[str], *, count: int, chunk_size: int = 500
) -> tuple[float, dict[str, float]]:
    """Run all processes of a job, and return the seconds and the CPU of each role."""
    given = [f"redis://127.0.0.1:{port}", out.name, str(chunk_size), str(count), str(out)]
    began = time.monotonic()
    running = [
        subprocess.Popen([sys.executable, __file__, "--part", role, *given], stdout=subprocess.PIPE)
        for role in roles
    ]
    reports = [json.loads(process.communicate()[0]) for process in running]
    took = time.monotonic() - began
    cpus: dict[str, float] = {}
    for one in reports:
        cpus[one["role"]] = cpus.get(one["role"], 0.0) + one["cpu"]
    return took, cpus


def holds(figure: float, target: float, *, at_least: bool = False) -> str:
    """Return the words for a target that holds or is missed."""
    good = figure >= target if at_least else figure <= target
    return "holds" if good else "**is missed**"


def run(count: int) -> None:
    """Run everything, and print the figures."""
    with tempfile.TemporaryDirectory() as folder, redis_server(folder) as port:
        out = Path(folder, "million")
        _, alone = run_job(port, out, ["alone"], count=count)
        took, cpus = run_job(port, out, ["submit", "collect", "work"], count=count)
        memory = peak_memory(port)
        lines = sum(path.read_bytes().count(b"\n") for path in out.iterdir())
        assert lines == count, lines
        seconds = {
            workers: run_job(
                port,
                Path(folder, f"slow-{workers}"),
                ["submit", "collect", *["slow"] * workers],
                count=SLOW_IDS,
                chunk_size=100,
            )[0]
            for workers in (1, 3)
        }
    each = {role: 1e6 * cpu / count for role, cpu in (alone | cpus).items()}
    cost, scale = each["work"] - each["alone"], seconds[1] / seconds[3]
    print(f"{count} ids without HTTP, one worker: {count / took:.0f} ids/s, {took:.0f} s")
    print(", ".join(f"{role} {cpu:.1f}" for role, cpu in each.items()), "us of CPU per id")
    judged = holds(cost, CPU_TARGET)
    print(f"a worker's overhead: {cost:.1f} us per id; at most {CPU_TARGET:g}: {judged}")
    judged = holds(memory, MEMORY_TARGET)
    print(f"peak memory of Redis: {memory:.1f} MB; at most {MEMORY_TARGET:g}: {judged}")
    judged = holds(scale, SCALE_TARGET, at_least=True)
    print(f"a slow gateway: one worker {seconds[1]:.1f} s, three {seconds[3]:.1f} s: ", end="")
    print(f"{scale:.2f} times as fast; at least {SCALE_TARGET}: {judged}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        play_and_report(sys.argv[2:])
    else:
        run(int((sys.argv[1:] or ["1000000"])[0]))
