"""Count the rooms, files, functions and stack frames of the package that one call goes through.

    python benchmarks/call_path.py [--check] [--list]

Two calls of a warm client are traced on asyncio, each over real TCP: one `fetch_task`, and one
wait of a poller whose task is finished at the second poll. Only frames of `mj_async` count, without
`mj_async.testing`, other packages, and code that attrs generates.

- rooms: a folder inside the package is one room, and a file directly in the package is one room.
- functions: different code objects. Until Python 3.11 a comprehension is a function, too.
- depth: the most frames of the package that are on the Python stack at once. A coroutine that
  awaits another one is on the stack while the other one runs.

With `--check` it exits with 1 if a figure is above its goal. With `--list` it also prints the
functions. It needs nothing but the package and the standard library.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import CodeType, FrameType
from typing import ClassVar

import mj_async
from mj_async import AsyncMJClient, Polling

PACKAGE = f"{Path(mj_async.__file__).parent}{os.sep}"
TESTING = f"{PACKAGE}testing{os.sep}"
KEY = "sk-call-path"
INTERVAL = 0.05
# rooms, functions, depth
GOALS = {"fetch": (8, 50, 11), "poller's wait": (10, 110, 15)}
TASK = {
    "action": "IMAGINE",
    "status": "SUCCESS",
    "progress": "100%",
    "prompt": "a pig in a poke",
    "submitTime": 1730621826053,
    "startTime": 1730621827053,
    "finishTime": 1730621856053,
    "imageUrl": "https://cdn.example/1.png",
    "buttons": [
        {"customId": "MJ::upsample::1", "emoji": "", "label": "U1", "type": 2, "style": 2},
        {"customId": "MJ::upsample::2", "emoji": "", "label": "U2", "type": 2, "style": 2},
    ],
}


class Gateway(BaseHTTPRequestHandler):
    """A gateway whose tasks are finished, but for `wait…`, which is finished at its second poll."""

    protocol_version = "HTTP/1.1"
    polled: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        """Answer with one task."""
        self._send(self._task(self.path.split("/")[-2]))

    def do_POST(self) -> None:
        """Answer with a list of tasks."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._send([self._task(task_id) for task_id in json.loads(body)["ids"]])

    def _task(self, task_id: str) -> dict[str, object]:
        if task_id.startswith("wait") and task_id not in self.polled:
            self.polled.add(task_id)
            return {"id": task_id, "status": "IN_PROGRESS", "progress": "50%"}
        return {"id": task_id, **TASK}

    def _send(self, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing for a request."""


class Server(ThreadingHTTPServer):
    """A server that waits for its threads at the end."""

    daemon_threads = False


@contextmanager
def serving() -> Iterator[str]:
    """Serve in other threads, which are not traced; the value is the address."""
    with Server(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class CallPath:
    """The functions of the package that ran while it was entered."""

    def __init__(self) -> None:
        self.functions: set[CodeType] = set()
        self.depth = 0

    def __enter__(self) -> None:
        sys.setprofile(self._record)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _record(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and _is_counted(frame.f_code):
            self.functions.add(frame.f_code)
            self.depth = max(self.depth, sum(_is_counted(one.f_code) for one in _stack(frame)))

    @property
    def files(self) -> set[str]:
        """The files of these functions, relative to the package."""
        return {code.co_filename.removeprefix(PACKAGE) for code in self.functions}

    @property
    def rooms(self) -> set[str]:
        """The folders inside the package, and the files directly in it."""
        return {file.partition(os.sep)[0] for file in self.files}


def _is_counted(code: CodeType) -> bool:
    file = code.co_filename
    return file.startswith(PACKAGE) and not file.startswith(TESTING)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


async def trace(call: Callable[[str], Awaitable[object]], name: str) -> CallPath:
    """Call once to warm up, and once to trace."""
    await call(f"{name}-1")
    path = CallPath()
    with path:
        await call(f"{name}-2")
    return path


async def measure(base_url: str) -> dict[str, CallPath]:
    """Trace the two calls."""
    polling = Polling(interval=INTERVAL)
    async with (
        AsyncMJClient(KEY, base_url=base_url, polling=polling) as client,
        client.task_poller() as poller,
    ):
        return {
            "fetch": await trace(client.fetch_task, "fetch"),
            "poller's wait": await trace(poller.wait_for_task, "wait"),
        }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="exit with 1 above the goals")
    parser.add_argument("--list", action="store_true", help="print the functions, too")
    options = parser.parse_args()
    with serving() as base_url:
        paths = asyncio.run(measure(base_url))
    print("| call | rooms | files | functions | depth |\n|---|---|---|---|---|")
    above = []
    for call, path in paths.items():
        figures = (len(path.rooms), len(path.functions), path.depth)
        print(f"| {call} | {figures[0]} | {len(path.files)} | {figures[1]} | {figures[2]} |")
        for figure, goal, what in zip(
            figures, GOALS[call], ("rooms", "functions", "depth"), strict=True
        ):
            if figure > goal:
                above.append(f"{call}: {what} {figure}, at most {goal}")
    if options.list:
        for call, path in paths.items():
            names = sorted((one.co_filename, one.co_firstlineno) for one in path.functions)
            qualified = {(c.co_filename, c.co_firstlineno): c.co_qualname for c in path.functions}
            print(f"\n{call}")
            for place in names:
                print(f"  {place[0].removeprefix(PACKAGE)}:{place[1]} {qualified[place]}")
    if options.check and above:
        sys.exit("\n".join(above))


if __name__ == "__main__":
    main()
