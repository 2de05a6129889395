"""A bulk call: outcomes as they land, for one who iterates over them inside of `async with`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

import anyio
import attrs

from .errors import ClientStateError

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ._landing import Landing

T = TypeVar("T")


@attrs.define(kw_only=True, eq=False)
class Run(Generic[T]):
    """Outcomes as they land: `async with` it, then `async for` over it.

    Entering starts its work in a task of its own, and leaving ends that.
    """

    call: ClassVar[str]
    """How it is called, for a message."""

    _landing: Landing[T] = attrs.field(init=False, repr=False)
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
        outcome = await self._landing.take()
        if outcome is not None:
            return outcome
        if self._fault is not None:
            raise self._fault
        self._end()
        raise StopAsyncIteration
