"""Whether a client may be used here and now, and the scopes that end when it is closed."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.lowlevel import current_token

from .errors import ClientStateError

if TYPE_CHECKING:
    from types import TracebackType

    from ._clock import Clock


class Cancellable(Protocol):
    """What can be ended: a cancel scope, or what stands for many."""

    def cancel(self) -> None:
        """End it."""


class Lifecycle:
    """The life of one client: one process, one event loop, until it is closed.

    Args:
        clock: The client's time.
        name: What lives, for messages.
        parent: The life that this one ends with.
    """

    def __init__(self, clock: Clock, name: str = "client", parent: Lifecycle | None = None) -> None:
        self._clock = clock
        self._name = name
        self._parent = parent
        self._loop: object = None
        self._process = os.getpid()
        self._closed = False
        self._scopes: set[Cancellable] = set()

    def check(self) -> None:
        """Refuse a use that cannot work.

        Raises:
            ClientStateError: The client is closed, or is another event loop's or process's.
        """
        self.check_open()
        try:
            loop = current_token().native_token
        except RuntimeError:
            raise ClientStateError("no event loop runs in this thread") from None
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ClientStateError(
                f"this {self._name} was used in another event loop;"
                " make one in each, and close it there"
            )

    def check_open(self) -> None:
        """Do the same without asking for the event loop, which takes some microseconds.

        Raises:
            ClientStateError: The client is closed, or is another process's.
        """
        if self._parent is not None:
            self._parent.check_open()
        if self._closed:
            raise ClientStateError(f"this {self._name} is closed; make another one")
        if self._process != os.getpid():
            raise ClientStateError(
                f"this {self._name} was made before a fork;"
                " make one in each process, after the fork"
            )

    def close(self) -> bool:
        """End what is under way.

        Returns:
            Whether its connections can be closed here: only the loop that opened them can.
        """
        self._closed = True
        is_here = self._process == os.getpid()
        is_here = is_here and self._loop in (None, current_token().native_token)
        for scope in tuple(self._scopes) if is_here else ():
            scope.cancel()
        return is_here

    def move_on_at(self, at: float | None) -> AbstractContextManager[anyio.CancelScope]:
        """Give a scope that is cancelled at a time of the clock, and when the client is closed."""
        return _Cut(self, self._clock.move_on_at(at))

    def enter(self, scope: Cancellable) -> None:
        """End the scope when the client is closed."""
        self._scopes.add(scope)
        if self._parent is not None:
            self._parent.enter(scope)

    def leave(self, scope: Cancellable) -> None:
        """Forget the scope."""
        self._scopes.discard(scope)
        if self._parent is not None:
            self._parent.leave(scope)


class _Cut:
    def __init__(
        self, lifecycle: Lifecycle, scope: AbstractContextManager[anyio.CancelScope]
    ) -> None:
        self._lifecycle = lifecycle
        self._manager = scope

    def __enter__(self) -> anyio.CancelScope:
        self._scope = self._manager.__enter__()
        self._lifecycle.enter(self._scope)
        return self._scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._lifecycle.leave(self._scope)
        return self._manager.__exit__(kind, error, traceback)
