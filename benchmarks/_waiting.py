"""Samples of waiting: many waits with one poll for all, or with one loop and request for each."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import httpx
from _fetching import HEADERS, KEY
from _server import DOCUMENT, POLLS

from mj_async import AsyncMJClient, Dialect, Polling

INTERVAL = 2.0
POLLING = Polling(interval=INTERVAL, factor=1.0, jitter=0)
DIALECT = Dialect(auth="bearer", ids="json")
IDLE_WAITS = 2000
Wait: TypeAlias = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def one_poll(base_url: str) -> AsyncIterator[Wait]:
    """Wait with a `TaskPoller`."""
    async with (
        AsyncMJClient(KEY, base_url=base_url, dialect=DIALECT, polling=POLLING) as client,
        client.task_poller() as poller,
    ):
        yield poller.wait_for_task


@asynccontextmanager
async def one_each(base_url: str) -> AsyncIterator[Wait]:
    """Wait with `wait_for_task`, each task alone."""
    async with AsyncMJClient(KEY, base_url=base_url, dialect=DIALECT, polling=POLLING) as client:
        yield client.wait_for_task


@asynccontextmanager
async def httpx_loop(base_url: str) -> AsyncIterator[Wait]:
    """Wait with httpx alone: a loop around a GET, and a semaphore for the pool."""
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
    gate = asyncio.Semaphore(8)
    async with httpx.AsyncClient(limits=limits) as client:

        async def wait(task_id: str) -> object:
            url = f"{base_url}/mj/task/{task_id}/fetch"
            while True:
                async with gate:
                    task = json.loads((await client.get(url, headers=HEADERS)).content)
                assert task["id"] == task_id
                if task["status"] in ("SUCCESS", "FAILURE"):
                    return task
                await asyncio.sleep(INTERVAL)

        yield wait


@asynccontextmanager
async def aiohttp_loop(base_url: str) -> AsyncIterator[Wait]:
    """Wait with the same loop around aiohttp."""
    import aiohttp  # noqa: PLC0415

    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def wait(task_id: str) -> object:
            url = f"{base_url}/mj/task/{task_id}/fetch"
            while True:
                async with session.get(url) as answer:
                    task = json.loads(await answer.read())
                assert task["id"] == task_id
                if task["status"] in ("SUCCESS", "FAILURE"):
                    return task
                await asyncio.sleep(INTERVAL)

        yield wait


WAYS = {
    "mj_async, one poll": one_poll,
    "mj_async, one each": one_each,
    "httpx, one each": httpx_loop,
    "aiohttp, one each": aiohttp_loop,
}


async def waits(base_url: str, name: str, count: int) -> dict[str, float]:
    """Return the CPU microseconds of one poll of one task, and the requests of one tick."""
    async with httpx.AsyncClient() as control, WAYS[name](base_url) as wait:
        before = int((await control.get(f"{base_url}/requests")).text)
        started = time.process_time()
        await asyncio.gather(*(wait(f"wait-{id(wait)}-{number}") for number in range(count)))
        cpu = time.process_time() - started
        requests = int((await control.get(f"{base_url}/requests")).text) - before - 1
    return {"cpu": cpu / count / POLLS * 1e6, "requests": requests / POLLS}


async def idle_memory(_base_url: str, name: str) -> float:
    """Return the bytes of one more idle wait, including the asyncio task of its caller."""
    seen = name == "a task seen"

    def answer(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["ids"] if request.method == "POST" else ["0"]
        tasks = [{"id": one, "status": "IN_PROGRESS", "progress": "1%"} for one in ids]
        found: object = (tasks if seen else []) if request.method == "POST" else DOCUMENT
        return httpx.Response(200, content=json.dumps(found).encode())

    slowly = Polling(interval=INTERVAL, max_interval=600.0)
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client,
        AsyncMJClient(
            KEY, base_url="https://none.example", dialect=DIALECT, http_client=http_client
        ) as client,
        client.task_poller(polling=slowly) as poller,
    ):
        tracemalloc.start()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        parked = [
            asyncio.ensure_future(poller.wait_for_task(f"{number:016}"))
            for number in range(IDLE_WAITS)
        ]
        await asyncio.sleep(1.5 * INTERVAL if seen else 0.0)
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / IDLE_WAITS
        for wait in parked:
            wait.cancel()
        await asyncio.gather(*parked, return_exceptions=True)
    return each
