"""One wait for one task: what an answer means for it, and what ends it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self, TypeAlias

import attrs

from .. import _config, errors
from .._config import Polling
from .._http.retry import is_temporary, with_jitter
from .._models import Task, TaskStatus, is_change, is_further, lacks_picture
from .._outcomes import failure_of
from .schedule import Schedule

if TYPE_CHECKING:
    from .._clock import Clock
    from .._lifecycle import Lifecycle

# Gateways have said SUCCESS a moment before the picture was there.
_PICTURE_PAUSE = 2.0
# Before the first good answer these come from a wrong base_url and will not change.
_WRONG_ADDRESS = (errors.UnsupportedError, errors.APIError)
_WRONG_ADDRESS_REASONS = frozenset({"html", "redirect"})

WaitForNews: TypeAlias = Callable[["Watch"], Awaitable[None]]


@attrs.frozen(kw_only=True, eq=False)
class WaitContext:
    """What all waits of a client, or of a poller, have in common.

    `polling` is the schedule of the waits that bring none, and `slack` that of `Schedule`.
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
        wait_for_news: WaitForNews,
    ) -> Watch:
        """Check the arguments, and return a wait that has not started."""
        _config.check_timeout(timeout)
        if polling is not None:
            _config.check_instance("polling", polling, Polling)
        schedule = polling or self.polling
        return Watch(_config.check_id(task_id), self, wait_for_news, schedule, timeout)


