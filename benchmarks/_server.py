"""The server of the benchmarks: it answers with prepared bytes, in a separate process.

`/fetch` and the list answer with the task of the published documents, with nine buttons, under the
requested id. A task whose id begins with `wait` is finished at its fourth poll. `/requests` answers
with the number of requests so far.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

SAMPLE = Path(__file__).parents[1] / "tests/samples/documented/fetch_winfull.json"
DOCUMENT = json.loads(SAMPLE.read_bytes())
POLLS = int(__import__("os").environ.get("POLLS", "4"))


def _split(status: str) -> tuple[bytes, bytes]:
    text = json.dumps({**DOCUMENT, "id": "\0", "status": status}, ensure_ascii=False)
    before, after = text.split('"\\u0000"')
    return before.encode(), after.encode()


DONE, WORKING = _split("SUCCESS"), _split("IN_PROGRESS")
polls: Counter[str] = Counter()
requests = 0


def write_task(task_id: str) -> bytes:
    """Return the task with that id as JSON."""
    before, after = DONE
    if task_id.startswith("wait"):
        polls[task_id] += 1
        before, after = DONE if polls[task_id] >= POLLS else WORKING
    return b'%s"%s"%s' % (before, task_id.encode(), after)


class Answering(asyncio.Protocol):
    """A connection that answers each complete request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transport is no subclass
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer if the request is complete."""
        global requests  # noqa: PLW0603  # one process, one server
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._received = b""
        requests += 1
        target = head.split(b" ", 2)[1].decode()
        if body:
            answer = b"[%s]" % b",".join(map(write_task, json.loads(body)["ids"]))
        elif target == "/requests":
            answer = b"%d" % requests
        else:
            answer = write_task(target.split("/")[-2])
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(answer) + answer)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """Run the server while the context is entered; the value is its address."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def _run() -> None:
    try:
        import uvloop  # noqa: PLC0415  # the server also runs without uvloop
    except ImportError:
        asyncio.run(_serve())
    else:
        uvloop.run(_serve())


if __name__ == "__main__":
    _run()
