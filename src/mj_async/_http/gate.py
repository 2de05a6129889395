"""What spares a gateway: the gate before every request."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

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
    """What is asked before every request, and told of every 429: `AsyncMJClient(gate=...)`.

    A client has one of its own, which holds back all its calls after a 429. Write another one
    to keep to a rate, or to share a limit; `mj_async.distributed.SharedGate` shares one among
    processes. Any class with these two methods is a gate.

    There is one `acquire` that returns for each request that is sent: for each attempt of a
    call, each poll of a wait, each list call of a poller. The client asks "now or never", by
    `deadline=-math.inf`, since it holds a connection meanwhile; where it is refused, it gives
    that up, sleeps for the error's `retry_after`, and asks again. Such a refusal is no failed
    attempt and no failed poll: a call ends with it only where the sleep would pass the call's
    timeout or `RetryPolicy.max_retry_after`, a wait by its timeout alone, and for a run of
    seeds it does not count. A gate that sleeps in spite of the deadline works as well, and
    keeps that connection from others.

    Several clients of one process may share a gate. What else a gate raises reaches the caller
    as it is.
    """

    async def acquire(self, *, deadline: float | None) -> None:
        """Wait until one request may be sent, and return.

        Args:
            deadline: A time of `anyio.current_time()`; a sleep that would pass it is not
                begun. None: any sleep is.

        Raises:
            RateLimitError: It would be later than that. `retry_after` says in how many seconds
                to ask again; where it is None or 0, the client asks again after 0.1 s.
        """
        ...

    async def hold(self, seconds: float | None) -> None:
        """Hear of a 429, so that the requests to come are held back.

        Args:
            seconds: Its Retry-After, or None where it had none.
        """
        ...


def check_gate(gate: object) -> None:
    """Refuse what is no gate.

    Raises:
        ConfigurationError: It lacks one of the methods, or is a class and no instance of one.
    """
    if isinstance(gate, type) or not isinstance(gate, Gate):
        given = gate.__name__ if isinstance(gate, type) else type(gate).__name__
        what = "the class" if isinstance(gate, type) else "an object of the class"
        raise ConfigurationError(
            "gate must be an object with the methods of mj_async.Gate, `async acquire(*, deadline)`"
            f" and `async hold(seconds)`, not {what} {given}"
        )


class BackoffGate:
    """Holds back every call of one client after a 429; what a client has without `gate=...`.

    Args:
        clock: The client's time.
        first_hold: Seconds to hold after the first 429 without a Retry-After.
    """

    def __init__(self, clock: Clock, first_hold: float) -> None:
        self._clock = clock
        self._first_hold = self._next_hold = first_hold or SHORTEST_HOLD
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
                raise RateLimitError(retry_after=held, description="there was a 429 before")
            await self._clock.sleep(held)

    async def hold(self, seconds: float | None) -> None:
        """Hold back the requests to come.

        Args:
            seconds: The Retry-After of a 429, or None where it had none.
        """
        now = self._clock.now()
        if seconds is not None:
            self._until = max(self._until, now + with_jitter(seconds))
        elif now >= self._until:  # else it answers a request that was under way already
            if now >= self._forget_at:
                self._next_hold = self._first_hold
            self._until = now + with_jitter(self._next_hold)
            self._next_hold = min(LONGEST_HOLD, 2 * self._next_hold)
            self._forget_at = self._until + MEMORY
