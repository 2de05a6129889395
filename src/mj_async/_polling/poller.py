"""Many waits with one poll for all."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet, WeakValueDictionary

import anyio
import attrs

from .. import errors
from .._outcomes import OutcomeQueue, OutcomeStream, TaskOutcome
from .._protocol.parse import parse_task
from .batches import BatchScheduler
from .waiters import Waiters
from .watch import Watch, wait

if TYPE_CHECKING:
    from .._config import Polling
    from .._gateway.endpoints import Gateway
    from .._models import Task
    from .watch import WaitContext


class WaitCalls:
    """The calls that a client and a poller have in common; they differ in how a watch polls."""

    @abstractmethod
    def _watch(self, task_id: str, timeout: float | None, polling: Polling | None) -> Watch:
        """Check the arguments, and return a watch that has not started."""

    async def wait_for_task(
        self,
        task_id: str,
        *,
        timeout: float | None = 600.0,
        polling: Polling | None = None,
        on_update: Callable[[Task], object] | None = None,
        raise_on_failure: bool = True,
    ) -> Task:
        """Wait until a task has ended.

        A client sends the first poll at once, and the next ones by the schedule of `polling`. A
        poller rounds the schedule to its ticks. A failed poll is not a failed task: temporary
        errors do not end the wait.

        Args:
            task_id: The task's id.
            timeout: Seconds for the whole wait; None: no limit.
            polling: The schedule; None: that of the client or the poller.
            on_update: Called with the task when its status or progress has changed, in the
                caller's task; what it returns is awaited if it is awaitable. The timeout does not
                cut it, other waits go on meanwhile, and an exception from it ends the wait.
            raise_on_failure: True to raise an error for FAILURE and CANCEL; False to return the
                task.

        Returns:
            The final task.

        Raises:
            ConfigurationError: An argument cannot be used.
            ClientStateError: The client, or the poller, is closed.
            TaskFailedError: The task ended with FAILURE.
            TaskCancelledError: The task ended with CANCEL.
            TaskNeedsInputError: The task is MODAL: it does not go on without input.
            TaskStalledError: Nothing changed for `polling.stall_timeout`.
            WaitTimeoutError: The time is over; the error has the last task.
            TaskNotFoundError: The id was unknown for `polling.missing_grace`.
            AuthenticationError: The gateway refused the key, or its quota is used up. This ends
                all waits of a poller.
            PermissionDeniedError: The gateway does not allow this.
            MJError: `polling.max_consecutive_errors` polls in a row failed, the last one with
                this error; or base_url is wrong.
        """
        watch = self._watch(task_id, timeout, polling)
        return await wait(watch, on_update, raise_on_failure=raise_on_failure)

    def watch_task(
        self, task_id: str, *, timeout: float | None = 600.0, polling: Polling | None = None
    ) -> AsyncIterator[Task]:
        """Follow a task: `async for task in client.watch_task(task_id)`.

        Args:
            task_id: The task's id.
            timeout: Seconds for the whole wait; None: no limit.
            polling: The schedule; None: that of the client or the poller.

        Returns:
            An iterator over the changes of status or progress, the final one last, FAILURE and
            CANCEL too. The caller may leave it at any time.

        Raises:
            ConfigurationError: An argument cannot be used.
            MJError: While iterating, as `wait_for_task`.
        """
        return self._watch(task_id, timeout, polling)


class TaskPoller(WaitCalls):
    """Many waits with one poll for all; `client.task_poller()` makes it.

    Every `polling.interval` there is a tick. At a tick the tasks that are due are asked for in
    list calls of `batch_size` ids, spread over the tick: 500 waits cost 5 requests instead of
    500. Ids that the list leaves out, and all ids at a gateway without a list, are fetched one by
    one, at most `batch_size` a tick. At most 4 requests are in flight. Two waits for one id cost
    one poll, and without a wait no request is sent.

    A poller may be entered in one task and closed in another, or be used without `async with` and
    closed with `aclose()`.
    """

    def __init__(self, context: WaitContext, gateway: Gateway, batch_size: int) -> None:
        self._context = context
        self._scheduler = BatchScheduler(
            interval=context.polling.interval,
            jitter=context.polling.jitter,
            batch_size=batch_size,
            has_list=gateway.lists.is_usable,
        )
        self._waiters = Waiters(self._scheduler, gateway, context.clock, context.lifecycle)
        self._wait_for_news = self._waiters.wait_for_news  # one bound method for all watches
        self._registry = WatchRegistry()
        self._pending_at_close: tuple[dict[str, Any], ...] | None = None

    async def __aenter__(self) -> Self:
        self._context.lifecycle.check()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all waits with `ClientStateError`; a second call does nothing.

        Raises:
            ClientStateError: There are waits in another event loop.
        """
        if self._pending_at_close is None:
            self._pending_at_close = self.pending()
        if not self._context.lifecycle.close() and self._waiters.waiting:
            raise errors.ClientStateError("close this poller in the event loop in which it is used")
        await anyio.lowlevel.checkpoint()

    def feed(self, payload: bytes | str | Mapping[str, Any], *, trusted: bool = False) -> Task:
        """Use the body of a webhook (`notifyHook`).

        Webhooks are unsigned, repeated and out of order (gateways page, "Webhooks"). By default a
        webhook only makes the poll of its id due now. Polling goes on in any case, so a webhook
        that is lost does no harm. Call this in the event loop of the waits; from another thread,
        with `loop.call_soon_threadsafe(poller.feed, payload)`.

        Args:
            payload: The body as bytes or text, or its JSON object.
            trusted: True to use the task in it as an answer, without a request. Only for
                deliveries that you have authenticated yourself. A state before the last known one
                is ignored.

        Returns:
            The task in the webhook.

        Raises:
            UnexpectedAnswerError: The body is not a task, or has no id; the waits go on.
            ClientStateError: The poller, or its client, is closed, or is used in another event
                loop.
        """
        task = parse_task(payload)
        self._context.lifecycle.check()
        watches = self._registry.open_watches(task.id)
        for watch in watches:
            if trusted:
                watch.on_webhook(task)
            else:
                watch.is_urgent = True
        if not trusted:
            self._scheduler.mark_urgent(task.id)
        self._waiters.wake(watches)
        return task

    def pending(self) -> tuple[dict[str, Any], ...]:
        """Return the ids of the waits, to continue with them after a restart.

        Returns:
            A dict for each id, the oldest wait first, ready for JSON. It has `task_id`, and in
            Unix seconds `first_seen_at` and `deadline_at`, which is None without a deadline. A
            closed poller returns the waits that were pending when it was closed.
        """
        if self._pending_at_close is not None:
            return self._pending_at_close
        by_id: dict[str, list[Watch]] = {}
        for watch in self._registry:
            by_id.setdefault(watch.task_id, []).append(watch)
        found = map(_describe, by_id.values())
        return tuple(sorted(found, key=lambda one: one["first_seen_at"]))

    def _watch(self, task_id: str, timeout: float | None, polling: Polling | None) -> Watch:
        watch = self._context.watch(task_id, timeout, polling, self._wait_for_news)
        self._registry.add(watch)
        return watch


