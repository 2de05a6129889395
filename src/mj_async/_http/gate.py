"""The rate limiter: a gate that every request passes, and that a 429 closes for a while."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio

from ..errors import ConfigurationError, RateLimitError
from .retry import with_jitter

if TYPE_CHECKING:
    from .._clock import Clock

# Gateways rarely send Retry-After (gateways page, "Refusals"); then the hold doubles with each
# 429 that follows within a minute, up to a minute.
LONGEST_HOLD = 60.0
# Where retries have no delay at all: doubling needs something to double.
SHORTEST_HOLD = 0.5
MEMORY = 60.0


@runtime_checkable
class Gate(Protocol):
    """A rate limiter for `AsyncMJClient(gate=...)`: any object with these two methods.

    A client has a gate of its own, which holds back all its calls after a 429. Write another
    one to keep to a rate, or to share a limit; `mj_async.distributed.SharedGate` shares one
    among processes, and several clients of one process may share any gate.

    `acquire` returns once for each request that is sent: for each attempt of a call, each poll
    of a wait, each list of a poller. The request holds one of the client's `max_connections`
    meanwhile, and its `request_timeout` begins when `acquire` returns. A single call is held
    until its timeout, and for no longer than `RetryPolicy.max_retry_after` and a tenth of it;
    waits and `image_seeds` are held for as long as they may take. If a gate refuses, nothing is
    sent, and the refusal is no attempt and takes nothing from the retry budget. Another
    exception of a gate reaches the caller as it is.
    """

    async def acquire(self, *, deadline: float | None) -> None:
        """Wait until one request may be sent.

        Args:
            deadline: A time of `anyio.current_time()`; a sleep that would pass it is not
                begun. None: any sleep is.

        Raises:
            RateLimitError: The sleep would pass the deadline; `retry_after` is its length in
                seconds.
        """
        ...

    async def hold(self, seconds: float | None) -> None:
        """Hold back the requests to come, after a 429.

        Args:
            seconds: Its Retry-After, or None where it had none.
        """
        ...


def check_gate(gate: object) -> None:
    """Raise `ConfigurationError` if a gate lacks a method, or is a class."""
    if isinstance(gate, type) or not isinstance(gate, Gate):
        given = gate.__name__ if isinstance(gate, type) else type(gate).__name__
        what = "the class" if isinstance(gate, type) else "an object of the class"
        raise ConfigurationError(
            "gate must be an object with the methods of mj_async.Gate, `async acquire(*, deadline)`"
            f" and `async hold(seconds)`, not {what} {given}"
        )


class BackoffGate:
    """The gate of a client without `gate=...`: it holds back every call after a 429.

    Args:
        clock: The client's time.
        first_hold: Seconds to hold after the first 429 without a Retry-After.
    """

    def __init__(self, clock: Clock, first_hold: float) -> None:
        self._clock = clock
        self._first_hold = self._next_hold = first_hold or SHORTEST_HOLD
        self._until = self._forget_at = -math.inf

    async def check(self, *, deadline: float | None) -> None:
        """Raise `RateLimitError` if the gate is held beyond a deadline of `acquire`."""
        if deadline is not None and self._until > 0:
            held = self._until - self._clock.now()
            if held > max(0.0, deadline - anyio.current_time()):
                raise RateLimitError(retry_after=held, description="there was a 429 before")

    async def acquire(self, *, deadline: float | None) -> None:
        while self._until > 0 and (held := self._until - self._clock.now()) > 0:
            await self.check(deadline=deadline)
            await self._clock.sleep(held)

    async def hold(self, seconds: float | None) -> None:
        now = self._clock.now()
        if seconds is not None:
            self._until = max(self._until, now + with_jitter(seconds))
        elif now >= self._until:  # else it answers a request that was under way already
            if now >= self._forget_at:
                self._next_hold = self._first_hold
            self._until = now + with_jitter(self._next_hold)
            self._next_hold = min(LONGEST_HOLD, 2 * self._next_hold)
            self._forget_at = self._until + MEMORY
