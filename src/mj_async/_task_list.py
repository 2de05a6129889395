"""What a list of tasks is: a sequence that is a mapping by id, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from ._models import Task


class TaskList(Sequence[Task]):
    """Tasks in the order they were asked for, each id once.

    `tasks[0]`, `tasks["id"]`, `"id" in tasks` and iteration over the tasks all work.

    Args:
        tasks: The tasks that the gateway knows.
        missing: The ids that it does not know, in the order asked.
    """

    __slots__ = ("_by_id", "_tasks", "missing")

    def __init__(self, tasks: Sequence[Task] = (), missing: Sequence[str] = ()) -> None:
        self._tasks = tuple(tasks)
        self._by_id = {task.id: task for task in self._tasks}
        self.missing: tuple[str, ...] = tuple(missing)

    @overload
    def __getitem__(self, key: int | str) -> Task: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, key: int | str | slice) -> Task | tuple[Task, ...]:
        if isinstance(key, str):
            return self._by_id[key]
        return self._tasks[key]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __contains__(self, key: object) -> bool:
        return key in self._by_id if isinstance(key, str) else key in self._tasks

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskList):
            return NotImplemented
        return (self._tasks, self.missing) == (other._tasks, other.missing)

    def __hash__(self) -> int:
        return hash((self._tasks, self.missing))

    def __repr__(self) -> str:
        return f"<TaskList(tasks={len(self)}, missing={len(self.missing)})>"
