"""Waiting for one task: what an answer means for the wait."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, Self

import attrs

from .. import _config, errors
from .._config import Polling
from .._http.retry import with_jitter
from .._models import Task, TaskStatus, is_change, is_further, lacks_picture
from .._outcomes import failure_of
from .schedule import ErrorTolerance, Schedule

if TYPE_CHECKING:
    from types import TracebackType

    from .._clock import Clock
    from .._lifecycle import Lifecycle

_PICTURE_PAUSE = 2.0


@attrs.frozen(kw_only=True, eq=False)
class WaitContext:
    """What all waits of a client, or of a poller, have in common.

    Args:
        clock: Time.
        lifecycle: Ends the waits when the client is closed.
        polling: The schedule of those that bring none.
        had_good_answer: Whether the client has ever had one.
        slack: That of `Schedule`.
    """

    clock: Clock
    lifecycle: Lifecycle
    polling: Polling
    had_good_answer: Callable[[], bool]
    slack: float = 0.0

    def watch(
        self,
        task_id: str,
        timeout: float | None,
        polling: Polling | None,
        sit: Callable[[Watch], Stay],
    ) -> Watch:
        """Make a wait.

        Raises:
            ConfigurationError: An argument cannot be used.
        """
        _config.check_timeout(timeout)
        schedule = self.polling if polling is None else polling
        _config.check_instance("polling", schedule, Polling)
        return Watch(_config.check_id(task_id), self, sit, schedule, timeout)


class Stay(Protocol):
    """The time during which a watch is asked for: `with` it, as many steps as it takes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...

    def step(self) -> Awaitable[None]:
        """Give what is to be awaited next, as long as there is no news."""


