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

    from .store import JobStore

_TTL = 6.0
_RENEW_INTERVAL = 1.0
_LEAVE_TIMEOUT = 2.0


@attrs.define
class JobLock:
    """A lock on a part of a job, kept by a task of its own while it is entered.

    Args:
        store: The job's.
        purpose: "submit" or "collect".
        ttl: How long after its owner's end it runs out.
    """

    store: JobStore
    purpose: str
    ttl: float = _TTL
    _owner: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _group: TaskGroup | None = attrs.field(default=None, init=False)
    _renewed_at: float = attrs.field(default=0.0, init=False)

    async def __aenter__(self) -> Self:
        """Take it, when whoever was killed with it cannot have it any more.

        Raises:
            ConfigurationError: Somebody else has it, and lives.
        """
        give_up = anyio.current_time() + 1.5 * self.ttl
        while not await self._renew():
            if anyio.current_time() > give_up:
                raise errors.ConfigurationError(
                    f"another process is about to {self.purpose} the job {self.store.name!r};"
                    " next: wait for its end, or stop it"
                )
            await anyio.sleep(self.ttl / 20)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._renew_forever)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._group is not None  # noqa: S101  # __aenter__ has set it
        self._group.cancel_scope.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:  # it runs out by itself, too
            with anyio.move_on_after(_LEAVE_TIMEOUT, shield=True), suppress(errors.MJError):
                await self.store.unlock(self.purpose, self._owner)

    async def _renew(self) -> bool:
        began = time.monotonic()
        is_owned = await self.store.lock(self.purpose, self._owner, self.ttl)
        self._renewed_at = began if is_owned else self._renewed_at
        return is_owned

    async def _renew_forever(self) -> None:
        while True:
            await anyio.sleep(_RENEW_INTERVAL)
            with suppress(errors.MJError):  # whoever works under the lock meets it, too
                await self._renew()

    async def verify(self) -> None:
        """Make sure that it is still ours: a process may have been stopped for minutes.

        Raises:
            ClientStateError: It is somebody else's now.
        """
        if time.monotonic() - self._renewed_at > self.ttl / 2 and not await self._renew():
            raise errors.ClientStateError(
                f"another process has gone on to {self.purpose} the job {self.store.name!r}"
            )
