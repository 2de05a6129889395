"""PURE: how quickly a run goes, and how long it will take."""

from __future__ import annotations

from collections import deque

import attrs

# Long enough for seeds that take a minute, short enough to forget a pause.
_WINDOW = 120.0
_APART = 1.0


@attrs.define
class Pace:
    """The rate over the last two minutes, from samples at most one a second."""

    _samples: deque[tuple[float, int]] = attrs.field(factory=deque, init=False)

    def note(self, now: float, done: int) -> None:
        """Note how much is done at a time."""
        if self._samples and now - self._samples[-1][0] < _APART:
            return
        self._samples.append((now, done))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()

    def rate(self, now: float, done: int) -> float:
        """Give how much is done a second; 0 before there is anything to tell."""
        if not self._samples or now <= self._samples[0][0]:
            return 0.0
        began, before = self._samples[0]
        return (done - before) / (now - began)

    def left(self, now: float, done: int, total: int | None) -> float | None:
        """Give the seconds until everything is done, or None where nobody can know."""
        rate = self.rate(now, done)
        return None if total is None or not rate else (total - done) / rate
