"""Outcomes on their way from those who get them to the one who reads them."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class Landing(Generic[T]):
    """Outcomes between those who get them and the one who reads them.

    Landing never waits, so that a cancelled run loses nothing that it has received; instead,
    `room()` holds back the next request.

    Args:
        size: How many may have landed before `room()` waits.
    """

    def __init__(self, size: float) -> None:
        self._size = size
        self._landed: deque[T] = deque()
        self._changed = anyio.Event()
        self._closed = False

    def land(self, outcome: T) -> None:
        """Put an outcome down for the reader."""
        self._landed.append(outcome)
        self._wake()

    def close(self) -> None:
        """Say that nothing follows."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def room(self) -> None:
        """Wait until fewer have landed than there is room for."""
        while len(self._landed) >= self._size:
            await self._changed.wait()

    async def take(self) -> T | None:
        """Give the next outcome, or None after the last."""
        while not self._landed:
            if self._closed:
                return None
            await self._changed.wait()
        self._wake()
        return self._landed.popleft()