@attrs.define(eq=False)
class Watch:
    """One wait for one task: an iterator over its changes, the final one last.

    It decides what an answer means for the wait; who asks, and when exactly, is a `Stay`'s.
    `has_news` tells that there is something to give: a change, or what ends the wait. With
    `final_only` a change is no news.

    Args:
        task_id: The task's id.
        context: What it has in common with others.
        sit: Begins to ask for it, near the times that are due.
        polling: The schedule, and what is put up with.
        timeout: Seconds for the whole wait; None: for ever.
    """

    task_id: str
    context: WaitContext
    _sit: Callable[[Watch], Stay]
    polling: Polling
    timeout: float | None
    task: Task | None = attrs.field(default=None, init=False)
    polls: int = attrs.field(default=0, init=False)
    is_urgent: bool = attrs.field(default=False, init=False)
    has_news: bool = attrs.field(default=False, init=False)
    final_only: bool = attrs.field(default=False, init=False)
    first_seen_at: float = attrs.field(default=0.0, init=False)
    _schedule: Schedule = attrs.field(init=False)
    _tolerance: ErrorTolerance = attrs.field(init=False)
    _last_update: Task | None = attrs.field(default=None, init=False)
    _failure: errors.MJError | None = attrs.field(default=None, init=False)
    _lacks_picture: bool = attrs.field(default=False, init=False)
    _started: float | None = attrs.field(default=None, init=False)
    _changed_at: float = attrs.field(default=0.0, init=False)
    _trusted_at: float = attrs.field(default=-math.inf, init=False)
    _is_iterating: bool = attrs.field(default=False, init=False)
    _is_done: bool = attrs.field(default=False, init=False)
    _is_expired: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        context, polling = self.context, self.polling
        self._schedule = Schedule(polling=polling, slack=context.slack)
        self._tolerance = ErrorTolerance(polling=polling, had_good_answer=context.had_good_answer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Task:
        """Give the next change of status or progress.

        Raises:
            ClientStateError: Another task is just doing the same.
            MJError: What ends the wait; the next call ends the iteration.
        """
        if self._is_iterating:
            raise errors.ClientStateError("another task iterates over this watch; make one each")
        if self._is_done:
            raise StopAsyncIteration
        self._is_iterating = True
        try:
            self.context.lifecycle.check()
            self.start()
            if not self.has_news:
                with self._sit(self) as stay:
                    while not self.has_news:
                        await stay.step()
            return self.next_update()
        except errors.MJError:  # and no other: a cancelled call may be made again
            self._is_done = True
            raise
        finally:
            self._is_iterating = False

    # --- for whoever asks -----------------------------------------------------------------

    def start(self) -> None:
        """Begin to count the time, with a poll that is due at once."""
        if self._started is None:
            self._started = self._schedule.due = self.context.clock.now()
            self.first_seen_at = self.context.clock.wall_time()

    @property
    def is_open(self) -> bool:
        """Whether it has begun and has not ended."""
        return self._started is not None and not self._is_done

    @property
    def deadline(self) -> float | None:
        """The time of the clock at which it ends, or None."""
        return None if self.timeout is None else (self._started or 0.0) + self.timeout

    @property
    def due(self) -> float:
        """The time of the clock at which the next poll is due."""
        return self._schedule.due

    def count_poll(self) -> None:
        """Count a request for it; one that was hinted at is on time, whenever it was due."""
        self.polls += 1
        if self.is_urgent:
            self.is_urgent = False
            self._schedule.bring_forward(self.context.clock.now())

    def on_answer(self, answer: Task | errors.MJError, asked_at: float) -> bool:
        """Take in what a poll has brought.

        Args:
            answer: The task, or the error.
            asked_at: When it was asked for, as a time of the clock.

        Returns:
            Whether there is news.
        """
        if asked_at < self._trusted_at and not self._is_further(answer):
            return self.has_news  # it was on its way when we were told better
        if isinstance(answer, errors.MJError):
            self._on_error(answer, asked_at)
        else:
            self._on_task(answer, asked_at)
        self.has_news = self._is_expired or self._failure is not None or self._has_change()
        return self.has_news

    def _has_change(self) -> bool:
        if self.task is None or self._lacks_picture:
            return False
        if is_change(self.task, self._last_update) and (self.task.is_final or not self.final_only):
            return True
        self._last_update = self.task  # the same to whoever waits, and one to keep is enough
        return False

    def on_webhook(self, task: Task) -> bool:
        """Take in what somebody else says; what is not further on than we know is dropped.

        Returns:
            Whether there is news.
        """
        completes = self._lacks_picture and task.succeeded and not lacks_picture(task)
        if completes or self._is_further(task):
            self._trusted_at = self.context.clock.now()
            self.on_answer(task, self._trusted_at)
        return self.has_news

    def _is_further(self, answer: Task | errors.MJError) -> bool:
        return isinstance(answer, Task) and is_further(answer, self.task)

    def _on_error(self, error: errors.MJError, asked_at: float) -> None:
        now = self.context.clock.now()
        self._schedule.set_next(asked_at)
        if self._lacks_picture:  # it has succeeded, and nothing takes that back
            self._lacks_picture = False
        elif not self._tolerance.tolerates(error, asked_at, now):
            self._failure = error
        elif isinstance(error, errors.TaskNotFoundError):  # look again just when the grace ends
            self._schedule.bring_forward(self._tolerance.missing_grace_ends_at)
        retry_after = getattr(error, "retry_after", None)
        if retry_after is not None:
            self._schedule.due = max(self._schedule.due, now + with_jitter(retry_after))

    def _on_task(self, task: Task, asked_at: float) -> None:
        self._tolerance.on_task()
        if self._lacks_picture:
            self._lacks_picture = False
            self.task = task if task.succeeded else self.task
            return
        self.task = task
        self._schedule.set_next(asked_at)
        if task.status == TaskStatus.MODAL:
            self._failure = self._task_error(errors.TaskNeedsInputError)
        elif lacks_picture(task):  # gateways have said SUCCESS a moment before it was there
            self._lacks_picture = True
            self._schedule.due = self.context.clock.now() + _PICTURE_PAUSE
        elif is_change(task, self._last_update):
            self._changed_at = asked_at
        else:
            self._check_stall(asked_at)

    def _check_stall(self, now: float) -> None:
        limit = self.polling.stall_timeout
        if limit is not None and now - self._changed_at >= limit:
            self._failure = self._task_error(errors.TaskStalledError)

    def next_update(self) -> Task:
        """Give the news; where there is none, the time is over.

        Raises:
            MJError: What ends the wait.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure  # else its traceback holds itself, and with it this watch
        if self.task is None or not (self.task.is_final or is_change(self.task, self._last_update)):
            self.context.lifecycle.check()
            raise self._timeout_error() from self._tolerance.last_error
        self._last_update = self.task
        self.has_news = False
        self._is_done = self.task.is_final
        return self.task

    def expire(self) -> None:
        """End it, unless there is news: its time is over, or the client is closed."""
        if not self.has_news:
            self.has_news = self._is_expired = True

    def close(self) -> None:
        """Count it no more as one that waits."""
        self._is_done = True

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return 0.0 if self._started is None else self.context.clock.now() - self._started

    def failure(self) -> errors.TaskError | None:
        """Make the error of a task that has ended badly; None for any other."""
        assert self.task is not None  # noqa: S101  # it has been given
        return failure_of(self.task_id, self.task, elapsed=self.elapsed, polls=self.polls)

    def _timeout_error(self) -> errors.WaitTimeoutError:
        return errors.WaitTimeoutError(
            task_id=self.task_id,
            task=self.task,
            elapsed=self.elapsed,
            polls=self.polls,
            last_error=self._tolerance.last_error,
        )

    def _task_error(self, kind: type[errors.TaskError]) -> errors.TaskError:
        return kind(task_id=self.task_id, task=self.task, elapsed=self.elapsed, polls=self.polls)


class Alone:
    """Asks for one task whenever it is due, until its time is over.

    Args:
        watch: The wait.
        poll: Asks once.
    """

    def __init__(self, watch: Watch, poll: Callable[[str], Awaitable[Task]]) -> None:
        self._watch = watch
        self._poll = poll
        self._clock = watch.context.clock
        self._cut = watch.context.lifecycle.move_on_at(watch.deadline)

    def __enter__(self) -> Self:
        self._cut.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._cut.__exit__(kind, error, traceback)

    async def step(self) -> None:
        """Ask once."""
        await self._clock.sleep(max(0.0, self._watch.due - self._clock.now()))
        asked_at = self._clock.now()
        self._watch.count_poll()
        answer: Task | errors.MJError
        try:
            answer = await self._poll(self._watch.task_id)
        except errors.MJError as error:
            answer = error
        self._watch.on_answer(answer, asked_at)


async def wait(
    watch: Watch,
    on_update: Callable[[Task], object] | None,
    *,
    raise_on_failure: bool,
) -> Task:
    """Follow a watch to its end.

    Args:
        watch: The wait.
        on_update: Called with each change; what it returns is awaited if it can be.
        raise_on_failure: Whether FAILURE and CANCEL are errors.

    Returns:
        The final task.

    Raises:
        MJError: What ended the wait.
    """
    task = None
    watch.final_only = on_update is None
    try:
        async for task in watch:
            result = None if on_update is None else on_update(task)
            if isinstance(result, Awaitable):
                await result
    finally:  # whoever holds the error may hold the watch by its traceback
        watch.close()
    assert task is not None  # noqa: S101  # a watch yields or raises
    failure = watch.failure() if raise_on_failure else None
    if failure is not None:
        raise failure
    return task
