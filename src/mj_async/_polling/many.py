"""The outcomes of many waits, as they finish."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn, Self

import anyio
import attrs

from .. import errors
from .._outcomes import OutcomeQueue, OutcomeStream, TaskOutcome
from .batches import Place

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .._config import Polling
    from .batches import PollRequest
    from .waiters import Driver
    from .watch import WaitContext, Watch


def _nobody(_watch: Watch) -> NoReturn:
    raise AssertionError("the run asks for all its watches itself")


class _Pending(Place):
    """The place of an id of a run."""

    def __init__(self, watch: Watch, run: TaskWaits) -> None:
        super().__init__(watch)
        self._run = run

    def wake(self) -> None:
        """Settle it at once."""
        self._run.put_outcome(self.watch)


@attrs.define(kw_only=True, eq=False)
class TaskWaits(OutcomeStream[TaskOutcome]):
    """Waits for many tasks: `async with` it, then `async for` over it.

    Args:
        task_ids: Distinct ids.
        timeout: Seconds for all of it; None: for ever.
        polling: The schedule.
        waits: What the waits have in common.
        driver: Asks for all of them together.
    """

    call = "wait_for_tasks"

    task_ids: list[str]
    timeout: float | None
    polling: Polling | None
    waits: WaitContext
    driver: Driver
    _pending: dict[str, Place] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._queue = OutcomeQueue(math.inf)
        for task_id in self.task_ids:
            watch = self.waits.watch(task_id, self.timeout, self.polling, _nobody)
            watch.final_only = True
            self._pending[task_id] = _Pending(watch, self)

    async def __aenter__(self) -> Self:
        self.waits.lifecycle.check()
        return await super().__aenter__()

    def _end(self) -> None:
        """Raise nothing: each id has had its outcome."""

    async def _work(self) -> None:
        now = self.driver.clock.now()
        for place in self._pending.values():
            place.watch.start()
            self.driver.scheduler.join(place, now)
        try:
            with self.waits.lifecycle.move_on_at(
                None if self.timeout is None else now + self.timeout
            ):
                async with anyio.create_task_group() as requests:
                    await self._drive(requests)
                    requests.cancel_scope.cancel()
        finally:
            for place in tuple(self._pending.values()) if self._fault is None else ():
                self.put_outcome(place.watch)
            self._queue.close()

    async def _drive(self, requests: TaskGroup) -> None:
        while self._pending:
            await self.driver.sleep()
            while (request := self.driver.next_request()) is not None:
                requests.start_soon(self._send, request, requests)

    async def _send(self, request: PollRequest, requests: TaskGroup) -> None:
        try:
            await self.driver.send(request)
        except Exception as error:  # noqa: BLE001  # raised at the end of the iteration
            self._fault = error
            requests.cancel_scope.cancel()

    def put_outcome(self, watch: Watch) -> None:
        """Land the outcome of a watch that has ended, or has to."""
        try:
            task = watch.next_update()
        except errors.MJError as error:
            error.task_id = watch.task_id
            outcome = TaskOutcome(watch.task_id, error=error)
        else:
            failure = watch.failure()
            outcome = TaskOutcome(watch.task_id, None if failure else task, failure)
        self.driver.scheduler.leave(self._pending.pop(watch.task_id))
        self._queue.put(outcome)
