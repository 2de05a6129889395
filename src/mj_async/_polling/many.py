"""The outcomes of many waits, as they end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import anyio
import attrs

from .. import errors
from .._outcomes import OutcomeQueue, OutcomeStream, TaskOutcome

if TYPE_CHECKING:
    from .poller import TaskPoller


@attrs.define(kw_only=True, eq=False)
class TaskWaits(OutcomeStream[TaskOutcome]):
    """Waits for many tasks: `async with` it, then `async for` over it.

    Args:
        task_ids: Distinct ids.
        timeout: Seconds for each wait; all begin at once. None: no limit.
        poller: A poller for these waits alone.
    """

    call = "wait_for_tasks"

    task_ids: list[str]
    timeout: float | None
    poller: TaskPoller

    def __attrs_post_init__(self) -> None:
        self._queue = OutcomeQueue(math.inf)

    async def __aenter__(self) -> Self:
        await self.poller.__aenter__()
        return await super().__aenter__()

    def _end(self) -> None:
        """Raise nothing: each id has had its outcome."""

    async def _work(self) -> None:
        try:
            async with anyio.create_task_group() as waits:
                for task_id in self.task_ids:
                    waits.start_soon(self._wait, task_id)
        except ExceptionGroup as faults:  # of a hook or a transport of the caller's
            self._fault = faults.exceptions[0]
        finally:
            self._queue.close()

    async def _wait(self, task_id: str) -> None:
        try:
            outcome = TaskOutcome(
                task_id, await self.poller.wait_for_task(task_id, timeout=self.timeout)
            )
        except errors.MJError as error:
            error.task_id = task_id
            outcome = TaskOutcome(task_id, error=error)
        self._queue.put(outcome)
