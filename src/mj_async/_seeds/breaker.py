"""Whether the gateway lives, as far as a run of seeds can tell. Pure."""

from __future__ import annotations

import attrs


@attrs.define
class CircuitBreaker:
    """Counts failures in a row, and says when to ask whether the gateway lives.

    Args:
        patience: How many failures in a row are put up with before it is asked.
        every: Seconds from one such question to the next, while it stays silent.
        most: How many silent ones in a row say that it will not come back.
    """

    patience: int
    every: float
    most: int
    held: bool = attrs.field(default=False, init=False)
    silences: int = attrs.field(default=0, init=False)
    era: int = attrs.field(default=0, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _due: float = attrs.field(default=0.0, init=False)
    _asking: bool = attrs.field(default=False, init=False)

    @property
    def due(self) -> float | None:
        """When to ask whether it lives; None: not now, or it is being asked."""
        return self._due if self.held and not self._asking else None

    @property
    def gone(self) -> bool:
        """Whether it has been silent too often."""
        return self.silences >= self.most

    def failed(self, now: float) -> None:
        """Count a request that nobody answered."""
        self._failures += 1
        if self._failures >= self.patience and not self.held:
            self.held, self._due = True, now

    def answered(self) -> None:
        """Forget the failures; while held, only the question itself tells."""
        self._failures = 0

    def take(self, now: float) -> bool:
        """Whether it is to be asked now; whoever is told so must report what came."""
        if self.due is None or self.due > now:
            return False
        self._asking, self._due = True, now + self.every
        return True

    def lives(self) -> None:
        """Go on; a new era begins where it had been silent."""
        self.era += self.silences > 0
        self.held = self._asking = False
        self._failures = self.silences = 0

    def is_silent(self) -> None:
        """Hold on until the next question."""
        self._asking = False
        self.silences += 1
