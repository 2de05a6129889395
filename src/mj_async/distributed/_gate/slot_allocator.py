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
FRESH = 0.1
# Slots are had so far ahead, so that none is lost between two looks; and one so far, and an
# interval, by whoever has none.
HORIZON = 0.2
_FARTHEST = 1.0
# A sleeper may wake a little early, as clocks go.
_EARLY = 0.001
# A hold that nobody has heard of yet, and that had no Retry-After; Redis says how long it is.
FIRST_HOLD = 0.5
# Thirty years: what is longer would not fit into what Redis counts.
_ENDLESS = 1e9


@attrs.frozen
class Look:
    """What Redis has answered, in seconds from now.

    Args:
        held: What is left of the hold.
        first: Until the first of the paced slots.
        at_once: How many requests may be sent now.
        paced: How many may follow, one at a time.
    """

    held: float
    first: float
    at_once: int
    paced: int


@attrs.define
class News:
    """A 429 of which Redis has to be told.

    Args:
        seconds: Its Retry-After, if it had one.
        until: The end of the hold as far as is known here.
    """

    seconds: float | None
    until: float


@attrs.define(eq=False)
class Allotment:
    """The slots that a process has, and its queue.

    Args:
        rate: Requests a second of all processes; None: any number.
        burst: How many of them at once.
    """

    rate: float | None
    burst: int
    news: News | None = attrs.field(default=None, init=False)
    _held_until: float = attrs.field(default=-math.inf, init=False)
    _fresh_until: float = attrs.field(default=-math.inf, init=False)
    _slots: deque[float] = attrs.field(factory=deque, init=False)
    # The first of them are promised to callers, who come again when it is time.
    _promised: int = attrs.field(default=0, init=False)
    # When those come again who could be promised none.
    _turns: list[float] = attrs.field(factory=list, init=False)
    _free_at: float = attrs.field(default=-math.inf, init=False)
    _scarce: bool = attrs.field(default=False, init=False)
    _used: int = attrs.field(default=0, init=False)

    # --- what Redis is asked ----------------------------------------------------------------

    @property
    def interval(self) -> float:
        """Seconds from one request to the next."""
        return min(_ENDLESS, 1.0 / self.rate) if self.rate else 0.0

    @property
    def most_at_once(self) -> int:
        """How many requests may be sent at once: never more than a second's worth."""
        return max(1, min(self.burst, math.floor(self.rate or 1.0)))

    def farthest(self, now: float) -> float:
        """Say in how many seconds a slot may be, if it is the only one to come."""
        has_more = bool(self._slots) and self._slots[-1] > now + _EARLY
        return HORIZON if has_more else _FARTHEST + self.interval

    def wanted(self, waiting: int, now: float) -> int:
        """Say how many slots to ask for.

        Args:
            waiting: Who waits for this look.
            now: The time.
        """
        if self.rate is None:
            return 0
        self._forget(now)
        coming = sum(turn <= now + HORIZON for turn in self._turns)
        here = sum(slot <= now + _EARLY for slot in self._slots)
        unpromised = len(self._slots) - max(self._promised, here)
        return max(0, max(0, waiting - here) + coming + self._spare(now) - unpromised)

    def _spare(self, now: float) -> int:
        """Say how many more are likely to be used until the next look, where there are enough."""
        if self._scarce or self._turns:
            return 0
        likely = self._used if now >= self._fresh_until else 2 * self._used
        return min(likely, math.floor(FRESH * (self.rate or 0.0)))

    def take_in(self, look: Look, wanted: int, now: float) -> None:
        """Take in what Redis has answered."""
        self._scarce = look.at_once + look.paced < wanted
        # Where many look for few slots, whoever looks always just behind another has none.
        self._fresh_until = now + FRESH * (random.uniform(0.5, 1.0) if self._scarce else 1.0)
        self._held_until = now + look.held if look.held else -math.inf
        self._used = 0
        if look.held:
            self._slots.clear()
            self._promised = 0
            return
        first, interval = now + look.first, self.interval
        paced = [first + number * interval for number in range(look.paced)]
        self._slots = deque(sorted([*self._slots, *[now] * look.at_once, *paced]))
        self._free_at = first + look.paced * interval

    # --- what a caller is told --------------------------------------------------------------

    def ask(self, now: float, *, again: bool = False) -> float | None:
        """Take a slot for a request.

        Args:
            now: The time.
            again: Whether the same caller has asked just before, and has waited for a look.

        Returns:
            0 if it may be sent now; else in how many seconds to come again; None if Redis has
            to be looked at first.
        """
        if not again and self._turns and self._turns[0] <= now + _EARLY:
            heapq.heappop(self._turns)  # it is theirs, or as good as theirs
        if self.news is None and now < self._held_until:
            return self._held_until - now
        if self.news is not None or now >= self._fresh_until:
            return None
        return 0.0 if self.rate is None else self._take_slot(now)

    def _take_slot(self, now: float) -> float | None:
        self._forget(now)
        if self._slots and self._slots[0] <= now + _EARLY:
            self._drop_slot()
            self._used += 1
            return 0.0
        if self._promised < len(self._slots):
            self._promised += 1
            return self._slots[self._promised - 1] - now
        return self._send_away(now) if self._scarce else None

    def _send_away(self, now: float) -> float:
        """Guess when there may be a slot for a caller, behind those who were sent away before."""
        turn = self._free_at + len(self._turns) * self.interval
        turn = max(turn, self._fresh_until)  # before it, nobody will look
        heapq.heappush(self._turns, turn)
        return turn - now

    def _drop_slot(self) -> None:
        self._slots.popleft()
        self._promised = max(0, self._promised - 1)

    def _forget(self, now: float) -> None:
        """Drop slots that have lapsed, and the turns of callers who have not come."""
        # Used late, they come close to those behind them; where all are used, that is too many.
        lapse = FRESH / 2 if self._scarce else FRESH
        while self._slots and self._slots[0] + lapse <= now:
            self._drop_slot()
        while self._turns and self._turns[0] + FRESH <= now:
            heapq.heappop(self._turns)

    # --- a 429 --------------------------------------------------------------------------------

    def hold(self, seconds: float | None, now: float) -> None:
        """Hold back the requests to come, and note what Redis has to be told."""
        seconds = seconds if seconds is None else min(seconds, _ENDLESS)
        until = now + (FIRST_HOLD if seconds is None else seconds)
        if now < self._held_until and (seconds is None or until <= self._held_until):
            return  # it answers a request that was under way already
        self.news = News(seconds, until)
        self._held_until = max(self._held_until, until)

    def take_news(self, now: float) -> str:
        """Give what Redis is to be told, in its words; it is news until `told`."""
        news = self.news
        if news is None or now >= news.until:
            return ""
        return "none" if news.seconds is None else repr(news.until - now)

    def told(self, news: News | None) -> None:
        """Forget what Redis has been told, but not what has happened meanwhile."""
        if self.news is news:
            self.news = None
