"""Waking those who wait for a change, or for a time of the client's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from ._clock import Clock


class Bell:
    """Wakes all who wait for it.

    Args:
        clock: The client's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = anyio.Event()
        self._naps: set[anyio.CancelScope] = set()

    def ring(self) -> None:
        """Wake everybody."""
        self._rung.set()
        self._rung = anyio.Event()
        for nap in self._naps:
            nap.cancel()

    async def wait(self, until: float | None, deadline: float | None = None) -> None:
        """Wait until it rings, or until a time of the clock; None: until it rings.

        Where there is a time, a deadline ends it as well, and comes before all else of its
        instant.

        An event with a deadline would not do: a clock that jumps moves while somebody sleeps.
        """
        if until is None:
            await self._rung.wait()
            return
        with self._clock.cut(deadline) as nap:
            self._naps.add(nap)
            try:
                await self._clock.sleep(max(0.0, until - self._clock.now()))
            finally:
                self._naps.discard(nap)
