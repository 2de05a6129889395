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
MAX_READ_AHEAD = 100
# Seconds for which the input may be silent before what it gave is listed, a whole batch or not:
# it may wait for the outcomes before it gives more.
PARTIAL_LIST_DELAY = 0.5


@attrs.define(eq=False)
class SeedItem:
    """One id that has no outcome yet.

    Args:
        task_id: The id.
        task: The task, where one was seen.
        listed: Whether it is asked for its seed next, and no longer listed.
        alone: Whether that is to be a request for this id only.
        asks: Its requests that count, of the kind that is made now.
        provisional: Those that count only if the gateway turns out to live.
        refusals: Its 429s.
    """

    task_id: str
    task: Task | None = None
    is_listed: bool = False
    alone: bool = False
    asks: int = 0
    provisional: int = 0
    rate_limits: int = 0


class SeedQueues:
    """Entries in the order in which they are asked.

    Args:
        concurrency: How many seeds are asked for at once; lists wait while so many are ready.
        batch_size: How many seeds are asked for in one request.
    """

    def __init__(self, concurrency: int, batch_size: int) -> None:
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._new: deque[SeedItem] = deque()
        self._relist: deque[SeedItem] = deque()  # to be listed again
        self._ready: deque[SeedItem] = deque()
        self._delayed: list[tuple[float, int, SeedItem]] = []
        self._count = count()
        self._arrived = 0
        self._quiet = -math.inf, 0  # until when, and how many had come when it began

    @property
    def unlisted(self) -> int:
        """How many have come from the input, and have not been listed."""
        return len(self._new)

    @property
    def room(self) -> int:
        """How many more may come from the input."""
        return MAX_READ_AHEAD - len(self._new) if len(self._ready) < MAX_READ_AHEAD else 0

    @property
    def _may_list(self) -> bool:
        """Whether there are so few seeds to ask for that it is time to list."""
        return len(self._ready) < self._concurrency

    @property
    def due(self) -> float | None:
        """When the first at the back is due."""
        return self._delayed[0][0] if self._delayed else None

    def add(self, item: SeedItem) -> None:
        """Have an item listed, or asked for, in its turn."""
        if item.is_listed:
            self._ready.append(item)
        else:
            self._arrived += 1
            self._new.append(item)

    def put_back(self, item: SeedItem, due: float) -> None:
        """Have an item asked again, from that time on."""
        heapq.heappush(self._delayed, (due, next(self._count), item))

    def next_list(self, now: float, size: int, *, partial: bool) -> list[SeedItem]:
        """Give what is to be listed now.

        Args:
            now: The time.
            size: How many at once.
            partial: Whether fewer will do of the input, although it has not been silent.
        """
        self._release_due(now)
        if not self._may_list:
            return []
        if self._relist:
            return _pop(self._relist, size)
        until, arrived = self._quiet
        is_quiet = arrived == self._arrived and until <= now
        return _pop(self._new, size) if partial or is_quiet or len(self._new) >= size else []

    def partial_due(self, now: float) -> float | None:
        """When part of a batch is listed if the input stays silent; None: there is none."""
        if not self._new or not self._may_list:
            return None
        # By what came, not by the time alone: a clock that jumps does so between two ids.
        if self._quiet[1] != self._arrived:
            self._quiet = now + PARTIAL_LIST_DELAY, self._arrived
        return self._quiet[0]

    def next_seeds(self, now: float) -> list[SeedItem]:
        """Give those whose seeds are to be asked for now, in one request."""
        self._release_due(now)
        first = list(islice(self._ready, self._batch_size))
        together = next((at for at, item in enumerate(first) if item.alone), len(first))
        return _pop(self._ready, max(1, together))

    def _release_due(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            item = heapq.heappop(self._delayed)[-1]
            (self._ready if item.is_listed else self._relist).append(item)


def _pop(queue: deque[SeedItem], limit: int) -> list[SeedItem]:
    return [queue.popleft() for _ in range(min(limit, len(queue)))]
