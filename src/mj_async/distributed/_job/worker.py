"""One worker process of a job: chunks from the queue, seeds from a client, parts to Redis."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import checkpoint_if_cancelled

from mj_async import errors

from .._redis import CONNECTION_ERRORS, first_error, translate_redis_errors
from .chunk_processor import ChunkProcessor
from .task_queue import QueueWorker, build_queue_worker, register_handler

if TYPE_CHECKING:
    from .store import JobStore

_POLL_INTERVAL = 0.5
# Seconds after its last heartbeat that a process is counted as a worker.
_HEARTBEAT_TTL = 5.0
_LEAVE_TIMEOUT = 2.0
_RESTART_DELAY = 0.1


@attrs.define
class JobWorker:
    """The work of one process on a job."""

    store: JobStore
    chunks: ChunkProcessor
    lease: float
    _id: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _queue_worker: QueueWorker = attrs.field(init=False)

    async def run(self) -> None:
        """Look up chunks until each is done or dead.

        Raises:
            MJError: The error that has ended the work early, such as a refused key.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._stop_when_cancelled)
            group.start_soon(self._run_shielded, group.cancel_scope)
        await checkpoint_if_cancelled()
        if self.chunks.failure is not None:
            raise self.chunks.failure

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._stop()

    async def _run_shielded(self, around: anyio.CancelScope) -> None:
        # A cancellation stops the work by `_stop` instead: it would close the connections that
        # are needed to give chunks back.
        with anyio.CancelScope(shield=True):
            try:
                async with self.store:
                    await self._run()
            except Exception as error:  # noqa: BLE001  # raised by run
                self.chunks.fail(error)
        around.cancel()

    async def _run(self) -> None:
        self._queue_worker = self._build_queue_worker()
        try:
            async with (
                translate_redis_errors(self.store.redis_url),
                anyio.create_task_group() as group,
            ):
                group.start_soon(self._run_queue)
                try:
                    await self._watch_progress()
                finally:
                    self._stop()
                    await self._queue_worker.drain()
                    group.cancel_scope.cancel()
        finally:
            await self._deregister()

    async def _run_queue(self) -> None:
        while True:
            try:
                await self._queue_worker.run_async()
            except Exception as error:
                # Chunks that it could not give back return to the queue when the lease expires.
                if not self.chunks.stopped.is_set() and not isinstance(
                    first_error(error), CONNECTION_ERRORS
                ):
                    raise
            # streaq's pipelines do not retry. If Redis stays away, `_watch_progress` ends the work.
            await anyio.sleep(_RESTART_DELAY)
            self._queue_worker = self._build_queue_worker()

    def _build_queue_worker(self) -> QueueWorker:
        store, chunks = self.store, self.chunks.chunks_at_once
        worker = build_queue_worker(
            store.redis_url, store.name, store.reconnect, lease=self.lease, chunks=chunks
        )
        register_handler(worker, self.chunks.look_up)
        return worker

    async def _watch_progress(self) -> None:
        """Send heartbeats until the job is finished or the work has failed."""
        while not self.chunks.stopped.is_set():
            state = await self.store.read_state(self._id, _HEARTBEAT_TTL)
            if state is not None and state.progress.finished:
                return
            with anyio.move_on_after(_POLL_INTERVAL):
                await self.chunks.stopped.wait()

    def _stop(self) -> None:
        # streaq itself would wait until the chunks end.
        self.chunks.stop()
        self.store.reconnect.give_up_soon()

    async def _deregister(self) -> None:
        with anyio.move_on_after(_LEAVE_TIMEOUT), suppress(errors.MJError):
            await self.store.read_state(self._id, 0.0)
