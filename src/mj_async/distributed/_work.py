"""Working on a job: chunks from the engine, seeds from a client, parts to Redis."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING

import anyio
import attrs

from mj_async import errors

from ._chunks import CHUNKS_AT_ONCE, Chunks
from ._engine import make_engine, register
from ._redis import told_plainly
from ._store import PATIENCE

if TYPE_CHECKING:
    from ._store import Store

_LOOK_EVERY = 0.5
# Seconds that a process counts as a worker after it was heard of.
_COUNTED = 5.0
_GIVE_BACK_WITHIN = 5.0
# Seconds after which an engine has not failed from the beginning.
_LIVES = 5.0


@attrs.define
class Work:
    """One process's work on a job.

    Args:
        store: The job's.
        chunks: Looks them up.
        lease: Seconds after which the chunks of a silent worker go to others.
    """

    store: Store
    chunks: Chunks
    lease: float
    _id: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _engine_scope: anyio.CancelScope = attrs.field(init=False)

    @_engine_scope.default
    def _shield(self) -> anyio.CancelScope:
        return anyio.CancelScope(shield=True)

    async def run(self) -> None:
        """Work until all that was submitted has an outcome, or is dead.

        Raises:
            MJError: What has ended a look-up before its time, as a refused key does.
        """
        try:
            with told_plainly(self.store.redis_url):
                async with anyio.create_task_group() as group:
                    group.start_soon(self._run_engines)
                    try:
                        await self._watch()
                    finally:
                        self._stop()
        finally:
            await self._leave()
        if self.chunks.failure is not None:
            raise self.chunks.failure

    async def _run_engines(self) -> None:
        """Run the engine; it ends when its Redis is killed, and then another goes on."""
        give_up = math.inf
        # From outside it is not cancelled: what it has begun it must tell Redis.
        with self._engine_scope:
            while not self.chunks.over.is_set():
                began = anyio.current_time()
                try:
                    await self._run_engine()
                except errors.TransportError:
                    now = anyio.current_time()
                    lived = now - began > _LIVES
                    give_up = now + PATIENCE if lived else min(give_up, now + PATIENCE)
                    if now > give_up:
                        raise
                    await self._pause()

    async def _run_engine(self) -> None:
        engine = make_engine(
            self.store.redis_url, self.store.name, self.lease, CHUNKS_AT_ONCE, self.chunks.over
        )
        register(engine, self.chunks.look_up)
        with told_plainly(self.store.redis_url):
            await engine.run_async()

    async def _watch(self) -> None:
        """Be counted, until all is done or something has gone wrong."""
        while not self.chunks.over.is_set():
            state = await self.store.look(self._id, _COUNTED)
            if state is not None and state.progress.finished:
                return
            await self._pause()

    async def _pause(self) -> None:
        with anyio.move_on_after(_LOOK_EVERY):
            await self.chunks.over.wait()

    def _stop(self) -> None:
        """Cut what is under way: the engine itself would wait for it."""
        self.chunks.stop()
        self._engine_scope.deadline = anyio.current_time() + _GIVE_BACK_WITHIN

    async def _leave(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_GIVE_BACK_WITHIN):
            await self.store.look(self._id, 0.0)
