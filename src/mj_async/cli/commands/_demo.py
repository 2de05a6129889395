"""`mj-async demo`: fetch, list, wait and look up seeds, over TCP, at a fake gateway."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mj_async import AsyncMJClient, Polling, Task
from mj_async.testing import FakeGateway

from ..output._run import run_and_exit, run_async

# The task of the published documents.
EXAMPLE_ID = "1730621826053455"
_WAITED_ID = "1730621826053456"
_FURTHER_TASKS = 220
_LISTED = 50
# Faster than Midjourney: a demo should not take a minute.
_TIMELINE = [
    (0, "SUBMITTED", "0%"),
    (1, "IN_PROGRESS", "15%"),
    (2, "IN_PROGRESS", "46%"),
    (3, "IN_PROGRESS", "78%"),
    (4, "SUCCESS", "100%"),
]
_DONE = [(0, "SUCCESS", "100%")]
_PRINT_EVERY = 50


def make_gateway() -> FakeGateway:
    """Return a fake gateway with the task of the documents and 220 more."""
    gateway = FakeGateway("newapi")
    gateway.add_task(EXAMPLE_ID, _DONE, seed="1387462901")
    for number in range(_FURTHER_TASKS):
        gateway.add_task(f"17306218270{number:05}", _DONE, seed=str(2_000_000_000 + 7 * number))
    return gateway


@attrs.define
class Demo:
    """The five steps of the demo. Each of them adds a row to the table at the end."""

    console: Console
    _gateway: FakeGateway = attrs.field(factory=make_gateway, init=False)
    _rows: list[tuple[str, str, int, float]] = attrs.field(factory=list, init=False)

    async def run(self) -> int:
        """Run all steps, print the table, and return the exit code."""
        ids = [EXAMPLE_ID, *(f"17306218270{number:05}" for number in range(_FURTHER_TASKS))]
        async with (
            self._gateway.serve() as base_url,
            AsyncMJClient(self._gateway.api_key, base_url=base_url) as client,
        ):
            self.console.print(f"A fake gateway listens on {base_url}.\n")
            await self._step("fetch one task", lambda: self._fetch(client))
            await self._step(f"list {_LISTED} tasks", lambda: self._list(client, ids[:_LISTED]))
            await self._step("wait for a task", lambda: self._wait(client))
            await self._step("look up its seed", lambda: self._seed(client))
            await self._step("look up all seeds", lambda: self._seeds(client, ids))
        self.console.print()
        self.console.print(self._table())
        return 0

    async def _step(self, name: str, work: Callable[[], Awaitable[str]]) -> None:
        started, before = time.perf_counter(), len(self._gateway.requests)
        result = await work()
        seconds = time.perf_counter() - started
        self._rows.append((name, result, len(self._gateway.requests) - before, seconds))
        self.console.print(f"[bold]{name}[/]: {result}")

    async def _fetch(self, client: AsyncMJClient) -> str:
        task = await client.fetch_task(EXAMPLE_ID)
        return f"{task.status}, {len(task.buttons)} buttons"

    async def _list(self, client: AsyncMJClient, ids: list[str]) -> str:
        tasks = await client.list_tasks([*ids, "0000000000000000"])
        return f"{len(tasks)} found, {len(tasks.missing)} unknown"

    async def _wait(self, client: AsyncMJClient) -> str:
        self._gateway.add_task(_WAITED_ID, _TIMELINE, seed="3141592653")
        polling = Polling(interval=0.5, factor=1.0)
        with self._progress() as progress:
            line = progress.add_task("waiting", total=100)

            def show(task: Task) -> None:
                progress.update(line, completed=task.progress, description=task.status.lower())
                self._print_if_piped(f"  {task.status} {task.progress_text}")

            task = await client.wait_for_task(_WAITED_ID, polling=polling, on_update=show)
        return f"{task.status} after {task.duration:.0f} s"

    async def _seed(self, client: AsyncMJClient) -> str:
        seed = await client.image_seed(_WAITED_ID)
        return f"{seed.seed}"

    async def _seeds(self, client: AsyncMJClient, ids: list[str]) -> str:
        found = 0
        with self._progress() as progress:
            line = progress.add_task("seeds", total=len(ids))
            async with client.image_seeds(ids) as outcomes:
                async for outcome in outcomes:
                    found += outcome.error is None
                    progress.advance(line)
                    if found % _PRINT_EVERY == 0:
                        self._print_if_piped(f"  {found} of {len(ids)} seeds")
        return f"{found} of {len(ids)} found"

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("  {task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def _print_if_piped(self, line: str) -> None:
        if not self.console.is_terminal:
            self.console.print(line)

    def _table(self) -> Table:
        # Folded, because the character for cut text is not in ASCII.
        table = Table(title="What was done")
        for heading in ("What", "Result"):
            table.add_column(heading, overflow="fold")
        for heading in ("Requests", "Seconds"):
            table.add_column(heading, justify="right", min_width=len(heading))
        for name, result, requests, seconds in self._rows:
            table.add_row(name, result, str(requests), f"{seconds:.2f}")
        return table


def demo() -> NoReturn:
    """Fetch, list, wait and look up seeds at a fake gateway on this computer."""
    run_and_exit(lambda: run_async(Demo(Console(highlight=False)).run))
