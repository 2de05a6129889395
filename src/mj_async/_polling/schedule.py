"""When the next poll for a task is due. It does not wait: the time of the clock is an argument."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .._config import Polling


@attrs.define(kw_only=True, eq=False, weakref_slot=False)
class Schedule:
    """A poll every `interval`, from start to start, and the interval grows.

    Args:
        polling: The intervals.
        slack: Seconds that a poll may be off its time and still count as on time. Where many ids
            are asked for together, no id is asked for at exactly its own time.
    """

    polling: Polling
    slack: float = 0.0
    due: float = attrs.field(default=0.0, init=False)
    _gap: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._gap = self.polling.interval

    def set_next(self, asked_at: float) -> None:
        """Set when the next poll is due, after a poll at a time of the clock."""
        base = self.due if abs(asked_at - self.due) <= self.slack else asked_at
        jitter = 0.0 if self.slack else self.polling.jitter  # a poller's jitter moves its ticks
        self.due = base + self._gap * random.uniform(1.0 - jitter, 1.0 + jitter)
        longest = max(self.polling.interval, self.polling.max_interval)
        self._gap = min(longest, self._gap * self.polling.factor)

    def bring_forward(self, latest: float) -> None:
        """Make the next poll due at a time of the clock, if it is due later."""
        self.due = min(self.due, latest)
