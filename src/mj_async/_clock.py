"""Time: the only part that the testing kit replaces."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager

import anyio


class Clock:
    """Monotonic seconds of the event loop, as a client sees time."""

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return anyio.current_time()

    def wall_time(self) -> float:
        """Return the time of day in Unix seconds; only dates in headers need it."""
        return time.time()

    def note_activity(self) -> None:
        """Do nothing; a clock that jumps to the next sleeper waits while there is activity."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds."""
        await anyio.sleep(seconds)

    def move_on_at(self, at: float | None) -> AbstractContextManager[anyio.CancelScope]:
        """Return a scope that is cancelled at a time of `now()`; None: never."""
        return anyio.CancelScope(deadline=math.inf if at is None else at)

    def deadline_in(self, seconds: float | None) -> float | None:
        """Return the time of `now()` in so many seconds; None stays None."""
        return None if seconds is None else self.now() + seconds


class Wakeup:
    """Wakes all tasks that wait for it.

    Args:
        clock: The client's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = anyio.Event()
        self._sleepers: set[anyio.CancelScope] = set()

    def set(self) -> None:
        """Wake all tasks that wait."""
        self._event.set()
        self._event = anyio.Event()
        for sleeper in self._sleepers:
            sleeper.cancel()

    async def wait(self, until: float | None, deadline: float | None = None) -> None:
        """Wait for `set`, or until a time of the clock; with a time, at most until a deadline."""
        if until is None:
            await self._event.wait()
            return
        # Not an event with a deadline: a clock that jumps moves only while a task sleeps.
        with self._clock.move_on_at(deadline) as sleeper:
            self._sleepers.add(sleeper)
            try:
                await self._clock.sleep(max(0.0, until - self._clock.now()))
            finally:
                self._sleepers.discard(sleeper)
