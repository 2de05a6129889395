"""A circuit breaker: failures in a row open it, a successful probe closes it. Pure."""

from __future__ import annotations

import attrs


@attrs.define
class CircuitBreaker:
    """A circuit breaker: consecutive failures open it, a successful probe closes it.

    Args:
        threshold: How many failures in a row open it.
        probe_interval: Seconds from the start of a probe to the next, while it stays open.
        max_probes: After how many failed probes in a row it is exhausted.

    Attributes:
        probe_at: The time of the next probe; None while it is closed, and during a probe.
        outages: How many outages are over; one begins with a failed probe.
    """

    threshold: int
    probe_interval: float
    max_probes: int
    is_open: bool = attrs.field(default=False, init=False)
    probe_at: float | None = attrs.field(default=None, init=False)
    failed_probes: int = attrs.field(default=0, init=False)
    outages: int = attrs.field(default=0, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _next_probe_at: float = attrs.field(default=0.0, init=False)

    @property
    def is_exhausted(self) -> bool:
        """True if the run must end: the gateway has not come back."""
        return self.failed_probes >= self.max_probes

    def record_failure(self, now: float) -> None:
        """Record a request without an answer; the last of `threshold` in a row opens it."""
        self._failures += 1
        if self._failures >= self.threshold and not self.is_open:
            self.is_open, self.probe_at = True, now

    def record_success(self) -> None:
        """Record an answer; an open breaker stays open, for it may have been sent before."""
        self._failures = 0

    def try_probe(self, now: float) -> bool:
        """Return True if the caller must probe now; it must report the result."""
        if self.probe_at is None or self.probe_at > now:
            return False
        self.probe_at, self._next_probe_at = None, now + self.probe_interval
        return True

    def probe_failed(self) -> None:
        """Stay open until the next probe."""
        self.probe_at = self._next_probe_at
        self.failed_probes += 1

    def close(self) -> None:
        """Close after a successful probe."""
        self.outages += self.failed_probes > 0
        self.is_open, self.probe_at = False, None
        self._failures = self.failed_probes = 0
