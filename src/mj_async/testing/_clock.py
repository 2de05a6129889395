"""A clock that jumps to the next sleeper once all who use it sleep, on asyncio and trio."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, TypeAlias

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._clock import Clock
from ._models import STARTED_AT

if TYPE_CHECKING:
    from types import TracebackType

# A call needs a few turns of the event loop from one thing that shows here to the next.
_QUIET_TURNS = 30
# Of one instant: deadlines come first, or a request would begin just to be cut; then the gateway
# tells of a change before it is asked.
_DEADLINE, _TELLING, _SLEEP = 0, 1, 2
# Real seconds for what goes on outside of the clock. Who takes longer may itself wait for it.
_PATIENCE = 2.0
_is_outside = ContextVar("mj_async.testing outside", default=False)

Mode: TypeAlias = Literal["still", "virtual", "loop", "real"]


@attrs.define(eq=False)
class _Alarm:
    at: float
    kind: int
    ring: Callable[[], None]
    off: bool = False


def _nothing() -> None:
    """Do what an alarm does whose sleeper looks at it by itself."""


class GatewayClock(Clock):
    """The time of one fake gateway in seconds, from 0.

    It stands still until the gateway is used: then it is virtual where a client of the
    gateway's own exists, else real while the gateway serves TCP, else the event loop's.

    Args:
        started_at: The time of day at 0, in Unix seconds.
    """

    def __init__(self, started_at: float = STARTED_AT) -> None:
        self._started_at = started_at
        self._mode: Mode = "still"
        self._now = 0.0
        self._read_at: float | None = None
        self._alarms: list[tuple[float, int, int, _Alarm]] = []
        self._count = 0
        self._activity = 0
        self._driven = False
        self._advances: list[float] = []
        self._outside_until = 0.0
        self._parked: dict[_Alarm, anyio.Event] = {}

    def now(self) -> float:
        outside = self._outside_time()
        if outside is not None:
            self._now += 0.0 if self._read_at is None else max(0.0, outside - self._read_at)
            self._read_at = outside
        return self._now

    def _outside_time(self) -> float | None:
        if self._mode == "real":
            return time.monotonic()
        try:
            return anyio.current_time() if self._mode == "loop" else None
        except RuntimeError:  # no event loop is running
            return None

    def follow(self, mode: Mode) -> None:
        """Change what time is followed, and go on from the same moment; virtual stays so."""
        self.now()
        self._mode = "virtual" if self._mode == "virtual" else mode
        self._read_at = None
        self.now()

    def wall_time(self) -> float:
        return self._started_at + self.now()

    def note_activity(self) -> None:
        """Say that something goes on, so that it is not yet time to jump."""
        self._activity += 1

    async def advance(self, seconds: float) -> None:
        """Add to the time, and let whoever sleeps meanwhile wake in order."""
        until = self.now() + seconds
        self._advances.append(until)
        try:
            await self._settle()
            # Others may advance it, too: whoever is to come back first does.
            while self._step() or min(self._advances) < until:
                await self._settle()
            self._now = max(self._now, until)
            await self._settle()
        finally:
            self._advances.remove(until)
            self.note_activity()  # whoever called has its turn before the clock goes on

    def _step(self) -> bool:
        """Jump to the next alarm, if it comes before the first of those who advance is back."""
        due = self._next_alarm()
        is_due = due is not None and due <= min(self._advances)
        if is_due:
            self._jump()
        return is_due

    async def sleep(self, seconds: float) -> None:
        await checkpoint()
        if seconds <= 0:
            return
        if _is_outside.get():  # what is waited for outside waits for us
            self._outside_until = 0.0
        alarm = self.set_alarm(self._now + seconds, _SLEEP)
        try:
            while not alarm.off:
                await (self._park(alarm) if self._driven else self._drive(alarm))
        finally:
            alarm.off = True
            self.note_activity()
            self._promote()

    async def _park(self, alarm: _Alarm) -> None:
        """Wait until the alarm rings, or until nobody drives any more."""
        parked = anyio.Event()
        alarm.ring = parked.set
        self._parked[alarm] = parked
        try:
            await parked.wait()
        finally:
            del self._parked[alarm]

    async def _drive(self, alarm: _Alarm) -> None:
        """Move the clock for everybody until the alarm rings."""
        self._driven = True
        try:
            while not alarm.off:
                await self._settle(alarm)
                if not (self._advances or alarm.off):
                    self._jump()
        finally:
            self._driven = False

    def _promote(self) -> None:
        if self._parked and not self._driven:
            next(iter(self._parked.values())).set()

    async def _settle(self, alarm: _Alarm | None = None) -> None:
        """Come back when nothing has stirred for some turns of the loop, or the alarm rang."""
        quiet, seen = 0, self._activity
        while quiet < _QUIET_TURNS and not (alarm and alarm.off):
            await checkpoint()
            still = seen == self._activity and time.monotonic() >= self._outside_until
            quiet = quiet + 1 if still else 0
            seen = self._activity

    def step_outside(self) -> None:
        """Say that something begins that is not seen here, such as a request over TCP."""
        _is_outside.set(True)
        self._outside_until = time.monotonic() + _PATIENCE
        self.note_activity()

    def step_inside(self) -> None:
        """Say that it is over."""
        _is_outside.set(False)
        self._outside_until = 0.0
        self.note_activity()

    async def idle(self, until: float | None, woken: anyio.Event) -> None:
        """Wait for a time or an event without moving the time, whatever time it is."""
        if self._mode in ("loop", "real"):
            with anyio.move_on_after(math.inf if until is None else until - self.now()):
                await woken.wait()
            return
        alarm = None if until is None else self.set_alarm(until, _TELLING, woken.set)
        try:
            await woken.wait()
        finally:
            if alarm is not None:
                alarm.off = True

    def set_alarm(self, at: float, kind: int, ring: Callable[[], None] | None = None) -> _Alarm:
        """Have something called at a time; `off` takes it back."""
        self._count += 1
        alarm = _Alarm(at, kind, ring or _nothing)
        heapq.heappush(self._alarms, (at, kind, self._count, alarm))
        self.note_activity()
        return alarm

    def _next_alarm(self) -> float | None:
        while self._alarms and self._alarms[0][-1].off:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def _jump(self) -> None:
        """Go to the next alarm and ring all of its instant and kind."""
        due = self._next_alarm()
        if due is None:
            return
        self._now = max(self._now, due)
        kind = self._alarms[0][1]
        while self._next_alarm() == due and self._alarms[0][1] == kind:
            alarm = heapq.heappop(self._alarms)[-1]
            alarm.off = True
            alarm.ring()
        self.note_activity()

    def move_on_at(self, at: float | None) -> _Cut:
        return _Cut(self, at)


class _Cut:
    """A cancel scope whose deadline is one of the gateway's clock."""

    def __init__(self, clock: GatewayClock, at: float | None) -> None:
        self._clock = clock
        self._at = at
        self._scope = anyio.CancelScope()
        self._alarm: _Alarm | None = None

    def __enter__(self) -> anyio.CancelScope:
        self._scope.__enter__()
        if self._at is not None and self._at <= self._clock.now():
            self._scope.cancel()  # as a scope of anyio whose deadline is over
        elif self._at is not None:
            self._alarm = self._clock.set_alarm(self._at, _DEADLINE, self._scope.cancel)
        return self._scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._alarm is not None:
            self._alarm.off = True
        self._clock.note_activity()
        return self._scope.__exit__(kind, error, traceback)
