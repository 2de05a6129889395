"""Samples of listing: 10,000 tasks by `list_tasks`, or by one GET for each."""

from __future__ import annotations

import asyncio
import time

from _fetching import CLIENTS, KEY

from mj_async import AsyncMJClient, Dialect

IDS = [str(1_730_621_826_000_000 + number) for number in range(10_000)]


async def lists(base_url: str, _name: str) -> float:
    """Return the CPU microseconds of one id in `list_tasks`."""
    async with AsyncMJClient(KEY, base_url=base_url, dialect=Dialect(auth="bearer")) as client:
        started = time.process_time()
        tasks = await client.list_tasks(IDS)
        cost = time.process_time() - started
    assert len(tasks) == len(IDS)
    return cost / len(IDS) * 1e6


async def gets(base_url: str, name: str, at_once: int) -> float:
    """Return the CPU microseconds of one id, by a GET for each, with `at_once` in flight.

    The answers are kept in memory, as `list_tasks` keeps its tasks.
    """
    remaining = iter(IDS)
    answers: list[object] = []
    async with CLIENTS[name](base_url) as fetch:

        async def fetch_remaining() -> None:
            answers.extend([await fetch(task_id) for task_id in remaining])

        started = time.process_time()
        await asyncio.gather(*(fetch_remaining() for _ in range(at_once)))
        cost = time.process_time() - started
    assert len(answers) == len(IDS)
    return cost / len(IDS) * 1e6
