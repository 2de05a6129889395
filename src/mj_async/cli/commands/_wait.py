"""`mj-async wait`: wait until each of many tasks has ended."""

from __future__ import annotations

from typing import NoReturn

import anyio

from mj_async import AsyncMJClient, Polling, Task, errors

from .._options import GatewayOptions, Source, TaskId
from ..files._ids import Ids
from ..output._exit_codes import DONE, INCOMPLETE, exit_code_for
from ..output._run import run_and_exit
from ..output._terminal import OutputError
from ._task_report import TaskReport

# A hundred list requests per poll. The input waits for a free place, so that memory is bounded.
_MAX_CONCURRENT = 10_000
# They would come for every other id as well.
_FATAL_ERRORS = (errors.AuthenticationError, errors.PermissionDeniedError)


def wait(
    *task_ids: TaskId,
    source: Source = None,
    timeout: float = 600.0,
    interval: float = 3.0,
    json: bool = False,
    gateway: GatewayOptions = GatewayOptions(),  # noqa: B008
) -> NoReturn:
    """Wait for tasks to end, and show each task when it ends.

    Args:
        task_ids: The tasks' ids.
        source: A file of ids, one a line; "-" is standard input.
        timeout: Seconds for the whole command.
        interval: Seconds between the first two polls; later polls are up to 10 seconds apart.
        json: Print each task as one line of JSON, with the gateway's field names.
        gateway: The gateway.
    """

    def work() -> int:
        client, polling = gateway.make_client(), Polling(interval=interval)
        client.watch_task("1", timeout=timeout, polling=polling)  # raises if an option is invalid
        ids = Ids(task_ids, source, client.watch_task)
        return WaitRun(client, ids, polling, timeout=timeout, as_json=json).run()

    run_and_exit(work)


class WaitRun:
    """One run of `mj-async wait`."""

    def __init__(
        self,
        client: AsyncMJClient,
        ids: Ids,
        polling: Polling,
        *,
        timeout: float,
        as_json: bool,
    ) -> None:
        self._client = client
        self._ids = ids
        self._polling = polling
        self._timeout = timeout
        self._report = TaskReport("ended", ids, as_json)
        self._progress = self._report.progress
        self._slots = anyio.Semaphore(_MAX_CONCURRENT)
        self._ended_by: Exception | None = None

    def run(self) -> int:
        """Wait for all tasks, and return the exit code."""
        return self._report.run(self._wait_for_all)

    async def _wait_for_all(self) -> None:
        self._deadline = anyio.current_time() + self._timeout
        async with (
            self._client as client,
            client.task_poller(polling=self._polling) as poller,
            anyio.create_task_group() as group,
        ):
            self._watch = poller.watch_task
            self._scope = group.cancel_scope
            async for task_id in self._ids:
                await self._slots.acquire()
                self._progress.update(task_id, None)
                group.start_soon(self._wait_for, task_id)
        if isinstance(self._ended_by, _FATAL_ERRORS):
            self._report.add_unanswered(list(self._progress.unfinished), self._ended_by)
        if self._ended_by is not None:
            raise self._ended_by

    def _stop(self, error: Exception) -> None:
        self._ended_by = self._ended_by or error
        self._scope.cancel()

    async def _wait_for(self, task_id: str) -> None:
        try:
            task, error = await self._watch_task(task_id)
            succeeded = task is not None and task.succeeded
            code = exit_code_for(error) or (DONE if succeeded else INCOMPLETE)
            self._report.add(task_id, task, error, code)
        except (*_FATAL_ERRORS, OutputError) as failure:
            self._stop(failure)
        finally:
            self._slots.release()

    async def _watch_task(self, task_id: str) -> tuple[Task | None, errors.MJError | None]:
        left, task = self._deadline - anyio.current_time(), None
        if left <= 0:
            return None, errors.WaitTimeoutError(task_id=task_id, task=None)
        try:
            async for task in self._watch(task_id, timeout=left):
                self._progress.update(task_id, task)
        except _FATAL_ERRORS:
            raise
        except errors.MJError as error:
            return task, error
        return task, None
