"""Wait for hundreds of tasks for minutes, with a gateway that misbehaves in every way.

It prints how the waits ended and which resources are left. It exits with 1 if a wait ended wrong or
a resource leaked. One wait in ten is cancelled and started again. With `--together` all waits use
one poller. Run it as `nox -s soak`, or `python benchmarks/soak.py --seconds 20`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from mj_async import AsyncMJClient, Dialect, Polling, TaskPoller, errors

KEY = "sk-soak"
TASK_SECONDS = 8.0
DOWN_EVERY, DOWN_SECONDS = 15.0, 1.0
# The faults of each kind in a hundred answers. A 429 pauses the whole client.
FAULTS = {"reset": 3, "half": 3, "stall": 1, "drip": 1, "429": 0.1, "502": 5, "close": 5}


class Gateway:
    """A gateway whose tasks take some seconds, and whose answers fail at random."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen: dict[str, float] = {}
        self._writers: set[asyncio.StreamWriter] = set()

    async def run(self) -> None:
        """Serve, with a restart every `DOWN_EVERY` seconds."""
        while True:
            server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, backlog=1024)
            print("up", flush=True)
            await asyncio.sleep(DOWN_EVERY)
            server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.sleep(DOWN_SECONDS)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not await self._answer(await self._read_task(head, reader), writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _read_task(self, head: bytes, reader: asyncio.StreamReader) -> object:
        """Return the answer to a request: one task, or a list."""
        if head.startswith(b"GET"):
            return self._task(head.split(b"/")[3].decode())
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        ids = json.loads(await reader.readexactly(length))["ids"]
        return [self._task(one) for one in ids]

    async def _answer(self, answer: object, writer: asyncio.StreamWriter) -> bool:
        fault = random.choices([*FAULTS, "none"], [*FAULTS.values(), 100 - sum(FAULTS.values())])[0]
        body = json.dumps(answer).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif fault == "half":
            writer.write(head + body[: len(body) // 2])
        elif fault == "stall":
            await asyncio.sleep(30)
        elif fault == "drip":
            writer.write(head)
            for byte in body:
                if writer.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.2)
        elif fault in ("429", "502"):
            wait = b"Retry-After: 1\r\n" if fault == "429" else b""
            writer.write(b"HTTP/1.1 %s No\r\n%sContent-Length: 0\r\n\r\n" % (fault.encode(), wait))
        else:
            writer.write(head + body)
        return fault in ("none", "429", "502")

    def _task(self, task_id: str) -> dict[str, object]:
        age = time.monotonic() - self._seen.setdefault(task_id, time.monotonic())
        if age < TASK_SECONDS:
            percent = f"{int(100 * age / TASK_SECONDS)}%"
            return {"id": task_id, "status": "IN_PROGRESS", "progress": percent}
        status = "FAILURE" if task_id.endswith("7") else "SUCCESS"
        return {"id": task_id, "status": status, "progress": "100%", "imageUrl": "https://cdn/1"}


def open_files() -> int:
    """Return the number of open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def resident_kib() -> int:
    """Return the resident memory of this process, in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


async def wait_on(
    waiter: AsyncMJClient | TaskPoller, number: int, until: float, ended: Counter[str]
) -> None:
    """Wait for one task after the other, and check how each wait ends."""
    polling = Polling(interval=1.0, factor=1.2, max_interval=3.0, max_consecutive_errors=60)
    options = 0
    while time.monotonic() < until:
        options += 1
        task_id = f"{options}0000{number}"
        if (number + options) % 10 == 0:
            with contextlib.suppress(TimeoutError, errors.TaskFailedError):
                async with asyncio.timeout(random.uniform(0.0, TASK_SECONDS)):
                    await waiter.wait_for_task(task_id, timeout=120.0, polling=polling)
            ended["cancelled"] += 1
        try:
            task = await waiter.wait_for_task(task_id, timeout=120.0, polling=polling)
            outcome = task.status
        except errors.MJError as error:
            outcome = type(error).__name__
        expected = "TaskFailedError" if task_id.endswith("7") else "SUCCESS"
        ended[outcome if outcome == expected else f"WRONG {outcome}"] += 1


async def soak(port: int, waits: int, seconds: float, *, together: bool) -> int:
    """Run the waits, print the leaks, and return the exit code."""
    before, ended, memory = open_files(), Counter[str](), []
    started = time.monotonic()
    client = AsyncMJClient(
        KEY,
        base_url=f"http://127.0.0.1:{port}",
        dialect=Dialect(auth="bearer", ids="json"),
        polling=Polling(interval=1.0),
        request_timeout=3.0,
    )
    async with client, client.task_poller() as poller, asyncio.TaskGroup() as group:
        waiter = poller if together else client
        for number in range(waits):
            group.create_task(wait_on(waiter, number, started + seconds, ended))
        while time.monotonic() < started + seconds:
            await asyncio.sleep(seconds / 12)
            memory.append(resident_kib())
            print(
                f"{time.monotonic() - started:5.0f} s  ended {ended.total():5}"
                f"  files {open_files():3}  tasks {len(asyncio.all_tasks()):3}"
                f"  memory {memory[-1]} KiB",
                flush=True,
            )
    gc.collect()
    files, tasks = open_files() - before, len(asyncio.all_tasks()) - 1
    growth = memory[-1] / memory[len(memory) // 3]
    print(f"ended: {dict(ended)}")
    print(f"left: {files} files, {tasks} tasks; memory of the last two thirds x {growth:.2f}")
    wrong = sum(count for outcome, count in ended.items() if outcome.startswith("WRONG"))
    return int(bool(wrong or files > 0 or tasks or growth > 1.15))


def main() -> int:
    """Start the gateway in a separate process, and run the waits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--waits", type=int, default=500)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(Gateway(options.serve).run())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--serve", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        gateway.stdout.readline()
        try:
            return asyncio.run(
                soak(port, options.waits, options.seconds, together=options.together)
            )
        finally:
            gateway.kill()


if __name__ == "__main__":
    sys.exit(main())
