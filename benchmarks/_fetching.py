"""Samples of single fetches: the same requests by mj_async and by other clients.

Each client sends the same headers over kept connections, reads the JSON and checks the id, with the
best known settings.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpx

from mj_async import AsyncMJClient, Dialect

KEY = "sk-benchmark"
HEADERS = {"Authorization": f"Bearer {KEY}"}
Fetch: TypeAlias = Callable[[str], Awaitable[object]]


def read(content: bytes, task_id: str) -> object:
    """Parse a response, and check its id."""
    task = json.loads(content)
    assert task["id"] == task_id
    return task


@asynccontextmanager
async def mj_async(base_url: str, **options: Any) -> AsyncIterator[Fetch]:
    """Fetch with default settings, but with a known header for the key."""
    dialect = Dialect(auth="bearer")
    async with AsyncMJClient(KEY, base_url=base_url, dialect=dialect, **options) as client:
        yield client.fetch_task


def _fetch_with(client: Any, base_url: str) -> Fetch:
    async def fetch(task_id: str) -> object:
        answer = await client.get(f"{base_url}/mj/task/{task_id}/fetch", headers=HEADERS)
        return read(answer.content, task_id)

    return fetch


@asynccontextmanager
async def bare_httpx(base_url: str) -> AsyncIterator[Fetch]:
    """Fetch with an httpx client with default settings."""
    async with httpx.AsyncClient() as client:
        yield _fetch_with(client, base_url)


@asynccontextmanager
async def httpx_and_semaphore(base_url: str) -> AsyncIterator[Fetch]:
    """Fetch with httpx, eight requests at a time: the best setting for its pool."""
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
    async with httpx.AsyncClient(limits=limits) as client:
        fetch, gate = _fetch_with(client, base_url), asyncio.Semaphore(8)

        async def fetch_with_semaphore(task_id: str) -> object:
            async with gate:
                return await fetch(task_id)

        yield fetch_with_semaphore


@asynccontextmanager
async def httpx_aiohttp(base_url: str) -> AsyncIterator[Fetch]:
    """Fetch with httpx over aiohttp's connections."""
    from httpx_aiohttp import HttpxAiohttpClient  # noqa: PLC0415  # a process needs only one of them

    async with HttpxAiohttpClient() as client:
        yield _fetch_with(client, base_url)


@asynccontextmanager
async def httpx2(base_url: str) -> AsyncIterator[Fetch]:
    """Fetch with the fork of httpx whose pool is repaired."""
    import httpx2 as fork  # noqa: PLC0415

    async with fork.AsyncClient() as client:
        yield _fetch_with(client, base_url)


@asynccontextmanager
async def aiohttp(base_url: str) -> AsyncIterator[Fetch]:
    """Fetch with aiohttp."""
    import aiohttp as library  # noqa: PLC0415

    async with library.ClientSession(headers=HEADERS) as session:

        async def fetch(task_id: str) -> object:
            async with session.get(f"{base_url}/mj/task/{task_id}/fetch") as answer:
                return read(await answer.read(), task_id)

        yield fetch


@asynccontextmanager
async def streams(base_url: str) -> AsyncIterator[Fetch]:
    """Fetch with bare streams: the lowest possible cost."""
    url = urlsplit(base_url)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def fetch(task_id: str) -> object:
        connection = idle.pop() if idle else await asyncio.open_connection(url.hostname, url.port)
        reader, writer = connection
        writer.write(f"GET /mj/task/{task_id}/fetch HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        content = await reader.readexactly(int(head.rsplit(b":", 1)[1]))
        idle.append(connection)
        return content

    yield fetch
    for _, writer in idle:
        writer.close()


CLIENTS = {
    "mj_async": mj_async,
    "httpx": bare_httpx,
    "httpx, semaphore of 8": httpx_and_semaphore,
    "httpx over aiohttp": httpx_aiohttp,
    "httpx2": httpx2,
    "aiohttp": aiohttp,
    "bare streams": streams,
}


async def fetches(base_url: str, name: str, at_once: int, count: int, *, warm: bool) -> float:
    """Return the CPU microseconds of one request, with that number of requests at once.

    A warm client has sent one request before: it has read its certificates, and has its first
    connection.
    """
    async with CLIENTS[name](base_url) as fetch:
        if warm:
            await fetch("warm")
        turns = max(1, count // at_once)
        started = time.process_time()
        for turn in range(turns):
            await asyncio.gather(*(fetch(f"{turn}-{number}") for number in range(at_once)))
        return (time.process_time() - started) / (turns * at_once) * 1e6


async def burst(base_url: str, name: str, count: int) -> float:
    """Return how many requests of a burst on a new client are answered."""
    async with CLIENTS[name](base_url) as fetch:
        requests = (fetch(str(number)) for number in range(count))
        answers = await asyncio.gather(*requests, return_exceptions=True)
    return sum(not isinstance(answer, BaseException) for answer in answers)