@attrs.define(eq=False)
class Watch:
    """An iterator over the changes of one task, the final one last.

    It decides what an answer means for the wait, and when the next poll is due. `wait_for_news`
    polls, alone or together with others, until `has_news`: a change, or what ends the wait. With
    `final_only` a change that is not final is no news. SUCCESS, FAILURE and CANCEL end the wait
    (`Task.is_final`); so do MODAL, a stall, the timeout and the errors that are not tolerated.
    """

    task_id: str
    context: WaitContext
    _wait_for_news: WaitForNews
    polling: Polling
    timeout: float | None
    task: Task | None = attrs.field(default=None, init=False)
    polls: int = attrs.field(default=0, init=False)
    is_urgent: bool = attrs.field(default=False, init=False)
    has_news: bool = attrs.field(default=False, init=False)
    is_expired: bool = attrs.field(default=False, init=False)
    final_only: bool = attrs.field(default=False, init=False)
    first_seen_at: float = attrs.field(default=0.0, init=False)
    ends_at: float = attrs.field(default=math.inf, init=False)
    _schedule: Schedule = attrs.field(init=False)
    _tolerance: ErrorTolerance = attrs.field(init=False)
    _last_update: Task | None = attrs.field(default=None, init=False)
    _error: errors.MJError | None = attrs.field(default=None, init=False)
    _lacks_picture: bool = attrs.field(default=False, init=False)
    _started_at: float | None = attrs.field(default=None, init=False)
    _changed_at: float = attrs.field(default=0.0, init=False)
    _trusted_at: float = attrs.field(default=-math.inf, init=False)
    _is_iterating: bool = attrs.field(default=False, init=False)
    _is_done: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        context, polling = self.context, self.polling
        self._schedule = Schedule(polling=polling, slack=context.slack)
        self._tolerance = ErrorTolerance(polling=polling, had_good_answer=context.had_good_answer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Task:
        """Wait for the next change of status or progress; an error ends the iteration."""
        if self._is_iterating:
            raise errors.ClientStateError("another task iterates over this watch; make one each")
        if self._is_done:
            raise StopAsyncIteration
        self._is_iterating = True
        try:
            self.context.lifecycle.check()
            self.start()
            if not self.has_news:
                await self._wait_for_news(self)
            return self.next_update()
        except errors.MJError:  # and no other: a cancelled call may be made again
            self._is_done = True
            raise
        finally:
            self._is_iterating = False

    # --- when to poll ---------------------------------------------------------------------

    def start(self) -> None:
        """Start the time of the wait, with a poll that is due at once; again: do nothing."""
        if self._started_at is None:
            now = self.context.clock.now()
            self._started_at = self._schedule.due = now
            self.ends_at = math.inf if self.timeout is None else now + self.timeout
            self.first_seen_at = self.context.clock.wall_time()

    @property
    def is_open(self) -> bool:
        """True if the wait has started and has not ended."""
        return self._started_at is not None and not self._is_done

    @property
    def due(self) -> float:
        """The time of the clock at which the next poll is due."""
        return self._schedule.due

    def count_poll(self) -> None:
        """Count a request; an urgent poll is on time, whenever it was due."""
        self.polls += 1
        if self.is_urgent:
            self.is_urgent = False
            self._schedule.bring_forward(self.context.clock.now())

    # --- what an answer means -------------------------------------------------------------

    def on_answer(self, answer: Task | errors.MJError, asked_at: float) -> bool:
        """Decide what the answer to a poll means for the wait; return True if there is news."""
        if asked_at < self._trusted_at and not self._is_further(answer):
            return self.has_news  # it was in flight when a trusted webhook came
        if isinstance(answer, errors.MJError):
            self._on_error(answer, asked_at)
        else:
            self._on_task(answer, asked_at)
        self.has_news = self.is_expired or self._error is not None or self._is_update()
        return self.has_news

    def on_webhook(self, task: Task) -> None:
        """Use a trusted webhook as an answer, unless the wait has seen a later state."""
        completes = self._lacks_picture and task.succeeded and not lacks_picture(task)
        if completes or self._is_further(task):
            self._trusted_at = self.context.clock.now()
            self.on_answer(task, self._trusted_at)

    def expire(self) -> None:
        """End the wait, unless it has news: its time is over, or the client is closed."""
        if not self.has_news:
            self.has_news = self.is_expired = True

    def close(self) -> None:
        """End the wait: its caller has gone."""
        self._is_done = True

    def _on_error(self, error: errors.MJError, asked_at: float) -> None:
        now = self.context.clock.now()
        self._schedule.set_next(asked_at)
        if self._lacks_picture:  # the task has succeeded, and an error does not change that
            self._lacks_picture = False
        elif not self._tolerance.tolerates(error, asked_at, now):
            self._error = error
        elif isinstance(error, errors.TaskNotFoundError):  # poll again when the grace ends
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
            self._error = self._task_error(errors.TaskNeedsInputError)
        elif lacks_picture(task):
            self._lacks_picture = True
            self._schedule.due = self.context.clock.now() + _PICTURE_PAUSE
        elif is_change(task, self._last_update):
            self._changed_at = asked_at
        elif self._is_stalled(asked_at):
            self._error = self._task_error(errors.TaskStalledError)

    def _is_further(self, answer: Task | errors.MJError) -> bool:
        return isinstance(answer, Task) and is_further(answer, self.task)

    def _is_stalled(self, now: float) -> bool:
        limit = self.polling.stall_timeout
        return limit is not None and now - self._changed_at >= limit

    def _is_update(self) -> bool:
        if self.task is None or self._lacks_picture:
            return False
        if is_change(self.task, self._last_update) and (self.task.is_final or not self.final_only):
            return True
        self._last_update = self.task  # the same for the caller, and one task to keep is enough
        return False

    # --- what the caller gets -------------------------------------------------------------

    def next_update(self) -> Task:
        """Return the change, or raise what ends the wait; without any news, the time is over."""
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # its traceback would hold itself, and with it this watch
        if self.task is None or not (self.task.is_final or is_change(self.task, self._last_update)):
            self.context.lifecycle.check()
            raise self._timeout_error() from self._tolerance.last_error
        self._last_update = self.task
        self.has_news = False
        self._is_done = self.task.is_final
        return self.task

    def failure(self) -> errors.TaskError | None:
        """Return the error of a task that ended with FAILURE or CANCEL; None for any other."""
        assert self.task is not None  # noqa: S101  # next_update has returned it
        return failure_of(self.task_id, self.task, elapsed=self.elapsed, polls=self.polls)

    @property
    def elapsed(self) -> float:
        """Seconds since the wait started."""
        return 0.0 if self._started_at is None else self.context.clock.now() - self._started_at

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


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class ErrorTolerance:
    """Which failed polls a wait tolerates: its schedule is their retry."""

    polling: Polling
    had_good_answer: Callable[[], bool]
    failures: int = 0
    last_error: errors.MJError | None = None
    missing_grace_ends_at: float = math.inf

    def on_task(self) -> None:
        """Forget the errors: the gateway answers, and knows the task."""
        self.failures = 0
        self.last_error = None
        self.missing_grace_ends_at = math.inf

    def tolerates(self, error: errors.MJError, asked_at: float, answered_at: float) -> bool:
        """Return False if the error of a poll ends the wait.

        The grace of an unknown id is from answer to question: the rate limit may have held the
        request back between `asked_at` and `answered_at`.
        """
        self.last_error = error
        if isinstance(error, errors.TaskNotFoundError):
            self.failures = 0
            grace_ends_at = answered_at + self.polling.missing_grace
            self.missing_grace_ends_at = min(self.missing_grace_ends_at, grace_ends_at)
            return asked_at < self.missing_grace_ends_at
        if not isinstance(error, errors.RateLimitError):
            self.failures += 1
        return self._is_transient(error) and self.failures < self.polling.max_consecutive_errors

    def _is_transient(self, error: errors.MJError) -> bool:
        reason = error.reason if isinstance(error, errors.UnexpectedAnswerError) else None
        if type(error) in _WRONG_ADDRESS or reason in _WRONG_ADDRESS_REASONS:
            return self.had_good_answer()
        return reason == "other task" or is_temporary(error)


async def poll_one(watch: Watch, poll: Callable[[str], Awaitable[Task]]) -> None:
    """Poll for one task whenever it is due, until there is news or the time is over."""
    clock = watch.context.clock
    ends_at = None if watch.ends_at == math.inf else watch.ends_at
    with watch.context.lifecycle.move_on_at(ends_at):
        while not watch.has_news:
            await clock.sleep(max(0.0, watch.due - clock.now()))
            asked_at = clock.now()
            watch.count_poll()
            answer: Task | errors.MJError
            try:
                answer = await poll(watch.task_id)
            except errors.MJError as error:
                answer = error
            watch.on_answer(answer, asked_at)


async def wait(
    watch: Watch,
    on_update: Callable[[Task], object] | None,
    *,
    raise_on_failure: bool,
) -> Task:
    """Wait until a task is final, and call back with each change."""
    if on_update is not None:
        _config.check_instance("on_update", on_update, Callable)
    task = None
    watch.final_only = on_update is None
    try:
        async for task in watch:
            result = None if on_update is None else on_update(task)
            if isinstance(result, Awaitable):
                await result
    finally:  # an error that the caller keeps may hold the watch by its traceback
        watch.close()
    assert task is not None  # noqa: S101  # a watch yields or raises
    failure = watch.failure() if raise_on_failure else None
    if failure is not None:
        raise failure
    return task
