"""Measure the memory of `image_seeds` for 200,000 ids and for 1,000,000: it must not grow.

Each run is a separate process, in which a transport answers without a network. Run it as
`python benchmarks/seeds_memory.py`. There are two kinds of input. In "listed" each task in the list
contains its seed. In "asked" every fiftieth seed needs a request, and half of these need a second
one, so hundreds of ids wait for it.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx

from mj_async import AsyncMJClient, Dialect

FEW, MANY = 200_000, 1_000_000
TARGET = 1.1
KINDS = ("listed", "asked")
# Code 9: the seed may be found later.
LATER = {"code": 9, "description": "not yet"}


class Answering(httpx.AsyncBaseTransport):
    """A transport that answers lists, with tasks of eight keys, and requests for seeds."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._asked: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer after one step of the event loop."""
        await asyncio.sleep(0)
        if request.method == "POST":
            answer: object = [self._row(one) for one in json.loads(request.content)["ids"]]
        else:
            answer = self._seed(request.url.path.split("/")[-2])
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer).encode()))

    def _row(self, task_id: str) -> dict[str, object]:
        carries = self._kind == "listed" or int(task_id) % 50
        return {
            "id": task_id,
            "action": "IMAGINE",
            "status": "SUCCESS",
            "progress": "100%",
            "prompt": f"a pig in poke {task_id}",
            "submitTime": 1730621826053,
            "imageUrl": f"https://cdn.example/{task_id}.png",
            **({"seed": task_id} if carries else {}),
        }

    def _seed(self, task_id: str) -> dict[str, object]:
        if int(task_id) % 100 == 0 and task_id not in self._asked:
            self._asked.add(task_id)
            return LATER
        self._asked.discard(task_id)
        return {"code": 1, "result": task_id}


def ids(count: int) -> Iterator[str]:
    """Return that number of ids, without a list of them."""
    return (f"17306218{number:08}" for number in range(count))


async def run(kind: str, count: int) -> int:
    """Look up all seeds, and return their number."""
    found = 0
    async with (
        httpx.AsyncClient(transport=Answering(kind)) as http_client,
        AsyncMJClient(
            "sk-benchmark",
            base_url="https://gateway.test",
            dialect=Dialect(auth="bearer"),
            http_client=http_client,
        ) as client,
        client.image_seeds(ids(count), ask_again_after=0.5) as outcomes,
    ):
        async for outcome in outcomes:
            found += outcome.seed is not None
    return found


def measure(kind: str, count: int) -> float:
    """Run a separate process, and return its peak memory in MB."""
    command = [sys.executable, __file__, kind, str(count)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak, seconds, cpu = map(float, output.split())
    print(f"{kind}: {count:9,} ids: {peak:6.1f} MB, {seconds:5.0f} s, {cpu / count * 1e6:4.0f} us")
    return peak


def main() -> None:
    """Measure both kinds with few and many ids; with arguments, do one of these runs."""
    if len(sys.argv) == 3:
        started = time.perf_counter()
        found = asyncio.run(run(sys.argv[1], int(sys.argv[2])))
        assert found == int(sys.argv[2]), found
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(peak, time.perf_counter() - started, time.process_time())
        return
    for kind in KINDS:
        few, many = measure(kind, FEW), measure(kind, MANY)
        print(f"{kind}: {MANY:,} / {FEW:,}: {many / few:.3f}, at most {TARGET}")


if __name__ == "__main__":
    main()
