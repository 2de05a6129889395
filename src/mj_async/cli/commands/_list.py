"""`mj-async list`: many tasks as they are now."""

from __future__ import annotations

from typing import NoReturn

from mj_async import AsyncMJClient, TaskList, errors

from .._options import GatewayOptions, Source, TaskId
from ..files._ids import Ids
from ..output._exit_codes import DONE, INCOMPLETE
from ..output._run import run_and_exit
from ._task_report import TaskReport

# Four requests of a hundred ids, which the client sends at the same time.
_BATCH_SIZE = 400


def list_(
    *task_ids: TaskId,
    source: Source = None,
    json: bool = False,
    gateway: GatewayOptions = GatewayOptions(),  # noqa: B008
) -> NoReturn:
    """Show many tasks as they are now, one line each, in the order of the ids.

    Args:
        task_ids: The tasks' ids.
        source: A file of ids, one a line; "-" is standard input.
        json: Print each task as one line of JSON, with the gateway's field names.
        gateway: The gateway.
    """

    def work() -> int:
        client = gateway.make_client()
        ids = Ids(task_ids, source, client.watch_task)
        return ListRun(client, ids, as_json=json).run()

    run_and_exit(work)


class ListRun:
    """One run of `mj-async list`."""

    def __init__(self, client: AsyncMJClient, ids: Ids, *, as_json: bool) -> None:
        self._client = client
        self._ids = ids
        self._report = TaskReport("listed", ids, as_json)

    def run(self) -> int:
        """List all tasks, and return the exit code."""
        return self._report.run(self._list_all)

    async def _list_all(self) -> None:
        async with self._client:
            batch: list[str] = []
            async for task_id in self._ids:
                batch.append(task_id)
                if len(batch) == _BATCH_SIZE:
                    await self._list_batch(batch)
                    batch = []
            if batch:
                await self._list_batch(batch)

    async def _list_batch(self, batch: list[str]) -> None:
        try:
            self._report_batch(batch, await self._client.list_tasks(batch))
        except errors.MJError as error:
            received = error.partial or TaskList()
            self._report_batch(batch, received)
            known = {task.id for task in received}.union(received.missing)
            self._report.add_unanswered([one for one in batch if one not in known], error)
            raise

    def _report_batch(self, batch: list[str], tasks: TaskList) -> None:
        missing = frozenset(tasks.missing)
        for task_id in batch:
            if task_id in tasks:
                self._report.add(task_id, tasks[task_id], None, DONE)
            elif task_id in missing:
                unknown = errors.TaskNotFoundError(task_id=task_id)
                self._report.add(task_id, None, unknown, INCOMPLETE)
