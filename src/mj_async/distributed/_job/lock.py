"""One at a time: a lock in Redis that runs out when its owner is killed."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio
import attrs

from mj_async import errors

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .store import Store

_SECONDS = 6.0
_KEPT_EVERY = 1.0
_LEAVE_WITHIN = 2.0


@attrs.define
class Lock:
    """A lock on a part of a job, kept by a task of its own while it is entered.

    Args:
        store: The job's.
        what: "submit" or "collect".
        seconds: How long after its owner's end it runs out.
    """

    store: Store
    what: str
    seconds: float = _SECONDS
    _owner: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _group: TaskGroup | None = attrs.field(default=None, init=False)
    _kept_at: float = attrs.field(default=0.0, init=False)

    async def __aenter__(self) -> Self:
        """Take it, when whoever was killed with it cannot have it any more.

        Raises:
            ConfigurationError: Somebody else has it, and lives.
        """
        give_up = anyio.current_time() + 1.5 * self.seconds
        while not await self._keep():
            if anyio.current_time() > give_up:
                raise errors.ConfigurationError(
                    f"another process is about to {self.what} the job {self.store.name!r};"
                    " next: wait for its end, or stop it"
                )
            await anyio.sleep(self.seconds / 20)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._keep_on)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._group is not None  # noqa: S101  # __aenter__ has set it
        self._group.cancel_scope.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:  # it runs out by itself, too
            with anyio.move_on_after(_LEAVE_WITHIN, shield=True), suppress(errors.MJError):
                await self.store.unlock(self.what, self._owner)

    async def _keep(self) -> bool:
        began = time.monotonic()
        kept = await self.store.lock(self.what, self._owner, self.seconds)
        self._kept_at = began if kept else self._kept_at
        return kept

    async def _keep_on(self) -> None:
        while True:
            await anyio.sleep(_KEPT_EVERY)
            with suppress(errors.MJError):  # whoever works under the lock meets it, too
                await self._keep()

    async def check(self) -> None:
        """Make sure that it is still ours: a process may have been stopped for minutes.

        Raises:
            ClientStateError: It is somebody else's now.
        """
        if time.monotonic() - self._kept_at > self.seconds / 2 and not await self._keep():
            raise errors.ClientStateError(
                f"another process has gone on to {self.what} the job {self.store.name!r}"
            )
