"""What bulk calls yield, and how: an outcome for each id, through a queue."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

import anyio
import attrs

from . import errors
from ._models import ImageSeed, Task, TaskStatus

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


_FAILURES: dict[str, type[errors.TaskError]] = {
    TaskStatus.FAILURE: errors.TaskFailedError,
    TaskStatus.CANCEL: errors.TaskCancelledError,
}
_FINAL_ERRORS = (errors.TaskNotFoundError, errors.TaskFailedError, errors.TaskCancelledError)
# "No account is available". The C# gateway says it under code 3, as it says much that is final.
_NO_ACCOUNT = "无可用的账号实例"


def may_come_later(error: errors.SeedUnavailableError) -> bool:
    """Return True if the gateway had no time (code 5), no luck (9) or no account (3)."""
    no_account = str(error.code) == "3" and _NO_ACCOUNT in error.description
    return no_account or str(error.code) in ("5", "9")


def failure_of(
    task_id: str, task: Task, *, elapsed: float = 0.0, polls: int = 0
) -> errors.TaskError | None:
    """Return the error of a task that failed or was cancelled; None for any other task."""
    kind = _FAILURES.get(task.status)
    if kind is None:
        return None
    return kind(task_id=task_id, task=task, elapsed=elapsed, polls=polls)


@attrs.frozen
class TaskOutcome:
    """The outcome of an id in `AsyncMJClient.wait_for_tasks`.

    Exactly one of `task` and `error` is None.

    Args:
        task_id: The id.
        task: The task, if it succeeded.
        error: The reason why it did not. That of a failed or cancelled task has it as `.task`.
    """

    task_id: str
    task: Task | None = None
    error: errors.MJError | None = None

    def unwrap(self) -> Task:
        """Return the task.

        Raises:
            MJError: The task did not succeed: this is `error`.
        """
        if self.error is not None:
            raise self.error
        return cast("Task", self.task)


@attrs.frozen
class SeedOutcome:
    """The outcome of an id in `AsyncMJClient.image_seeds`.

    Exactly one of `seed` and `error` is None.

    Args:
        task_id: The id.
        seed: The seed.
        error: The reason why there is no seed.
    """

    task_id: str
    seed: ImageSeed | None = None
    error: errors.MJError | None = None

    @property
    def final(self) -> bool:
        """True if a later request cannot change it.

        A seed, an unknown id, a failed or cancelled task, and a finished task without a seed
        are final. An unfinished task is not, and neither is an error of the gateway.
        """
        error = self.error
        if not isinstance(error, errors.SeedUnavailableError):
            return error is None or isinstance(error, _FINAL_ERRORS)
        # Without the task, code 3 means that it is finished: the C# gateway has code 4 for others.
        finished = error.task.succeeded if error.task else str(error.code) == "3"
        return finished and not may_come_later(error)

    def unwrap(self) -> ImageSeed:
        """Return the seed.

        Raises:
            MJError: There is no seed: this is `error`.
        """
        if self.error is not None:
            raise self.error
        return cast("ImageSeed", self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a line of `mj-async seeds` has it, ready for JSON.

        Returns:
            `task_id`, `seed` and `source`; `status`, `prompt` and `image_url` of the task, None
            if no task was seen; and `error`: None, or its `type` and `message`, the gateway's
            `code` if it sent a code, and `"final": False` if a later request may succeed.
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
        task = getattr(self.seed or self.error, "task", None)
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
    """An async iterator of outcomes, whose work runs in a task between its enter and its exit."""

    call: ClassVar[str]
    """The name of the client's method, for a message."""

    _queue: OutcomeQueue[T] = attrs.field(init=False, repr=False)
    _group: TaskGroup | None = attrs.field(default=None, init=False, repr=False)
    _fault: Exception | None = attrs.field(default=None, init=False)

    @abstractmethod
    async def _work(self) -> None:
        """Put the outcomes into the queue, and close it; keep what ends it early as `_fault`."""

    @abstractmethod
    def _end(self) -> None:
        """Raise what must be raised after the last outcome."""

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._work)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        group, self._group = self._group, None
        assert group is not None  # noqa: S101  # __aenter__ has set it
        group.cancel_scope.cancel()
        # The group is not given the body's exception: it would wrap it into an exception group.
        await group.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next outcome.

        Raises:
            ClientStateError: It was not entered, or it was left.
            Exception: What ended it early, after the last outcome that was received.
        """
        if self._group is None:
            raise errors.ClientStateError(
                f"use it as: async with client.{self.call}(…) as outcomes"
            )
        outcome = await self._queue.get()
        if outcome is not None:
            return outcome
        if self._fault is not None:
            raise self._fault
        self._end()
        raise StopAsyncIteration


class OutcomeQueue(Generic[T]):
    """A queue of outcomes.

    `put` never blocks, so a cancelled run loses nothing that it has received; producers call
    `wait_for_room` first.

    Args:
        size: How many outcomes fill it.
    """

    def __init__(self, size: float) -> None:
        self._size = size
        self._waiting: deque[T] = deque()
        self._changed = anyio.Event()
        self._closed = False

    def put(self, outcome: T) -> None:
        self._waiting.append(outcome)
        self._wake()

    def close(self) -> None:
        """End the queue: `get` returns None after the last outcome."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for_room(self) -> None:
        """Wait until the queue is not full."""
        while len(self._waiting) >= self._size:
            await self._changed.wait()

    async def get(self) -> T | None:
        """Wait for the next outcome, and remove it; None after the last one of a closed queue."""
        while not self._waiting:
            if self._closed:
                return None
            await self._changed.wait()
        self._wake()
        return self._waiting.popleft()
