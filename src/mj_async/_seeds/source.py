"""The ids or tasks that a user gives to a bulk call: checked, and without repetitions."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterable
from typing import Any, Self, TypeAlias

import anyio

from .._config import check_id
from .._models import Task
from ..errors import ConfigurationError

TaskIds: TypeAlias = Iterable[str | Task] | AsyncIterable[str | Task]

# An id that is repeated later than this is looked up again: the memory of a run must stay flat.
REMEMBERED_IDS = 100_000
_END: Any = object()


class RecentIds:
    """The last `REMEMBERED_IDS` ids."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._known: set[str] = set()

    def add(self, task_id: str) -> bool:
        """Record an id. Return False if it is a repetition."""
        if task_id in self._known:
            return False
        self._known.add(task_id)
        self._order.append(task_id)
        if len(self._order) > REMEMBERED_IDS:
            self._known.remove(self._order.popleft())
        return True


class IdSource:
    """The user's ids and tasks. A repeated id is dropped here.

    It is not a generator: a generator that is cancelled in the middle would be left unfinished.

    Attributes:
        ended: True if nothing follows.
        error: What ended it, if it did not end well: an error of the input, or a bad id.

    Raises:
        ConfigurationError: `tasks` is a single thing; or it is a collection, and one of its ids
            cannot be used.
    """

    def __init__(self, tasks: TaskIds) -> None:
        is_many = isinstance(tasks, Iterable | AsyncIterable)
        if not is_many or isinstance(tasks, str | bytes):
            kind = type(tasks).__name__
            raise ConfigurationError(f"tasks must be ids or tasks, not one {kind}: use [ ]")
        if isinstance(tasks, Collection):
            for task in tasks:
                _id_of(task)
        self._tasks: Any = tasks
        self._is_async = isinstance(tasks, AsyncIterable)
        self._items: Any = None
        self._recent = RecentIds()
        self.ended = False
        self.error: BaseException | None = None

    async def __aenter__(self) -> Self:
        self._items = aiter(self._tasks) if self._is_async else iter(self._tasks)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if isinstance(self._items, AsyncGenerator):
            with anyio.CancelScope(shield=True):
                await self._items.aclose()

    async def read(self, limit: int) -> list[str | Task]:
        """Return the next `limit` items without repetitions; of an async input, at most one."""
        new: list[str | Task] = []
        try:
            for _ in range(1 if self._is_async else limit):
                item = await anext(self._items, _END) if self._is_async else next(self._items, _END)
                if item is _END:
                    self.ended = True
                    break
                if self._recent.add(_id_of(item)):
                    new.append(item)
        except Exception as error:  # noqa: BLE001  # raised at the end of the iteration
            self.error, self.ended = error, True
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # The run is not cancelled: the input has awaited a task that was cancelled.
            self.error, self.ended = error, True
        return new


def _id_of(task: object) -> str:
    return check_id(task.id if isinstance(task, Task) else task)
