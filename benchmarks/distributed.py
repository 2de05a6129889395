"""A million ids through Redis without HTTP: the worker's CPU an id, and the memory of Redis.

`python benchmarks/distributed.py [IDS] [WORKERS]` starts a redis-server of its own. The client's
part costs what it costs without Redis, too, and is left out: outcomes are ready when asked for.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mj_async import AsyncMJClient, Dialect, ImageSeed, SeedOutcome, Task
from mj_async.distributed import SeedJob

TARGETS = {"worker CPU, us an id": 10, "memory of Redis, MB": 60}


class Ready(AsyncMJClient):
    """A client whose seeds are there at once."""

    @asynccontextmanager
    async def image_seeds(self, tasks: Any, **_options: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        """Give an outcome for each."""

        async def each() -> AsyncIterator[SeedOutcome]:
            for one in tasks:
                yield SeedOutcome(one, ImageSeed(one, one, "list", _task(one)))

        yield each()


def _task(task_id: str) -> Task:
    return Task(
        task_id,
        status="SUCCESS",
        prompt=f"a pig in a poke {task_id} --v 6.1",
        image_url=f"https://cdn.example/attachments/{task_id}.png",
    )


async def part(role: str, url: str, count: int, directory: str) -> None:
    """Play one part of the job, and print the CPU that it took."""
    job = SeedJob(url, "million")
    began = time.process_time()
    if role == "submit":
        await job.submit(f"17306218{number:08}" for number in range(count))
    elif role == "collect":
        await job.collect(directory)
    else:
        client = Ready(base_url="http://localhost", dialect=Dialect(auth="none"))
        await job.work(client)
    print(json.dumps({"role": role, "cpu": time.process_time() - began}))


def used(port: int) -> tuple[float, float]:
    """Give the memory of Redis in MB: now, and at its peak."""
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.sendall(b"INFO memory\r\n")
        said = wire.recv(65536).decode()
    facts = dict(line.split(":", 1) for line in said.split("\r\n") if ":" in line)
    return int(facts["used_memory"]) / 1e6, int(facts["used_memory_peak"]) / 1e6


def run(count: int, workers: int) -> None:
    """Run the job, and print what it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--save", "", "--appendonly", "yes", "--dir", folder]
        redis = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            before, began = used(port)[0], time.monotonic()
            cpus = _run_parts(f"redis://127.0.0.1:{port}", count, workers, folder)
            took, (_, peak) = time.monotonic() - began, used(port)
        finally:
            redis.kill()
            redis.wait()
        lines = sum(path.read_bytes().count(b"\n") for path in Path(folder, "out").iterdir())
    assert lines == count, lines
    each = {role: 1e6 * sum(found) / count for role, found in cpus.items()}
    print(f"{count} ids, {workers} workers, {count / took:.0f} ids/s, {took:.0f} s")
    print(", ".join(f"{role} {cpu:.1f} us an id" for role, cpu in each.items()))
    print(f"Redis: {before:.1f} MB before, {peak:.1f} MB at its peak; targets: {TARGETS}")


def _run_parts(url: str, count: int, workers: int, folder: str) -> dict[str, list[float]]:
    roles = ["submit", "collect", *["work"] * workers]
    command = [sys.executable, __file__, "--part"]
    running = [
        subprocess.Popen(
            [*command, role, url, str(count), str(Path(folder, "out"))], stdout=subprocess.PIPE
        )
        for role in roles
    ]
    cpus: dict[str, list[float]] = {}
    for process in running:
        said = json.loads(process.communicate()[0])
        cpus.setdefault(said["role"], []).append(said["cpu"])
    return cpus


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        role, url, count, directory = sys.argv[2:]
        asyncio.run(part(role, url, int(count), directory))
    else:
        run(int((sys.argv[1:] or ["1000000"])[0]), int((sys.argv[2:] or ["2"])[0]))
