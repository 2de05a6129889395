"""Whether a client may be used here and now, and the scopes that end when it is closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

import anyio
from anyio.lowlevel import current_token

from .errors import ClientStateError

if TYPE_CHECKING:
    from ._clock import Clock


class Cancellable(Protocol):
    """A cancel scope, or an object that stands for many."""

    def cancel(self) -> None: ...


class Lifecycle:
    """The time in which a client may be used: one process, one event loop, until it is closed.

    Args:
        clock: The client's time.
        name: The name of its owner, for messages.
        parent: The lifecycle that this one ends with.

    Attributes:
        scopes: The scopes that are cancelled when it is closed.
        children: Those whose parent it is; they have no children.
    """

    def __init__(self, clock: Clock, name: str = "client", parent: Lifecycle | None = None) -> None:
        self._clock = clock
        self._name = name
        self._parent = parent
        self._loop: object = None
        self._process = os.getpid()
        self._closed = False
        self.scopes: set[Cancellable] = set()
        self.children: WeakSet[Lifecycle] = WeakSet()
        if parent is not None:
            parent.children.add(self)

    def check(self) -> None:
        """Raise `ClientStateError` if it is closed, or belongs to another event loop or process."""
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
        """Check the same except for the event loop, which takes some microseconds to find."""
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
        """Cancel the scopes; return True in the event loop that can close the connections."""
        self._closed = True
        is_here = self._process == os.getpid()
        is_here = is_here and self._loop in (None, current_token().native_token)
        if is_here:
            for lifecycle in (self, *self.children):
                for scope in tuple(lifecycle.scopes):
                    scope.cancel()
        return is_here

    @contextmanager
    def move_on_at(self, deadline: float | None) -> Iterator[anyio.CancelScope]:
        """Return a scope that ends at a time of the clock, and when the client is closed."""
        with self._clock.move_on_at(deadline) as scope:
            self.scopes.add(scope)
            try:
                yield scope
            finally:
                self.scopes.discard(scope)
