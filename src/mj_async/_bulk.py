"""A few at once over an iterator, over plain callables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Iterable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import anyio
import attrs

from . import errors
from ._checks import check_id
from ._landing import Landing
from ._models import ImageSeed, Task, TaskList
from ._outcomes import SeedOutcome, failure_of

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskGroup

    from ._life import Life

T = TypeVar("T")
TaskIds: TypeAlias = Iterable[str | Task] | AsyncIterable[str | Task]

# Ids behind the last so many may be asked again; remembering all would cost memory.
_REMEMBERED = 100_000
_ENDS_RUN = (
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.ConfigurationError,
    errors.ClientStateError,
)
_NO_LIST = (errors.UnsupportedError, errors.UnexpectedAnswerError)


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for each item, so many at once; the first error cuts the others off.

    Raises:
        Exception: That error, by itself and not in a group.
    """
    remaining = iter(items)
    failures: list[Exception] = []

    async def take_turns() -> None:
        for item in remaining:
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001  # raised below
                failures.append(error)
                group.cancel_scope.cancel()
                return

    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(take_turns)
    if failures:
        raise failures[0]


_END = object()


class _Source:
    """The user's ids one by one, from whatever can be iterated.

    No generator of ours: one that is cut off in the middle would be left unfinished.
    """

    def __init__(self, tasks: TaskIds) -> None:
        self._asynchronous = aiter(tasks) if isinstance(tasks, AsyncIterable) else None
        self._plain = iter(() if isinstance(tasks, AsyncIterable) else tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if isinstance(self._asynchronous, AsyncGenerator):
            with anyio.CancelScope(shield=True):
                await self._asynchronous.aclose()

    async def next(self) -> Any:
        """Give the next item, which may be no id, or `_END` after the last."""
        if self._asynchronous is None:
            return next(self._plain, _END)
        return await anext(self._asynchronous, _END)


def classify(task_id: str, task: Task) -> SeedOutcome | None:
    """Tell what a listed task says of its seed; None: it must be asked for."""
    if task.seed is not None:
        return SeedOutcome(task_id, ImageSeed(task_id, task.seed, "list", task))
    failure = failure_of(task_id, task)
    if failure is not None:
        return SeedOutcome(task_id, error=failure)
    if not task.succeeded:
        unfinished = errors.SeedUnavailableError(task_id=task_id, task=task)
        return SeedOutcome(task_id, error=unfinished)
    return None


@attrs.define(kw_only=True, eq=False)
class SeedRun:
    """The seeds of many tasks, as they land: `async with` it, then `async for` over it.

    Args:
        tasks: Ids, or tasks, which are not listed.
        list_tasks: Lists up to `batch_size` ids.
        image_seed: Asks for one seed.
        concurrency: How many seeds are asked for at once.
        batch_size: How many ids are listed at once.
        life: Ends the run when the client is closed.
    """

    tasks: TaskIds
    list_tasks: Callable[[list[str]], Awaitable[TaskList]]
    image_seed: Callable[[str], Awaitable[ImageSeed]]
    concurrency: int
    batch_size: int
    life: Life
    _landing: Landing[SeedOutcome] = attrs.field(init=False)
    _group: TaskGroup | None = attrs.field(default=None, init=False)
    _fatal: Exception | None = attrs.field(default=None, init=False)
    _broken: Exception | None = attrs.field(default=None, init=False)
    _recent: dict[str, None] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._landing = Landing(2 * self.concurrency)
        is_many = isinstance(self.tasks, Iterable | AsyncIterable)
        if not is_many or isinstance(self.tasks, str | bytes):
            kind = type(self.tasks).__name__
            raise errors.ConfigurationError(f"tasks must be ids or tasks, not one {kind}: use [ ]")
        if isinstance(self.tasks, Collection):  # what can be looked at twice
            for task in self.tasks:
                _id_of(task)

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._run)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        group, self._group = self._group, None
        assert group is not None  # noqa: S101  # __aenter__ has set it
        group.cancel_scope.cancel()
        # Without the body's exception, which the group would wrap into an exception group.
        await group.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SeedOutcome:
        """Give the next outcome.

        Raises:
            ClientStateError: The run has not been entered, or was left.
            MJError: What ended the run, after all that had been received was given.
        """
        if self._group is None:
            raise errors.ClientStateError("use it as: async with client.image_seeds(…) as outcomes")
        outcome = await self._landing.take()
        if outcome is not None:
            return outcome
        if self._fatal is not None:
            raise self._fatal
        self.life.check_open()
        raise StopAsyncIteration

    async def _run(self) -> None:
        send, receive = anyio.create_memory_object_stream[tuple[str, Task | None]]()

        async def guard(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # raised at the end of the iteration
                self._fatal = self._fatal or error
                crew.cancel_scope.cancel()

        try:
            with send, receive, self.life.cut(None):
                async with anyio.create_task_group() as crew:
                    crew.start_soon(guard, partial(self._feed, send))
                    for _ in range(self.concurrency):
                        crew.start_soon(guard, partial(self._work, receive.clone()))
        finally:
            self._landing.close()

    async def _feed(self, queue: ObjectSendStream[tuple[str, Task | None]]) -> None:
        """List the ids and queue those whose seed must be asked for."""
        async with queue, _Source(self.tasks) as source:
            while batch := await self._next_batch(source):
                await self._landing.room()
                for task_id, task in await self._look_up(batch):
                    outcome = None if task is None else classify(task_id, task)
                    if outcome is None:
                        await queue.send((task_id, task))
                    else:
                        self._landing.land(outcome)

    async def _work(self, queue: ObjectReceiveStream[tuple[str, Task | None]]) -> None:
        async with queue:
            async for task_id, task in queue:
                await self._landing.room()
                self._landing.land(await self._ask(task_id, task))

    async def _ask(self, task_id: str, task: Task | None) -> SeedOutcome:
        try:
            seed = await self.image_seed(task_id)
        except _ENDS_RUN:
            raise
        except errors.MJError as error:
            if isinstance(error, errors.SeedUnavailableError):
                error.task = error.task or task
            return SeedOutcome(task_id, error=error)
        if seed.seed is None:  # the documented answer, a task without one
            missing = errors.SeedUnavailableError(task_id=task_id, task=seed.task)
            return SeedOutcome(task_id, error=missing)
        return SeedOutcome(task_id, attrs.evolve(seed, task=seed.task or task))

    async def _look_up(self, batch: list[str | Task]) -> list[tuple[str, Task | None]]:
        """Find the tasks of a batch; None for what has to be asked for unseen."""
        found = {_id_of(item): item if isinstance(item, Task) else None for item in batch}
        ids = [task_id for task_id, task in found.items() if task is None]
        try:
            listed = await self.list_tasks(ids) if ids else TaskList()
        except _NO_LIST:
            return list(found.items())
        except _ENDS_RUN:
            raise
        except errors.MJError as error:
            listed = TaskList(missing=ids)
            self._land_all(ids, error)
        else:
            for task_id in listed.missing:
                unknown = errors.TaskNotFoundError(task_id=task_id)
                self._landing.land(SeedOutcome(task_id, error=unknown))
        found.update({task.id: task for task in listed})
        return [(task_id, task) for task_id, task in found.items() if task is not None]

    def _land_all(self, task_ids: list[str], error: errors.MJError) -> None:
        for task_id in task_ids:
            own = copy(error)
            own.task_id, own.partial = task_id, None
            self._landing.land(SeedOutcome(task_id, error=own))

    async def _next_batch(self, source: _Source) -> list[str | Task]:
        """Give the next ids; an error of the source comes after those before it."""
        batch: list[str | Task] = []
        while len(batch) < self.batch_size and self._broken is None:
            try:
                item = await source.next()
                if item is _END:
                    break
                task_id = _id_of(item)
            except Exception as error:  # noqa: BLE001  # raised below, or at the next call
                self._broken = error
            else:
                batch.extend([item] if self._is_new(task_id) else [])
        if self._broken is not None and not batch:
            raise self._broken
        return batch

    def _is_new(self, task_id: str) -> bool:
        if task_id in self._recent:
            return False
        self._recent[task_id] = None
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]
        return True


def _id_of(task: object) -> str:
    return check_id(task.id if isinstance(task, Task) else task)
