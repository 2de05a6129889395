"""What a user gives a bulk call: ids or tasks, from whatever can be iterated."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Collection,
    Iterable,
    Iterator,
)
from typing import Any, Self, TypeAlias

import anyio

from .._config import check_id
from .._models import Task
from ..errors import ConfigurationError

TaskIds: TypeAlias = Iterable[str | Task] | AsyncIterable[str | Task]

# Ids behind the last so many may be asked again; remembering all would cost memory.
REMEMBERED = 100_000
_END = object()


class RecentIds:
    """The last so many ids, to tell a repeated one."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._order: deque[str] = deque()
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, task_id: str) -> bool:
        """Remember an id; False where it is remembered already."""
        if task_id in self._known:
            return False
        self._known.add(task_id)
        self._order.append(task_id)
        if len(self._order) > self._size:
            self._known.remove(self._order.popleft())
        return True


class IdSource:
    """The user's ids and tasks, each checked, repeated ones left out.

    No generator of ours: one that is cut off in the middle would be left unfinished.

    Args:
        tasks: What the user gave.

    Raises:
        ConfigurationError: It is one thing instead of many; or it can be looked at twice, and
            one of the ids cannot be used.
    """

    def __init__(self, tasks: TaskIds) -> None:
        is_many = isinstance(tasks, Iterable | AsyncIterable)
        if not is_many or isinstance(tasks, str | bytes):
            kind = type(tasks).__name__
            raise ConfigurationError(f"tasks must be ids or tasks, not one {kind}: use [ ]")
        if isinstance(tasks, Collection):
            for task in tasks:
                id_of(task)
        self._tasks = tasks
        self._plain: Iterator[str | Task] = iter(())
        self._asynchronous: AsyncIterator[str | Task] | None = None
        self._recent = RecentIds()
        self.ended = False
        self.error: BaseException | None = None

    async def __aenter__(self) -> Self:
        if isinstance(self._tasks, AsyncIterable):
            self._asynchronous = aiter(self._tasks)
        else:
            self._plain = iter(self._tasks)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if isinstance(self._asynchronous, AsyncGenerator):
            with anyio.CancelScope(shield=True):
                await self._asynchronous.aclose()

    async def read(self, most: int) -> list[str | Task]:
        """Read on: so many of what is at hand, or one of what must be awaited.

        An error of the source, or a bad id, ends it, and is kept as `error`.
        """
        new: list[str | Task] = []
        try:
            for _ in range(most if self._asynchronous is None else 1):
                item = await self._next()
                if item is _END:
                    self.ended = True
                    break
                if self._recent.add(id_of(item)):
                    new.append(item)
        except Exception as error:  # noqa: BLE001  # raised at the end of the iteration
            self.error, self.ended = error, True
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # Nobody cancels us: the source has waited for a task of its own that was cancelled.
            self.error, self.ended = error, True
        return new

    async def _next(self) -> Any:
        if self._asynchronous is None:
            return next(self._plain, _END)
        return await anext(self._asynchronous, _END)


def id_of(task: object) -> str:
    """Give the id of an id or a task, checked.

    Raises:
        ConfigurationError: It cannot be used.
    """
    return check_id(task.id if isinstance(task, Task) else task)
