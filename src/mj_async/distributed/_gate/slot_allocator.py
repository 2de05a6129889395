"""What one process has of a shared limit between two looks at Redis. No waiting, no I/O.

Times are those of `time.monotonic()`, which all event loops of a process have in common.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque

import attrs

# How long a look is good for: a hold set elsewhere is obeyed after this time, and a slot that
# nobody has used by then lapses.
GRANT_LIFETIME = 0.1
# Slots are had so far ahead, so that none is lost between two looks; and one so far, and an
# interval, by whoever has none.
HORIZON = 0.2
_FAR_HORIZON = 1.0
# A sleeper may wake a little early, as clocks go.
_TIMER_SLACK = 0.001
# A hold that nobody has heard of yet, and that had no Retry-After; Redis says how long it is.
FIRST_HOLD = 0.5
# Thirty years: what is longer would not fit into what Redis counts.
_LONGEST_TIME = 1e9


@attrs.frozen
class SlotGrant:
    """What Redis has answered, in seconds from now.

    Args:
        held: What is left of the hold.
        first: Until the first of the paced slots.
        immediate: How many requests may be sent now.
        paced: How many may follow, one at a time.
    """

    held: float
    first: float
    immediate: int
    paced: int


@attrs.define
class PendingHold:
    """A 429 of which Redis has to be told.

    Args:
        seconds: Its Retry-After, if it had one.
        until: The end of the hold as far as is known here.
    """

    seconds: float | None
    until: float


@attrs.define(eq=False)
class SlotAllocator:
    """The slots that a process has, and its queue.

    Args:
        rate: Requests a second of all processes; None: any number.
        burst: How many of them at once.
    """

    rate: float | None
    burst: int
    pending_hold: PendingHold | None = attrs.field(default=None, init=False)
    _held_until: float = attrs.field(default=-math.inf, init=False)
    _grant_expires_at: float = attrs.field(default=-math.inf, init=False)
    _slots: deque[float] = attrs.field(factory=deque, init=False)
    # The first of them are promised to callers, who come again when it is time.
    _reserved: int = attrs.field(default=0, init=False)
    # When those come again who could be promised none.
    _retry_times: list[float] = attrs.field(factory=list, init=False)
    _next_slot_at: float = attrs.field(default=-math.inf, init=False)
    _is_scarce: bool = attrs.field(default=False, init=False)
    _used_slots: int = attrs.field(default=0, init=False)

    # --- what Redis is asked ----------------------------------------------------------------

    @property
    def interval(self) -> float:
        """Seconds from one request to the next."""
        return min(_LONGEST_TIME, 1.0 / self.rate) if self.rate else 0.0

    @property
    def burst_limit(self) -> int:
        """How many requests may be sent at once: never more than a second's worth."""
        return max(1, min(self.burst, math.floor(self.rate or 1.0)))

    def single_slot_horizon(self, now: float) -> float:
        """Say in how many seconds a slot may be, if it is the only one to come."""
        has_more = bool(self._slots) and self._slots[-1] > now + _TIMER_SLACK
        return HORIZON if has_more else _FAR_HORIZON + self.interval

    def slots_wanted(self, waiting: int, now: float) -> int:
        """Say how many slots to ask for.

        Args:
            waiting: Who waits for this look.
            now: The time.
        """
        if self.rate is None:
            return 0
        self._drop_expired(now)
        coming = sum(turn <= now + HORIZON for turn in self._retry_times)
        here = sum(slot <= now + _TIMER_SLACK for slot in self._slots)
        unpromised = len(self._slots) - max(self._reserved, here)
        return max(0, max(0, waiting - here) + coming + self._prefetch(now) - unpromised)

    def _prefetch(self, now: float) -> int:
        """Say how many more are likely to be used until the next look, where there are enough."""
        if self._is_scarce or self._retry_times:
            return 0
        likely = self._used_slots if now >= self._grant_expires_at else 2 * self._used_slots
        return min(likely, math.floor(GRANT_LIFETIME * (self.rate or 0.0)))

    def apply_grant(self, grant: SlotGrant, wanted: int, now: float) -> None:
        """Take in what Redis has answered."""
        self._is_scarce = grant.immediate + grant.paced < wanted
        # Where many look for few slots, whoever looks always just behind another has none.
        self._grant_expires_at = now + GRANT_LIFETIME * (
            random.uniform(0.5, 1.0) if self._is_scarce else 1.0
        )
        self._held_until = now + grant.held if grant.held else -math.inf
        self._used_slots = 0
        if grant.held:
            self._slots.clear()
            self._reserved = 0
            return
        first, interval = now + grant.first, self.interval
        paced = [first + number * interval for number in range(grant.paced)]
        self._slots = deque(sorted([*self._slots, *[now] * grant.immediate, *paced]))
        self._next_slot_at = first + grant.paced * interval

    # --- what a caller is told --------------------------------------------------------------

    def try_acquire(self, now: float, *, retried: bool = False) -> float | None:
        """Take a slot for a request.

        Args:
            now: The time.
            retried: Whether the same caller has asked just before, and has waited for a look.

        Returns:
            0 if it may be sent now; else in how many seconds to come again; None if Redis has
            to be looked at first.
        """
        if not retried and self._retry_times and self._retry_times[0] <= now + _TIMER_SLACK:
            heapq.heappop(self._retry_times)  # it is theirs, or as good as theirs
        if self.pending_hold is None and now < self._held_until:
            return self._held_until - now
        if self.pending_hold is not None or now >= self._grant_expires_at:
            return None
        return 0.0 if self.rate is None else self._acquire_slot(now)

    def _acquire_slot(self, now: float) -> float | None:
        self._drop_expired(now)
        if self._slots and self._slots[0] <= now + _TIMER_SLACK:
            self._pop_slot()
            self._used_slots += 1
            return 0.0
        if self._reserved < len(self._slots):
            self._reserved += 1
            return self._slots[self._reserved - 1] - now
        return self._estimate_wait(now) if self._is_scarce else None

    def _estimate_wait(self, now: float) -> float:
        """Guess when there may be a slot for a caller, behind those who were sent away before."""
        turn = self._next_slot_at + len(self._retry_times) * self.interval
        turn = max(turn, self._grant_expires_at)  # before it, nobody will look
        heapq.heappush(self._retry_times, turn)
        return turn - now

    def _pop_slot(self) -> None:
        self._slots.popleft()
        self._reserved = max(0, self._reserved - 1)

    def _drop_expired(self, now: float) -> None:
        """Drop slots that have lapsed, and the turns of callers who have not come."""
        # Used late, they come close to those behind them; where all are used, that is too many.
        lapse = GRANT_LIFETIME / 2 if self._is_scarce else GRANT_LIFETIME
        while self._slots and self._slots[0] + lapse <= now:
            self._pop_slot()
        while self._retry_times and self._retry_times[0] + GRANT_LIFETIME <= now:
            heapq.heappop(self._retry_times)

    # --- a 429 --------------------------------------------------------------------------------

    def hold(self, seconds: float | None, now: float) -> None:
        """Hold back the requests to come, and note what Redis has to be told."""
        seconds = seconds if seconds is None else min(seconds, _LONGEST_TIME)
        until = now + (FIRST_HOLD if seconds is None else seconds)
        if now < self._held_until and (seconds is None or until <= self._held_until):
            return  # it answers a request that was under way already
        self.pending_hold = PendingHold(seconds, until)
        self._held_until = max(self._held_until, until)

    def hold_argument(self, now: float) -> str:
        """Give what Redis is to be told, in its words; it is news until `confirm_hold`."""
        pending_hold = self.pending_hold
        if pending_hold is None or now >= pending_hold.until:
            return ""
        return "none" if pending_hold.seconds is None else repr(pending_hold.until - now)

    def confirm_hold(self, pending_hold: PendingHold | None) -> None:
        """Forget what Redis has been told, but not what has happened meanwhile."""
        if self.pending_hold is pending_hold:
            self.pending_hold = None
