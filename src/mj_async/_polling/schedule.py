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

from .. import errors
from .._http.retry import is_temporary

if TYPE_CHECKING:
    from .._config import Polling

# Before the first good answer these come from a wrong base_url and will not change.
_WRONG_ADDRESS = (errors.UnsupportedError, errors.APIError)
_WRONG_ADDRESS_REASONS = frozenset({"html", "redirect"})


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class Schedule:
    """When to poll: every `interval` from start to start, growing.

    Args:
        polling: The intervals.
        slack: Seconds that a poll may be off its time and still count as on time: where many
            are asked together, none is asked at its very own time.
    """

    polling: Polling
    slack: float = 0.0
    due: float = attrs.field(default=0.0, init=False)
    _gap: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._gap = self.polling.interval

    def set_next(self, asked_at: float) -> None:
        """Set when the poll after one of that time of the clock is due."""
        base = self.due if abs(asked_at - self.due) <= self.slack else asked_at
        jitter = 0.0 if self.slack else self.polling.jitter  # else it is the ticks' jitter
        self.due = base + self._gap * random.uniform(1.0 - jitter, 1.0 + jitter)
        longest = max(self.polling.interval, self.polling.max_interval)
        self._gap = min(longest, self._gap * self.polling.factor)

    def bring_forward(self, latest: float) -> None:
        """Let the next poll be due at a time of the clock, if it is due later."""
        self.due = min(self.due, latest)


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class ErrorTolerance:
    """What a wait puts up with, and what it has put up with so far."""

    polling: Polling
    had_good_answer: Callable[[], bool]
    failures: int = 0
    last_error: errors.MJError | None = None
    missing_grace_ends_at: float = math.inf

    def on_task(self) -> None:
        """Forget the failures: the gateway lives and knows the task."""
        self.failures = 0
        self.last_error = None
        self.missing_grace_ends_at = math.inf

    def tolerates(self, error: errors.MJError, asked_at: float, answered_at: float) -> bool:
        """Swallow a poll's error; False where it ends the wait.

        Args:
            error: What the poll ended with.
            asked_at: When it was due; a gate may have held it back since.
            answered_at: When the error came.
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
        is_wrong_address = type(error) in _WRONG_ADDRESS or (
            isinstance(error, errors.UnexpectedAnswerError)
            and error.reason in _WRONG_ADDRESS_REASONS
        )
        if is_wrong_address:
            return self.had_good_answer()
        crossed = isinstance(error, errors.UnexpectedAnswerError) and error.reason == "other task"
        return crossed or is_temporary(error)
