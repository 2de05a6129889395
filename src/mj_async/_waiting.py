"""Waiting for one task: the schedule, and the one polling loop, over a plain callable.

A failed poll is not a failed task: temporary errors are absorbed until the deadline, for the
schedule is their retry.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

import attrs

from . import errors
from ._models import Task, TaskStatus
from ._retry import is_temporary, stretched

if TYPE_CHECKING:
    from ._clock import Clock
    from ._life import Life
    from ._settings import Polling

# Before the first good answer these come from a wrong base_url and will not change.
_MISPLACED = (errors.UnsupportedError, errors.APIError)
_MISPLACED_REASONS = frozenset({"html", "redirect"})
# They answer with text, so that a missing picture says nothing.
_TEXT_ACTIONS = frozenset({"DESCRIBE", "SHORTEN", "PIC_READER"})
_PICTURE_PAUSE = 2.0


@attrs.define(kw_only=True)
class Schedule:
    """When to poll: every `interval` from start to start, growing, with jitter."""

    polling: Polling
    gap: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gap = self.polling.interval

    def next_after(self, started: float) -> float:
        """Give the time of the next poll after one that started then."""
        jitter = self.polling.jitter
        due = started + self.gap * random.uniform(1.0 - jitter, 1.0 + jitter)
        longest = max(self.polling.interval, self.polling.max_interval)
        self.gap = min(longest, self.gap * self.polling.factor)
        return due


@attrs.define(kw_only=True)
class Patience:
    """What a wait puts up with, and what it has put up with so far."""

    polling: Polling
    had_good_answer: Callable[[], bool]
    failures: int = 0
    last_error: errors.MJError | None = None
    missing_since: float | None = None

    def saw_task(self) -> None:
        """Forget the failures: the gateway lives and knows the task."""
        self.failures = 0
        self.last_error = self.missing_since = None

    def absorb(self, error: errors.MJError, started: float) -> None:
        """Swallow the error of the poll that started then, or raise it."""
        self.last_error = error
        if isinstance(error, errors.TaskNotFoundError):
            self.failures = 0
            self.missing_since = started if self.missing_since is None else self.missing_since
            if started - self.missing_since >= self.polling.missing_grace:
                raise error
            return
        if not isinstance(error, errors.RateLimitError):
            self.failures += 1
        if not self._may_pass(error) or self.failures >= self.polling.max_consecutive_errors:
            raise error

    def _may_pass(self, error: errors.MJError) -> bool:
        misplaced = type(error) in _MISPLACED or (
            isinstance(error, errors.UnexpectedAnswerError) and error.reason in _MISPLACED_REASONS
        )
        if misplaced:
            return self.had_good_answer()
        crossed = isinstance(error, errors.UnexpectedAnswerError) and error.reason == "other task"
        return crossed or is_temporary(error)


@attrs.define(kw_only=True, eq=False)
class Watch:
    """One wait for one task: an iterator over its changes, the final one last.

    Args:
        task_id: The task's id.
        poll: Asks for it once.
        clock: Time.
        life: Ends the wait when the client is closed.
        polling: The schedule, and what is put up with.
        timeout: Seconds for the whole wait; None: for ever.
        had_good_answer: Whether the client has ever had one.
    """

    task_id: str
    poll: Callable[[str], Awaitable[Task]]
    clock: Clock
    life: Life
    polling: Polling
    timeout: float | None
    had_good_answer: Callable[[], bool]
    task: Task | None = attrs.field(default=None, init=False)
    polls: int = attrs.field(default=0, init=False)
    _schedule: Schedule = attrs.field(init=False)
    _patience: Patience = attrs.field(init=False)
    _given: Task | None = attrs.field(default=None, init=False)
    _started: float | None = attrs.field(default=None, init=False)
    _due: float = attrs.field(default=-math.inf, init=False)
    _changed_at: float = attrs.field(default=0.0, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._schedule = Schedule(polling=self.polling)
        self._patience = Patience(polling=self.polling, had_good_answer=self.had_good_answer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Task:
        """Give the next change of status or progress.

        Raises:
            MJError: What ends the wait; the next call ends the iteration.
        """
        if self._ended:
            raise StopAsyncIteration
        try:
            self.life.check()
            if self._started is None:
                self._started = self.clock.now()
            self.task = self._given = await self._change_in_time()
        except errors.MJError:  # and no other: a cancelled call may be made again
            self._ended = True
            raise
        self._ended = self.task.is_final
        return self.task

    @property
    def elapsed(self) -> float:
        """Seconds since the first change was asked for."""
        return 0.0 if self._started is None else self.clock.now() - self._started

    async def _change_in_time(self) -> Task:
        at = None if self.timeout is None else (self._started or 0.0) + self.timeout
        with self.life.cut(at):
            return await self._change()
        if self.task is not None and self.task.is_final:
            return self.task  # it had succeeded, and only its picture was missing
        self.life.check()
        raise self.end_with(errors.WaitTimeoutError) from self._patience.last_error

    async def _change(self) -> Task:
        while True:
            await self.clock.sleep(max(0.0, self._due - self.clock.now()))
            started = self.clock.now()
            self._due = self._schedule.next_after(started)
            try:
                self.polls += 1
                self.task = await self.poll(self.task_id)
            except errors.MJError as error:
                self._absorb(error, started)
                continue
            self._patience.saw_task()
            # With what was given, not seen: a look that was cancelled is made again.
            if self._given is None or _state(self._given) != _state(self.task):
                self._changed_at = started
                return await self._look_closer(self.task)
            self._check_stall(started)

    def _absorb(self, error: errors.MJError, started: float) -> None:
        self._patience.absorb(error, started)
        retry_after = getattr(error, "retry_after", None)
        if retry_after is not None:
            self._due = max(self._due, self.clock.now() + stretched(retry_after))

    def _check_stall(self, now: float) -> None:
        limit = self.polling.stall_timeout
        if limit is not None and now - self._changed_at >= limit:
            raise self.end_with(errors.TaskStalledError)

    async def _look_closer(self, task: Task) -> Task:
        if task.status == TaskStatus.MODAL:
            raise self.end_with(errors.TaskNeedsInputError)
        if not task.succeeded or _has_picture(task) or task.action in _TEXT_ACTIONS:
            return task
        # Gateways have said SUCCESS a moment before the picture was there.
        await self.clock.sleep(_PICTURE_PAUSE)
        self.polls += 1
        try:
            again = await self.poll(self.task_id)
        except errors.MJError:
            return task
        return again if again.succeeded else task

    def end_with(self, kind: type[errors.TaskError]) -> errors.TaskError:
        """Make the error that says how far the wait came."""
        return kind(task_id=self.task_id, task=self.task, elapsed=self.elapsed, polls=self.polls)


def _state(task: Task) -> tuple[str, int | None]:
    # Not the picture's URL: new-api changes its `?rand=` at every poll.
    return task.status, task.progress


def _has_picture(task: Task) -> bool:
    return bool(task.image_url or task.image_urls or task.video_url or task.video_urls)


_FAILURES: dict[str, type[errors.TaskError]] = {
    TaskStatus.FAILURE: errors.TaskFailedError,
    TaskStatus.CANCEL: errors.TaskCancelledError,
}


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
    async for task in watch:
        result = None if on_update is None else on_update(task)
        if isinstance(result, Awaitable):
            await result
    assert task is not None  # noqa: S101  # a watch yields or raises
    if raise_on_failure and task.status in _FAILURES:
        raise watch.end_with(_FAILURES[task.status])
    return task
