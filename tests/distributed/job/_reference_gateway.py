"""A reference gateway in its own process. It has a known outcome for each id, and counts requests.

It shares no code with the library. `python _reference_gateway.py PORT LIMIT SECONDS` serves it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

# What the gateway knows of each of ten ids.
KINDS = ["listed"] * 3 + ["asked"] * 3 + ["missing", "failed", "unfinished", "seedless"]
STATUSES = {"failed": "FAILURE", "unfinished": "IN_PROGRESS"}
ERRORS = {
    "missing": "TaskNotFoundError",
    "failed": "TaskFailedError",
    "unfinished": "SeedUnavailableError",
    "seedless": "SeedUnavailableError",
}
# The burst in seconds: if seven processes share two cores, it reads several requests at once that
# were sent one by one.
SHARE_AT_ONCE = 0.2


def kind_of(task_id: str) -> str:
    """Return what the gateway knows of an id."""
    return KINDS[int(task_id) * 7 % 10]


def expected_outcome(task_id: str) -> tuple[str | None, str | None]:
    """Return the seed, or the class of the error, of an id."""
    kind = kind_of(task_id)
    return (None, ERRORS[kind]) if kind in ERRORS else (f"7{task_id}", None)


def asked_for(ids: list[str]) -> int:
    """Return how many requests for seeds these ids need."""
    return sum(kind_of(one) in ("asked", "seedless") for one in ids)


class ReferenceGateway:
    """The responses of the gateway, and its counts.

    Args:
        limit: Requests per second above which it answers 429; 0: no limit.
        seconds: How long a seed takes.
    """

    def __init__(self, limit: float, seconds: float) -> None:
        self.seconds = seconds
        self._limit = limit
        self._most = SHARE_AT_ONCE * limit
        self._tokens, self._at = self._most, time.monotonic()
        self.counts: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the JSON for one request."""
        if path.endswith("/counts"):
            return 200, {**self.counts, "twice": sum(self.asked.values()) - len(self.asked)}
        if self._limit and not self._take():
            self.counts["refused"] += 1
            return 429, {}
        if path.endswith("/list-by-condition"):
            self.counts["lists"] += 1
            return 200, [self._row(one) for one in json.loads(body)["ids"] if _is_known(one)]
        task_id = path.split("/")[-2]
        self.counts["seeds"] += 1
        self.asked[task_id] += 1
        if kind_of(task_id) == "seedless":
            return 200, {"code": 3, "description": "no seed"}
        return 200, {"code": 1, "result": f"7{task_id}"}

    def _take(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._limit)
        self._at = now
        has_one = self._tokens >= 1
        self._tokens -= has_one
        return has_one

    def _row(self, task_id: str) -> dict[str, Any]:
        kind = kind_of(task_id)
        seed = {"seed": f"7{task_id}"} if kind == "listed" else {}
        return {"id": task_id, "status": STATUSES.get(kind, "SUCCESS"), "prompt": "小猪", **seed}


def _is_known(task_id: str) -> bool:
    return kind_of(task_id) != "missing"


class Connection(asyncio.Protocol):
    """One connection of HTTP/1.1, without pipelining."""

    def __init__(self, gateway: ReferenceGateway) -> None:
        self._gateway = gateway
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request when it is complete."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        if not end or len(body) < (lengths or [0])[0]:
            return
        self._received = b""
        path = head.split(b" ")[1].decode()
        status, answer = self._gateway.answer(path, body)
        delay = self._gateway.seconds if path.endswith("/image-seed") and status == 200 else 0
        asyncio.get_running_loop().call_later(delay, self._send, status, answer)

    def _send(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
        self._transport.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)


async def serve(port: int, limit: float, seconds: float) -> None:
    """Serve until the process is killed."""
    gateway = ReferenceGateway(limit, seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(gateway), "127.0.0.1", port)
    await server.serve_forever()


class ReferenceServer:
    """The reference gateway, in its own process.

    Args:
        port: The port.
        limit: Requests per second above which it answers 429; 0: no limit.
        seconds: How long a seed takes.
    """

    def __init__(self, port: int, *, limit: float = 0, seconds: float = 0.005) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(port), str(limit), str(seconds)]
        )
        self._wait()

    def _wait(self) -> None:
        give_up = time.monotonic() + 20
        while True:
            try:
                self.counts()
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)
            else:
                return

    def counts(self) -> dict[str, int]:
        """Return its counts of requests; "twice" counts the repeated ones for a seed."""
        with urllib.request.urlopen(f"{self.base_url}/counts", timeout=10) as answer:  # noqa: S310
            found: dict[str, int] = json.load(answer)
        return found

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
