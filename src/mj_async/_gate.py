"""What all calls of a client share to spare a gateway: the hold after a 429, and the budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ._retry import stretched
from .errors import RateLimitError

if TYPE_CHECKING:
    from ._clock import Clock

# Gateways rarely send Retry-After (gateways page, "Refusals"); then the hold doubles with each
# 429 that follows within a minute, up to a minute.
_LONGEST_HOLD = 60.0
# Where retries have no delay at all: doubling needs something to double.
_SHORTEST_HOLD = 0.5
_MEMORY = 60.0

_GIVEN_BACK = 0.2


class HoldingGate:
    """Holds back every call of one client after a 429.

    Args:
        clock: The client's time.
        first_hold: Seconds to hold after the first 429 without a Retry-After.
    """

    def __init__(self, clock: Clock, first_hold: float) -> None:
        self._clock = clock
        self._first_hold = self._next_hold = first_hold or _SHORTEST_HOLD
        self._until = self._forget_at = -math.inf

    async def acquire(self, *, deadline: float | None) -> None:
        """Wait until requests may be sent.

        Args:
            deadline: A time of the clock; a sleep that would pass it is not begun. None: any.

        Raises:
            RateLimitError: The gate is held beyond the deadline.
        """
        if self._until < 0:  # never held
            return
        while (held := self._until - self._clock.now()) > 0:
            if deadline is not None and self._until > deadline:
                raise RateLimitError(
                    retry_after=held, description="held back after a 429; nothing was sent"
                )
            await self._clock.sleep(held)

    async def hold(self, seconds: float | None) -> None:
        """Hold back the requests to come.

        Args:
            seconds: The Retry-After of a 429, or None where it had none.
        """
        now = self._clock.now()
        if seconds is not None:
            self._until = max(self._until, now + stretched(seconds))
        elif now >= self._until:  # else it answers a request that was under way already
            if now >= self._forget_at:
                self._next_hold = self._first_hold
            self._until = now + stretched(self._next_hold)
            self._next_hold = min(_LONGEST_HOLD, 2 * self._next_hold)
            self._forget_at = self._until + _MEMORY


class Budget:
    """Retries that a client has left, so that a dead gateway is not asked thrice by everybody.

    Args:
        tokens: What it begins with, and its maximum.
    """

    def __init__(self, tokens: float) -> None:
        self._most = tokens
        self._left = float(tokens)

    def take(self) -> bool:
        """Take one for a retry; False where there is none."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Give a fifth back for a success."""
        self._left = min(self._most, self._left + _GIVEN_BACK)
