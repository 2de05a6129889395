"""Whether the gateway lives, as far as a run of seeds can tell. Pure."""

from __future__ import annotations

import attrs


@attrs.define
class CircuitBreaker:
    """Counts failures in a row, and says when to ask whether the gateway lives.

    Args:
        threshold: How many failures in a row are put up with before it is asked.
        probe_interval: Seconds from one such question to the next, while it stays silent.
        max_probes: How many silent ones in a row say that it will not come back.
    """

    threshold: int
    probe_interval: float
    max_probes: int
    is_open: bool = attrs.field(default=False, init=False)
    failed_probes: int = attrs.field(default=0, init=False)
    epoch: int = attrs.field(default=0, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _due: float = attrs.field(default=0.0, init=False)
    _is_probing: bool = attrs.field(default=False, init=False)

    @property
    def due(self) -> float | None:
        """When to ask whether it lives; None: not now, or it is being asked."""
        return self._due if self.is_open and not self._is_probing else None

    @property
    def is_exhausted(self) -> bool:
        """Whether it has been silent too often."""
        return self.failed_probes >= self.max_probes

    def record_failure(self, now: float) -> None:
        """Count a request that nobody answered."""
        self._failures += 1
        if self._failures >= self.threshold and not self.is_open:
            self.is_open, self._due = True, now

    def record_success(self) -> None:
        """Forget the failures; while held, only the question itself tells."""
        self._failures = 0

    def try_probe(self, now: float) -> bool:
        """Whether it is to be asked now; whoever is told so must report what came."""
        if self.due is None or self.due > now:
            return False
        self._is_probing, self._due = True, now + self.probe_interval
        return True

    def close(self) -> None:
        """Go on; a new era begins where it had been silent."""
        self.epoch += self.failed_probes > 0
        self.is_open = self._is_probing = False
        self._failures = self.failed_probes = 0

    def probe_failed(self) -> None:
        """Hold on until the next question."""
        self._is_probing = False
        self.failed_probes += 1
