"""A lock in Redis with a time to live (TTL): it expires when its owner is killed."""

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

# Seconds.
_TTL = 6.0
_RENEW_INTERVAL = 1.0
_LEAVE_TIMEOUT = 2.0


@attrs.define
class JobLock:
    """A lock, so that only one process submits or collects. A background task renews it."""

    store: JobStore
    purpose: str
    ttl: float = _TTL
    _owner: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _group: TaskGroup | None = attrs.field(default=None, init=False)
    _renewed_at: float = attrs.field(default=0.0, init=False)

    async def __aenter__(self) -> Self:
        """Acquire the lock; wait until that of a killed process would have expired.

        Raises:
            ConfigurationError: Another process has it and renews it.
        """
        give_up = anyio.current_time() + 1.5 * self.ttl
        while not await self._renew():
            if anyio.current_time() > give_up:
                raise errors.ConfigurationError(
                    f"another process already {self.purpose}s the job {self.store.name!r};"
                    " next: wait until it ends, or stop it"
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
        finally:  # if this fails, the lock expires
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
            with suppress(errors.MJError):  # the owner's next request gets the same error
                await self._renew()

    async def verify(self) -> None:
        """Check that this process still has the lock: it may have been stopped for minutes.

        Raises:
            ClientStateError: Another process has it now.
        """
        if time.monotonic() - self._renewed_at > self.ttl / 2 and not await self._renew():
            raise errors.ClientStateError(
                f"another process has taken over: it {self.purpose}s the job {self.store.name!r}"
            )
