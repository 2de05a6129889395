"""The order in which ids are listed, and then asked for their seeds. Pure."""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import count, islice
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .._models import Task

# The most ids that are read before they can be listed, or listed before their seeds can be asked.
MAX_READ_AHEAD = 100
# Seconds without input after which fewer ids than fill a request are listed: the input may wait
# for their outcomes before it gives more.
PARTIAL_LIST_DELAY = 0.5


@attrs.define(eq=False)
class SeedItem:
    """An id without an outcome.

    Args:
        is_listed: True if the next request asks for its seed; else the next one is a list.
        alone: True if that request must ask for this id only.
        asks: The requests of the present kind that count.
        provisional: Those that count only if the gateway turns out to be up.
        rate_limits: The answers with status 429.
    """

    task_id: str
    task: Task | None = None
    is_listed: bool = False
    alone: bool = False
    asks: int = 0
    provisional: int = 0
    rate_limits: int = 0


class SeedQueues:
    """New items, items whose seeds can be asked for, and items that wait for their retry.

    Args:
        concurrency: While so many seeds can be asked for, nothing is listed.
        batch_size: How many seeds one request asks for.
    """

    def __init__(self, concurrency: int, batch_size: int) -> None:
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._new: deque[SeedItem] = deque()
        self._relist: deque[SeedItem] = deque()
        self._ready: deque[SeedItem] = deque()
        self._delayed: list[tuple[float, int, SeedItem]] = []
        self._count = count()  # two items of one instant keep their order
        self.input_ended = False
        self._arrived = 0
        self._quiet = -math.inf, 0  # until when, and how many had arrived when it began

    @property
    def unlisted(self) -> int:
        """The number of new items that have not been listed."""
        return len(self._new)

    @property
    def room(self) -> int:
        """How many more ids may be read."""
        return MAX_READ_AHEAD - len(self._new) if len(self._ready) < MAX_READ_AHEAD else 0

    @property
    def due(self) -> float | None:
        """The time of the first retry."""
        return self._delayed[0][0] if self._delayed else None

    def add(self, item: SeedItem) -> None:
        """Append an item to the queue of its next request."""
        if item.is_listed:
            self._ready.append(item)
        else:
            self._arrived += 1
            self._new.append(item)

    def put_back(self, item: SeedItem, due: float) -> None:
        """Keep an item at the back until its retry is due."""
        heapq.heappush(self._delayed, (due, next(self._count), item))

    def next_list(self, now: float, size: int) -> list[SeedItem]:
        """Return the items to list now, at most `size`; new ones only if they fill a request.

        After the end of the input, or `PARTIAL_LIST_DELAY` without any, fewer are enough.
        """
        self._release_due(now)
        if not self._may_list:
            return []
        if self._relist:
            return _pop(self._relist, size)
        until, arrived = self._quiet
        is_quiet = arrived == self._arrived and until <= now
        fills = len(self._new) >= size
        return _pop(self._new, size) if fills or is_quiet or self.input_ended else []

    def list_due(self, now: float) -> float | None:
        """Return the time of the next list; None if something else must happen first."""
        if not self._new or not self._may_list:
            return self.due
        # By the number that arrived, and not by the time alone: the testing kit's clock jumps
        # forward between two ids.
        if self._quiet[1] != self._arrived:
            self._quiet = now + PARTIAL_LIST_DELAY, self._arrived
        return self._quiet[0] if self.due is None else min(self.due, self._quiet[0])

    def next_seeds(self, now: float) -> list[SeedItem]:
        """Return the items whose seeds the next request asks for."""
        self._release_due(now)
        first = list(islice(self._ready, self._batch_size))
        together = next((at for at, item in enumerate(first) if item.alone), len(first))
        return _pop(self._ready, max(1, together))

    @property
    def _may_list(self) -> bool:
        return len(self._ready) < self._concurrency

    def _release_due(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            item = heapq.heappop(self._delayed)[-1]
            (self._ready if item.is_listed else self._relist).append(item)


def _pop(queue: deque[SeedItem], limit: int) -> list[SeedItem]:
    return [queue.popleft() for _ in range(min(limit, len(queue)))]
