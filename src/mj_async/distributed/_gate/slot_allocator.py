"""The share of one process in a shared limit, between two grants of Redis. No waiting, no I/O.

Times are those of `time.monotonic()`, which is the same in all event loops of a process.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque

import attrs

# Seconds that a grant is valid. A hold of another process is obeyed after this time, and a slot
# that is not used within it expires.
GRANT_LIFETIME = 0.1
# Redis grants slots so many seconds ahead, so that no slot is lost between two grants. A process
# without slots gets one up to this far ahead, plus an interval.
HORIZON = 0.2
_FAR_HORIZON = 1.0
# A sleeper may wake up a little early.
_TIMER_SLACK = 0.001
# Seconds of a hold without Retry-After, until Redis says how long it is.
FIRST_HOLD = 0.5
# Thirty years: longer times do not fit into the numbers of Redis.
_LONGEST_TIME = 1e9


@attrs.frozen
class SlotGrant:
    """What Redis grants to this process; times are seconds from now.

    Args:
        held: The rest of the hold.
        first: The time until the first of the paced slots.
        immediate: The number of requests that may be sent now.
        paced: The number of slots after these, one interval apart.
    """

    held: float
    first: float
    immediate: int
    paced: int


@attrs.define
class PendingHold:
    """A 429 that Redis does not know yet.

    Args:
        seconds: Its Retry-After, or None.
        until: The end of the hold, as far as this process knows.
    """

    seconds: float | None
    until: float


@attrs.define(eq=False)
class SlotAllocator:
    """The slots of this process, and the callers that wait for one.

    Args:
        rate: Requests per second of all processes; None: no limit.
        burst: How many of these may be sent at once.
    """

    rate: float | None
    burst: int
    pending_hold: PendingHold | None = attrs.field(default=None, init=False)
    _held_until: float = attrs.field(default=-math.inf, init=False)
    _grant_expires_at: float = attrs.field(default=-math.inf, init=False)
    _slots: deque[float] = attrs.field(factory=deque, init=False)
    # The first of them are reserved for callers that sleep until then.
    _reserved: int = attrs.field(default=0, init=False)
    # When the callers without a reserved slot try again.
    _retry_times: list[float] = attrs.field(factory=list, init=False)
    _next_slot_at: float = attrs.field(default=-math.inf, init=False)
    _is_scarce: bool = attrs.field(default=False, init=False)
    _used_slots: int = attrs.field(default=0, init=False)

    # --- the arguments of the script ----------------------------------------------------------

    @property
    def interval(self) -> float:
        """Seconds from one request to the next."""
        return min(_LONGEST_TIME, 1.0 / self.rate) if self.rate else 0.0

    @property
    def burst_limit(self) -> int:
        """How many requests may be sent at once: at most the rate of one second."""
        return max(1, min(self.burst, math.floor(self.rate or 1.0)))

    def single_slot_horizon(self, now: float) -> float:
        """Return how many seconds ahead Redis may grant a slot if it grants only one."""
        has_more = bool(self._slots) and self._slots[-1] > now + _TIMER_SLACK
        return HORIZON if has_more else _FAR_HORIZON + self.interval

    def slots_wanted(self, waiting: int, now: float) -> int:
        """Return how many slots to request, if so many callers wait for the grant."""
        if self.rate is None:
            return 0
        self._drop_expired(now)
        retrying_soon = sum(retry_at <= now + HORIZON for retry_at in self._retry_times)
        usable_now = sum(slot <= now + _TIMER_SLACK for slot in self._slots)
        unreserved = len(self._slots) - max(self._reserved, usable_now)
        needed = max(0, waiting - usable_now) + retrying_soon + self._prefetch(now)
        return max(0, needed - unreserved)

    def _prefetch(self, now: float) -> int:
        """Return how many more slots will probably be used before the next grant."""
        if self._is_scarce or self._retry_times:
            return 0
        likely = self._used_slots if now >= self._grant_expires_at else 2 * self._used_slots
        return min(likely, math.floor(GRANT_LIFETIME * (self.rate or 0.0)))

    def apply_grant(self, grant: SlotGrant, wanted: int, now: float) -> None:
        """Record a grant for which so many slots were requested."""
        self._is_scarce = grant.immediate + grant.paced < wanted
        # If slots are scarce, a process that always asks just after another gets none; so the
        # times are random.
        lifetime = GRANT_LIFETIME * (random.uniform(0.5, 1.0) if self._is_scarce else 1.0)
        self._grant_expires_at = now + lifetime
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

    # --- the callers --------------------------------------------------------------------------

    def try_acquire(self, now: float, *, retried: bool = False) -> float | None:
        """Acquire a slot for one request.

        Args:
            now: The time.
            retried: True if the same caller got None before, and a grant has come since.

        Returns:
            0 if the caller may send now; the seconds until it should try again; or None if a
            new grant is needed first.
        """
        if not retried and self._retry_times and self._retry_times[0] <= now + _TIMER_SLACK:
            heapq.heappop(self._retry_times)  # probably of this caller; any other is as good
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
        """Return when a slot is likely, after the callers that were sent away before."""
        retry_at = self._next_slot_at + len(self._retry_times) * self.interval
        retry_at = max(retry_at, self._grant_expires_at)  # there is no new grant before that
        heapq.heappush(self._retry_times, retry_at)
        return retry_at - now

    def _pop_slot(self) -> None:
        self._slots.popleft()
        self._reserved = max(0, self._reserved - 1)

    def _drop_expired(self, now: float) -> None:
        # A slot that is used late is close to the next one. If all slots are in use, that would
        # exceed the rate.
        lifetime = GRANT_LIFETIME / 2 if self._is_scarce else GRANT_LIFETIME
        while self._slots and self._slots[0] + lifetime <= now:
            self._pop_slot()
        while self._retry_times and self._retry_times[0] + GRANT_LIFETIME <= now:
            heapq.heappop(self._retry_times)

    # --- a 429 --------------------------------------------------------------------------------

    def hold(self, seconds: float | None, now: float) -> None:
        """Hold back the next requests, and remember that Redis must know of it."""
        seconds = seconds if seconds is None else min(seconds, _LONGEST_TIME)
        until = now + (FIRST_HOLD if seconds is None else seconds)
        if now < self._held_until and (seconds is None or until <= self._held_until):
            return  # the 429 of a request that was sent before the hold began
        self.pending_hold = PendingHold(seconds, until)
        self._held_until = max(self._held_until, until)

    def hold_argument(self, now: float) -> str:
        """Return the script's argument for the pending hold; it is pending until confirmed."""
        pending_hold = self.pending_hold
        if pending_hold is None or now >= pending_hold.until:
            return ""
        return "none" if pending_hold.seconds is None else repr(pending_hold.until - now)

    def confirm_hold(self, pending_hold: PendingHold | None) -> None:
        """Record that Redis knows this hold; a hold that came later is still pending."""
        if self.pending_hold is pending_hold:
            self.pending_hold = None
