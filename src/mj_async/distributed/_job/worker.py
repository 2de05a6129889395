"""Working on a job: chunks from the engine, seeds from a client, parts to Redis."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import checkpoint_if_cancelled

from mj_async import errors

from .._redis import LOST, ToldPlainly, first_of
from .chunk_processor import Chunks
from .task_queue import Engine, make_engine, register

if TYPE_CHECKING:
    from .store import Store

_LOOK_EVERY = 0.5
# Seconds that a process counts as a worker after it was heard of.
_COUNTED = 5.0
_LEAVE_WITHIN = 2.0
_BEGIN_AGAIN_AFTER = 0.1


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
    _engine: Engine = attrs.field(init=False)

    async def run(self) -> None:
        """Work until all that was submitted has an outcome, or is dead.

        Raises:
            MJError: What has ended a look-up before its time, as a refused key does.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._stop_when_cancelled)
            group.start_soon(self._end_in_order, group.cancel_scope)
        await checkpoint_if_cancelled()
        if self.chunks.failure is not None:
            raise self.chunks.failure

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._stop()

    async def _end_in_order(self, around: anyio.CancelScope) -> None:
        # Shielded, and told to stop instead: what is under way is given back by connections
        # which any cancellation would cut.
        with anyio.CancelScope(shield=True):
            try:
                async with self.store:
                    await self._run()
            except Exception as error:  # noqa: BLE001  # raised by run
                self.chunks.end_with(error)
        around.cancel()

    async def _run(self) -> None:
        self._engine = self._make_engine()
        try:
            async with ToldPlainly(self.store.redis_url), anyio.create_task_group() as group:
                group.start_soon(self._serve)
                try:
                    await self._watch()
                finally:
                    self._stop()
                    await self._engine.finish()
                    group.cancel_scope.cancel()
        finally:
            await self._leave()

    async def _serve(self) -> None:
        while True:
            try:
                await self._engine.run_async()
            except Exception as error:
                # What it could not give back comes back when its lease runs out.
                if not self.chunks.over.is_set() and not isinstance(first_of(error), LOST):
                    raise
            # Its pipelines know no patience; whoever looks on ends it all when that is over.
            await anyio.sleep(_BEGIN_AGAIN_AFTER)
            self._engine = self._make_engine()

    def _make_engine(self) -> Engine:
        store, chunks = self.store, self.chunks.at_once
        engine = make_engine(
            store.redis_url, store.name, store.patience, lease=self.lease, chunks=chunks
        )
        register(engine, self.chunks.look_up)
        return engine

    async def _watch(self) -> None:
        """Be counted, until all is done or something has gone wrong."""
        while not self.chunks.over.is_set():
            state = await self.store.look(self._id, _COUNTED)
            if state is not None and state.progress.finished:
                return
            with anyio.move_on_after(_LOOK_EVERY):
                await self.chunks.over.wait()

    def _stop(self) -> None:
        """Cut what is under way: the engine itself would wait for it."""
        self.chunks.stop()
        self.store.patience.end()

    async def _leave(self) -> None:
        with anyio.move_on_after(_LEAVE_WITHIN), suppress(errors.MJError):
            await self.store.look(self._id, 0.0)
