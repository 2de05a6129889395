"""What bulk calls yield: one outcome an id, good or bad."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import anyio
import attrs

from . import errors
from ._models import ImageSeed, Task, TaskStatus
from .errors import ClientStateError

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


_FAILURES: dict[str, type[errors.TaskError]] = {
    TaskStatus.FAILURE: errors.TaskFailedError,
    TaskStatus.CANCEL: errors.TaskCancelledError,
}
_FINAL_ERRORS = (errors.TaskNotFoundError, errors.TaskFailedError, errors.TaskCancelledError)


# The C# gateway's word for "no account is available", under code 3 like much that is final.
_NO_ACCOUNT = "无可用的账号实例"


def may_come_later(error: errors.SeedUnavailableError) -> bool:
    """Whether the gateway only had no time (5), no luck (9) or no account (3)."""
    no_account = str(error.code) == "3" and _NO_ACCOUNT in error.description
    return no_account or str(error.code) in ("5", "9")


def _is_finished(error: errors.SeedUnavailableError) -> bool:
    """Whether the task has ended; unseen, code 3 says so: C# gives unfinished ones code 4."""
    if error.task is None:
        return str(error.code) == "3"
    return error.task.succeeded


def failure_of(
    task_id: str, task: Task, *, elapsed: float = 0.0, polls: int = 0
) -> errors.TaskError | None:
    """Make the error of a task that ended badly; None for any other."""
    kind = _FAILURES.get(task.status)
    if kind is None:
        return None
    return kind(task_id=task_id, task=task, elapsed=elapsed, polls=polls)


@attrs.frozen
class TaskOutcome:
    """What became of one id in `AsyncMJClient.wait_for_tasks`.

    Exactly one of `task` and `error` is None.

    Args:
        task_id: The id.
        task: The task, which has succeeded.
        error: Why there is none; that of a task which ended otherwise has it as `.task`.
    """

    task_id: str
    task: Task | None = None
    error: errors.MJError | None = None

    def unwrap(self) -> Task:
        """Give the task.

        Returns:
            The task, which has succeeded.

        Raises:
            MJError: The error, where it did not succeed.
        """
        if self.error is not None:
            raise self.error
        return cast("Task", self.task)


@attrs.frozen
class SeedOutcome:
    """What became of one id in `AsyncMJClient.image_seeds`.

    Exactly one of `seed` and `error` is None.

    Args:
        task_id: The id.
        seed: The seed.
        error: Why there is none.
    """

    task_id: str
    seed: ImageSeed | None = None
    error: errors.MJError | None = None

    @property
    def final(self) -> bool:
        """Whether asking again could not change it.

        A seed, an unknown id, a failed or cancelled task and a finished one without a seed
        are final; an unfinished task and a gateway in trouble are not.
        """
        if isinstance(self.error, errors.SeedUnavailableError):
            return _is_finished(self.error) and not may_come_later(self.error)
        return self.error is None or isinstance(self.error, _FINAL_ERRORS)

    def unwrap(self) -> ImageSeed:
        """Give the seed.

        Returns:
            The seed.

        Raises:
            MJError: The error, where there is no seed.
        """
        if self.error is not None:
            raise self.error
        return cast("ImageSeed", self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Give what a line of `mj-async seeds` says of it, ready for JSON.

        Returns:
            `task_id`, `seed`, `source`; `status`, `prompt` and `image_url` of the task, None
            where none was seen; and `error`: None, or its `type` and `message`, the gateway's
            `code` where it sent one, and `"final": False` where asking again may give another
            answer.
        """
        seed, task = self.seed, self._task
        return {
            "task_id": self.task_id,
            "seed": None if seed is None else seed.seed,
            "source": None if seed is None else seed.source,
            "status": None if task is None else task.status,
            "prompt": None if task is None else task.prompt,
            "image_url": None if task is None else task.image_url,
            "error": self._describe_error(),
        }

    @property
    def _task(self) -> Task | None:
        found = self.error if self.seed is None else self.seed
        task = getattr(found, "task", None)
        return task if isinstance(task, Task) else None

    def _describe_error(self) -> dict[str, Any] | None:
        if self.error is None:
            return None
        described = {"type": type(self.error).__name__, "message": str(self.error)}
        code = getattr(self.error, "code", None)
        more = {} if code is None else {"code": code}
        return {**described, **more} if self.final else {**described, **more, "final": False}


T = TypeVar("T")


@attrs.define(kw_only=True, eq=False)
class OutcomeStream(Generic[T]):
    """Outcomes as they land: `async with` it, then `async for` over it.

    Entering starts its work in a task of its own, and leaving ends that.
    """

    call: ClassVar[str]
    """How it is called, for a message."""

    _queue: OutcomeQueue[T] = attrs.field(init=False, repr=False)
    _group: TaskGroup | None = attrs.field(default=None, init=False, repr=False)
    _fault: Exception | None = attrs.field(default=None, init=False)

    @abstractmethod
    async def _work(self) -> None:
        """Land the outcomes, and close the landing; what went wrong is kept as `_fault`."""

    @abstractmethod
    def _end(self) -> None:
        """Raise what is to be raised after the last outcome."""

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._work)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        group, self._group = self._group, None
        assert group is not None  # noqa: S101  # __aenter__ has set it
        group.cancel_scope.cancel()
        # Without the body's exception, which the group would wrap into an exception group.
        await group.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Give the next outcome.

        Raises:
            ClientStateError: The run has not been entered, or was left.
            Exception: What ended the run, after all that had been received was given.
        """
        if self._group is None:
            raise ClientStateError(f"use it as: async with client.{self.call}(…) as outcomes")
        outcome = await self._queue.get()
        if outcome is not None:
            return outcome
        if self._fault is not None:
            raise self._fault
        self._end()
        raise StopAsyncIteration


class OutcomeQueue(Generic[T]):
    """Outcomes between those who get them and the one who reads them.

    Landing never waits, so that a cancelled run loses nothing that it has received; instead,
    `wait_for_room()` holds back the next request.

    Args:
        size: How many may have landed before `wait_for_room()` waits.
    """

    def __init__(self, size: float) -> None:
        self._size = size
        self._waiting: deque[T] = deque()
        self._changed = anyio.Event()
        self._closed = False

    def put(self, outcome: T) -> None:
        """Put an outcome down for the reader."""
        self._waiting.append(outcome)
        self._wake()

    def close(self) -> None:
        """Say that nothing follows."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for_room(self) -> None:
        """Wait until fewer have landed than there is room for."""
        while len(self._waiting) >= self._size:
            await self._changed.wait()

    async def get(self) -> T | None:
        """Give the next outcome, or None after the last."""
        while not self._waiting:
            if self._closed:
                return None
            await self._changed.wait()
        self._wake()
        return self._waiting.popleft()
