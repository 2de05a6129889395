"""A virtual clock: when all its users sleep, it jumps to the next timer (autojump, as in trio)."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._clock import Clock
from ._models import STARTED_AT

# So many checkpoints without activity mean that all users sleep. A call needs a few checkpoints
# from one activity to the next.
_IDLE_CHECKPOINTS = 30
# The order of timers of one instant. Deadlines come first, or a request would begin just to be
# cancelled; and a webhook comes before the poll that would find the same change.
_DEADLINE, _WEBHOOK, _SLEEP = 0, 1, 2
# Real seconds that the clock waits for a receiver of a webhook. A slower receiver may itself wait
# for the clock.
_EXTERNAL_WAIT_LIMIT = 2.0
_in_external_wait = ContextVar("mj_async.testing external wait", default=False)

Mode: TypeAlias = Literal["still", "virtual", "loop", "real"]


@attrs.define(eq=False)
class _Timer:
    at: float
    kind: int
    callback: Callable[[], None]
    cancelled: bool = False


def _do_nothing() -> None:
    """The callback of a sleeper that drives the clock: it looks at its timer itself."""


class GatewayClock(Clock):
    """The time of one fake gateway, in seconds from 0.

    It stands still until the gateway is used. Then it is virtual if `client()` was called; else
    real time while the gateway serves TCP; else the time of the event loop.

    The users drive the clock themselves, without a background task: one of the sleepers drives it,
    the others follow.

    Args:
        started_at: The time of day at 0, in Unix seconds.
    """

    def __init__(self, started_at: float = STARTED_AT) -> None:
        self._started_at = started_at
        self._mode: Mode = "still"
        self._now = 0.0
        self._read_at: float | None = None
        self._timers: list[tuple[float, int, int, _Timer]] = []
        self._count = 0
        self._activity = 0
        self._has_driver = False
        self._advances: list[float] = []
        self._external_wait_until = 0.0
        self._followers: dict[_Timer, anyio.Event] = {}

    def now(self) -> float:
        followed = self._followed_time()
        if followed is not None:
            self._now += 0.0 if self._read_at is None else max(0.0, followed - self._read_at)
            self._read_at = followed
        return self._now

    def _followed_time(self) -> float | None:
        if self._mode == "real":
            return time.monotonic()
        try:
            return anyio.current_time() if self._mode == "loop" else None
        except RuntimeError:  # no event loop is running
            return None

    def follow(self, mode: Mode) -> None:
        """Follow another time from now on, without a jump. A virtual clock stays virtual."""
        self.now()
        self._mode = "virtual" if self._mode == "virtual" else mode
        self._read_at = None
        self.now()

    def wall_time(self) -> float:
        return self._started_at + self.now()

    def note_activity(self) -> None:
        self._activity += 1

    async def advance(self, seconds: float) -> None:
        """Move the time forward; sleepers wake at their times, in order."""
        until = self.now() + seconds
        self._advances.append(until)
        try:
            await self._wait_until_idle()
            # With several callers, the clock stops at the time of each of them.
            while self._step() or min(self._advances) < until:
                await self._wait_until_idle()
            self._now = max(self._now, until)
            await self._wait_until_idle()
        finally:
            self._advances.remove(until)
            self.note_activity()  # so that the caller runs before the clock jumps again

    def _step(self) -> bool:
        """Jump to the next timer, unless a call of `advance` ends before it; return True if so."""
        due = self._next_timer()
        is_due = due is not None and due <= min(self._advances)
        if is_due:
            self._jump()
        return is_due

    async def sleep(self, seconds: float) -> None:
        await checkpoint()
        if seconds <= 0:
            return
        if _in_external_wait.get():  # the receiver of a webhook sleeps on this clock
            self._external_wait_until = 0.0
        timer = self.call_at(self._now + seconds, _SLEEP)
        try:
            while not timer.cancelled:
                await (self._follow_driver(timer) if self._has_driver else self._drive(timer))
        finally:
            timer.cancelled = True
            self.note_activity()
            self._wake_next_driver()

    async def _follow_driver(self, timer: _Timer) -> None:
        """Wait for the timer, or until this sleeper must drive the clock."""
        woken = anyio.Event()
        timer.callback = woken.set
        self._followers[timer] = woken
        try:
            await woken.wait()
        finally:
            del self._followers[timer]

    async def _drive(self, timer: _Timer) -> None:
        """Drive the clock for all sleepers until the timer fires."""
        self._has_driver = True
        try:
            while not timer.cancelled:
                await self._wait_until_idle(timer)
                if not (self._advances or timer.cancelled):
                    self._jump()
        finally:
            self._has_driver = False

    def _wake_next_driver(self) -> None:
        if self._followers and not self._has_driver:
            next(iter(self._followers.values())).set()

    async def _wait_until_idle(self, timer: _Timer | None = None) -> None:
        """Wait until there is no activity for some checkpoints, or the timer has fired."""
        idle, seen = 0, self._activity
        while idle < _IDLE_CHECKPOINTS and not (timer and timer.cancelled):
            await checkpoint()
            is_idle = seen == self._activity and time.monotonic() >= self._external_wait_until
            idle = idle + 1 if is_idle else 0
            seen = self._activity

    def begin_external_wait(self) -> None:
        """Keep the clock from jumping: a webhook is on its way, which the clock cannot see."""
        _in_external_wait.set(True)
        self._external_wait_until = time.monotonic() + _EXTERNAL_WAIT_LIMIT
        self.note_activity()

    def end_external_wait(self) -> None:
        _in_external_wait.set(False)
        self._external_wait_until = 0.0
        self.note_activity()

    async def wait_until(self, until: float | None, event: anyio.Event) -> None:
        """Wait for a time or an event, without driving the clock."""
        if self._mode in ("loop", "real"):
            with anyio.move_on_after(math.inf if until is None else until - self.now()):
                await event.wait()
            return
        timer = None if until is None else self.call_at(until, _WEBHOOK, event.set)
        try:
            await event.wait()
        finally:
            if timer is not None:
                timer.cancelled = True

    def call_at(self, at: float, kind: int, callback: Callable[[], None] | None = None) -> _Timer:
        """Call back at a time; set `cancelled` of the timer to prevent it."""
        self._count += 1
        timer = _Timer(at, kind, callback or _do_nothing)
        heapq.heappush(self._timers, (at, kind, self._count, timer))
        self.note_activity()
        return timer

    def _next_timer(self) -> float | None:
        while self._timers and self._timers[0][-1].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _jump(self) -> None:
        """Jump to the next timer, and fire all timers of its instant and kind."""
        due = self._next_timer()
        if due is None:
            return
        self._now = max(self._now, due)
        kind = self._timers[0][1]
        while self._next_timer() == due and self._timers[0][1] == kind:
            timer = heapq.heappop(self._timers)[-1]
            timer.cancelled = True
            timer.callback()
        self.note_activity()

    @contextmanager
    def move_on_at(self, at: float | None) -> Iterator[anyio.CancelScope]:
        timer: _Timer | None = None
        with anyio.CancelScope() as scope:
            if at is not None and at <= self.now():
                scope.cancel()  # like a scope of anyio with a deadline in the past
            elif at is not None:
                timer = self.call_at(at, _DEADLINE, scope.cancel)
            try:
                yield scope
            finally:
                if timer is not None:
                    timer.cancelled = True
                self.note_activity()
