"""Who of many ids is asked next: those from the input, those to be asked for, those at the back."""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import count, islice
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .._models import Task

# Ids that are read before they can be listed, and ids listed before their seed can be asked for.
MOST_AHEAD = 100
# Seconds for which the input may be silent before what it gave is listed, a whole batch or not:
# it may wait for the outcomes before it gives more.
MOMENT = 0.5


@attrs.define(eq=False)
class SeedItem:
    """One id that has no outcome yet.

    Args:
        task_id: The id.
        task: The task, where one was seen.
        listed: Whether it is asked for its seed next, and no longer listed.
        alone: Whether that is to be a request for this id only.
        asks: Its requests that count, of the kind that is made now.
        doubts: Those that count only if the gateway turns out to live.
        refusals: Its 429s.
        era: When it was last asked, as the pulse tells eras.
    """

    task_id: str
    task: Task | None = None
    listed: bool = False
    alone: bool = False
    asks: int = 0
    doubts: int = 0
    refusals: int = 0
    era: int = 0


class SeedQueues:
    """Entries in the order in which they are asked.

    Args:
        concurrency: How many seeds are asked for at once; lists wait while so many are ready.
        batch_size: How many seeds are asked for in one request.
    """

    def __init__(self, concurrency: int, batch_size: int) -> None:
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._fresh: deque[SeedItem] = deque()
        self._stale: deque[SeedItem] = deque()  # to be listed again
        self._seeds: deque[SeedItem] = deque()
        self._back: list[tuple[float, int, SeedItem]] = []
        self._count = count()
        self._came = 0
        self._silence = -math.inf, 0  # until when, and how many had come when it began

    @property
    def fresh(self) -> int:
        """How many have come from the input, and have not been listed."""
        return len(self._fresh)

    @property
    def room(self) -> int:
        """How many more may come from the input."""
        return MOST_AHEAD - len(self._fresh) if len(self._seeds) < MOST_AHEAD else 0

    @property
    def _may_list(self) -> bool:
        """Whether there are so few seeds to ask for that it is time to list."""
        return len(self._seeds) < self._concurrency

    @property
    def due(self) -> float | None:
        """When the first at the back is due."""
        return self._back[0][0] if self._back else None

    def add(self, entry: SeedItem) -> None:
        """Have an entry listed, or asked for, in its turn."""
        if entry.listed:
            self._seeds.append(entry)
        else:
            self._came += 1
            self._fresh.append(entry)

    def put_back(self, entry: SeedItem, due: float) -> None:
        """Have an entry asked again, from that time on."""
        heapq.heappush(self._back, (due, next(self._count), entry))

    def take_list(self, now: float, size: int, *, part: bool) -> list[SeedItem]:
        """Give what is to be listed now.

        Args:
            now: The time.
            size: How many at once.
            part: Whether fewer will do of the input, although it has not been silent.
        """
        self._ripen(now)
        if not self._may_list:
            return []
        if self._stale:
            return _taken(self._stale, size)
        until, came = self._silence
        silent = came == self._came and until <= now
        return _taken(self._fresh, size) if part or silent or len(self._fresh) >= size else []

    def part_due(self, now: float) -> float | None:
        """When part of a batch is listed if the input stays silent; None: there is none."""
        if not self._fresh or not self._may_list:
            return None
        # By what came, not by the time alone: a clock that jumps does so between two ids.
        if self._silence[1] != self._came:
            self._silence = now + MOMENT, self._came
        return self._silence[0]

    def take_seeds(self, now: float) -> list[SeedItem]:
        """Give those whose seeds are to be asked for now, in one request."""
        self._ripen(now)
        first = list(islice(self._seeds, self._batch_size))
        together = next((at for at, entry in enumerate(first) if entry.alone), len(first))
        return _taken(self._seeds, max(1, together))

    def _ripen(self, now: float) -> None:
        while self._back and self._back[0][0] <= now:
            entry = heapq.heappop(self._back)[-1]
            (self._seeds if entry.listed else self._stale).append(entry)


def _taken(queue: deque[SeedItem], most: int) -> list[SeedItem]:
    return [queue.popleft() for _ in range(min(most, len(queue)))]
