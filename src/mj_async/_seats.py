"""Who waits with a poller: the seat of each, and the crowd that waits for one id."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import ref

import anyio

from ._agenda import Place

if TYPE_CHECKING:
    from ._agenda import Job
    from ._driver import Driver
    from ._waiting import Watch


class Seat(Place):
    """The place of one who waits, and what it is doing for all."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.job: Job | None = None
        self._event: anyio.Event | None = None
        self._carrying: anyio.CancelScope | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, and nobody to tell."""
        return self.job is None and not self.watch.has_news

    @property
    def patience(self) -> float:
        """The time until which it will wait."""
        deadline = self.watch.deadline
        return math.inf if deadline is None else deadline

    def wake(self) -> None:
        """End what it awaits: there is news, or something to do."""
        if self._event is not None:
            self._event.set()
        if self._carrying is not None:
            self._carrying.cancel()

    async def wait(self) -> None:
        """Wait until it is woken."""
        self._event = anyio.Event()
        await self._event.wait()

    async def carry(self, job: Job, driver: Driver) -> None:
        """Send a request for all, unless it is woken by news of its own."""
        try:
            with anyio.CancelScope() as self._carrying:
                await driver.carry(job)
        finally:
            self.job = self._carrying = None


class Crowd:
    """All watches of one id, as long as somebody holds one of them."""

    def __init__(self) -> None:
        self._watches: list[ref[Watch]] = []

    def add(self, watch: Watch) -> None:
        """Count it among those who wait, until nobody holds it any more."""
        self._watches = [one for one in self._watches if one() is not None]
        self._watches.append(ref(watch))

    def remove(self, watch: Watch) -> None:
        """Forget it at once."""
        self._watches.remove(ref(watch))

    def __iter__(self) -> Iterator[Watch]:
        watches = (watch() for watch in self._watches)
        return (watch for watch in watches if watch is not None and watch.is_open)
