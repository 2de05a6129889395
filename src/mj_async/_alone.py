"""Waiting for one task alone: the one polling loop, and following a wait to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from . import errors

if TYPE_CHECKING:
    from types import TracebackType

    from ._models import Task
    from ._waiting import Watch


class Alone:
    """Asks for one task whenever it is due, until its time is over.

    Args:
        watch: The wait.
        poll: Asks once.
    """

    def __init__(self, watch: Watch, poll: Callable[[str], Awaitable[Task]]) -> None:
        self._watch = watch
        self._poll = poll
        self._clock = watch.context.clock
        self._cut = watch.context.life.cut(watch.deadline)

    def __enter__(self) -> Self:
        self._cut.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self._cut.__exit__(kind, error, traceback)

    async def step(self) -> None:
        """Ask once."""
        await self._clock.sleep(max(0.0, self._watch.due - self._clock.now()))
        asked_at = self._clock.now()
        self._watch.begin_poll()
        answer: Task | errors.MJError
        try:
            answer = await self._poll(self._watch.task_id)
        except errors.MJError as error:
            answer = error
        self._watch.take(answer, asked_at)


async def wait(
    watch: Watch,
    on_update: Callable[[Task], object] | None,
    *,
    raise_on_failure: bool,
) -> Task:
    """Follow a watch to its end.

    Args:
        watch: The wait.
        on_update: Called with each change; what it returns is awaited if it can be.
        raise_on_failure: Whether FAILURE and CANCEL are errors.

    Returns:
        The final task.

    Raises:
        MJError: What ended the wait.
    """
    task = None
    watch.ends_only = on_update is None
    try:
        async for task in watch:
            result = None if on_update is None else on_update(task)
            if isinstance(result, Awaitable):
                await result
    finally:  # whoever holds the error may hold the watch by its traceback
        watch.close()
    assert task is not None  # noqa: S101  # a watch yields or raises
    failure = watch.failure() if raise_on_failure else None
    if failure is not None:
        raise failure
    return task
