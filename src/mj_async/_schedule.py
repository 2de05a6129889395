"""When to poll for a task, and which failed polls a wait puts up with. Pure, but for chance.

A failed poll is not a failed task: temporary errors are absorbed until the deadline, for the
schedule is their retry.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from . import errors
from ._models import Task
from ._retry import is_temporary

if TYPE_CHECKING:
    from ._durations import Durations
    from ._settings import Polling

# Before the first good answer these come from a wrong base_url and will not change.
_MISPLACED = (errors.UnsupportedError, errors.APIError)
_MISPLACED_REASONS = frozenset({"html", "redirect"})


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class Schedule:
    """When to poll: every `interval` from start to start, growing, or as has been learnt.

    Args:
        polling: The intervals.
        durations: What has been learnt.
        slack: Seconds that a poll may be off its time and still count as on time: where many
            are asked together, none is asked at its very own time.
    """

    polling: Polling
    durations: Durations
    slack: float = 0.0
    due: float = attrs.field(default=0.0, init=False)
    _gap: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._gap = self.polling.interval

    def plan(self, asked_at: float, task: Task | None, wall_time: float) -> None:
        """Set when the poll after one of that time is due.

        Args:
            asked_at: A time of the clock.
            task: The task as last seen.
            wall_time: The time of day then, in Unix seconds.
        """
        base = self.due if abs(asked_at - self.due) <= self.slack else asked_at
        jitter = 0.0 if self.slack else self.polling.jitter  # else it is the ticks' jitter
        gap = self._next_gap(task, wall_time)
        self.due = base + gap * random.uniform(1.0 - jitter, 1.0 + jitter)

    def bring_forward(self, latest: float) -> None:
        """Let the next poll be due at a time of the clock, if it is due later."""
        self.due = min(self.due, latest)

    def _next_gap(self, task: Task | None, wall_time: float) -> float:
        gap, shortest = self._gap, self.polling.interval
        longest = max(shortest, self.polling.max_interval)
        self._gap = min(longest, gap * self.polling.factor)
        learnt = self.durations.next_gap(task, wall_time) if self.polling.learning else None
        return gap if learnt is None else min(longest, max(shortest, learnt))


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class Patience:
    """What a wait puts up with, and what it has put up with so far."""

    polling: Polling
    had_good_answer: Callable[[], bool]
    failures: int = 0
    last_error: errors.MJError | None = None
    missing_until: float = math.inf

    def saw_task(self) -> None:
        """Forget the failures: the gateway lives and knows the task."""
        self.failures = 0
        self.last_error = None
        self.missing_until = math.inf

    def absorbs(self, error: errors.MJError, asked_at: float, heard_at: float) -> bool:
        """Swallow a poll's error; False where it ends the wait.

        Args:
            error: What the poll ended with.
            asked_at: When it was due; a gate may have held it back since.
            heard_at: When the error came.
        """
        self.last_error = error
        if isinstance(error, errors.TaskNotFoundError):
            self.failures = 0
            grace_ends_at = heard_at + self.polling.missing_grace
            self.missing_until = min(self.missing_until, grace_ends_at)
            return asked_at < self.missing_until
        if not isinstance(error, errors.RateLimitError):
            self.failures += 1
        return self._may_pass(error) and self.failures < self.polling.max_consecutive_errors

    def _may_pass(self, error: errors.MJError) -> bool:
        misplaced = type(error) in _MISPLACED or (
            isinstance(error, errors.UnexpectedAnswerError) and error.reason in _MISPLACED_REASONS
        )
        if misplaced:
            return self.had_good_answer()
        crossed = isinstance(error, errors.UnexpectedAnswerError) and error.reason == "other task"
        return crossed or is_temporary(error)