class WatchRegistry:
    """All watches of a poller that exist, also while their callers do not wait."""

    def __init__(self) -> None:
        self._first: WeakValueDictionary[str, Watch] = WeakValueDictionary()
        self._others: WeakSet[Watch] = WeakSet()  # of ids that have a first one

    def add(self, watch: Watch) -> None:
        """Add a watch, for as long as it exists."""
        if self._first.setdefault(watch.task_id, watch) is not watch:
            self._others.add(watch)

    def open_watches(self, task_id: str) -> list[Watch]:
        """Return the watches of an id that have started and have not ended."""
        first = self._first.get(task_id)
        others = [watch for watch in self._others if watch.task_id == task_id]
        return [watch for watch in (first, *others) if watch is not None and watch.is_open]

    def __iter__(self) -> Iterator[Watch]:
        watches = [*self._first.values(), *self._others]
        return (watch for watch in watches if watch.is_open)


def _describe(watches: list[Watch]) -> dict[str, Any]:
    ends = [None if one.timeout is None else one.first_seen_at + one.timeout for one in watches]
    known = [end for end in ends if end is not None]
    return {
        "task_id": watches[0].task_id,
        "first_seen_at": min(watch.first_seen_at for watch in watches),
        "deadline_at": max(known) if len(known) == len(ends) else None,
    }


@attrs.define(kw_only=True, eq=False)
class TaskWaits(OutcomeStream[TaskOutcome]):
    """The outcomes of many waits, which start at once and have a poller of their own."""

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
        """Raise nothing: each id has its outcome."""

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
