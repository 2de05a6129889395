"""Submits ids in chunks, only so many ahead of the workers as Redis has room for (flow control)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import checkpoint

from mj_async import Task, errors

if TYPE_CHECKING:
    from mj_async._seeds.source import IdSource

    from .lock import JobLock
    from .state import JobState
    from .store import JobStore
    from .task_queue import Publisher

# Limits of what is in Redis: ids without an outcome, and bytes of outcomes to collect.
_MAX_IDS_AHEAD = 200_000
_MIN_CHUNKS_AHEAD = 20
_MAX_BYTES_WAITING = 2**25
_POLL_INTERVAL = 0.2
_READ_SIZE = 1000


def has_room(state: JobState, chunks: int) -> bool:
    """Return True if one more chunk may be submitted, after so many."""
    most = max(_MIN_CHUNKS_AHEAD, _MAX_IDS_AHEAD // state.chunk_size)
    return chunks - state.ended_chunks < most and state.waiting_bytes < _MAX_BYTES_WAITING


@attrs.define
class Submitter:
    """Submits all ids of a job. Chunks that were submitted before are only compared (SHA-256)."""

    store: JobStore
    publisher: Publisher
    lock: JobLock
    state: JobState
    _seen: set[str] = attrs.field(factory=set, init=False)
    _chunk: list[str] = attrs.field(factory=list, init=False)
    _number: int = attrs.field(default=0, init=False)
    _count: int = attrs.field(default=0, init=False)
    _digest: hashlib._Hash = attrs.field(factory=hashlib.sha256, init=False)

    async def run(self, tasks: IdSource) -> None:
        """Submit all ids, and record that the job is complete.

        Raises:
            ConfigurationError: An id is invalid, or the ids are not those of the first submission.
            ClientStateError: Another process has submitted meanwhile.
        """
        async with tasks:
            while not tasks.ended:
                for task in await tasks.read(_READ_SIZE):
                    await self._add_id(task.id if isinstance(task, Task) else task)
            if tasks.error is not None:
                raise tasks.error
        if self._chunk:
            await self._flush_chunk()
        if self._number < self.state.submitted_chunks:
            raise self._changed_ids_error()
        if not await self.store.complete(self._number):
            raise self._conflict_error()

    async def _add_id(self, task_id: str) -> None:
        if task_id in self._seen:
            return
        self._seen.add(task_id)
        self._chunk.append(task_id)
        self._digest.update(task_id.encode("utf-8", "surrogatepass") + b"\n")
        if len(self._chunk) == self.state.chunk_size:
            await self._flush_chunk()

    async def _flush_chunk(self) -> None:
        chunk, self._chunk = self._chunk, []
        self._count += len(chunk)
        if self._number >= self.state.submitted_chunks:
            await self._submit_chunk(chunk)
        elif self._number + 1 == self.state.submitted_chunks:
            await self._compare_chunk(chunk)
        else:
            await checkpoint()  # other tasks must run, too, while it skips millions of ids
        self._number += 1

    async def _compare_chunk(self, chunk: list[str]) -> None:
        if self._digest.hexdigest() != self.state.digest:
            raise self._changed_ids_error()
        if not self.state.progress.complete:
            # The process that recorded it may have been killed before it was published.
            await self.publisher.publish(self._number, chunk)

    def _changed_ids_error(self) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"the job {self.store.name!r} was submitted with other ids; next: submit the same ids"
            " in the same order, or use another name"
        )

    async def _submit_chunk(self, chunk: list[str]) -> None:
        if self.state.progress.complete:
            raise self._changed_ids_error()
        while not has_room(self.state, self._number):
            await self._wait_for_room()
        await self.lock.verify()
        # Recorded first, so that the queue never has a chunk that the digest does not cover.
        before, digest = self._number, self._digest.hexdigest()
        if not await self.store.submit(before, before + 1, self._count, digest):
            raise self._conflict_error()
        await self.publisher.publish(before, chunk)

    def _conflict_error(self) -> errors.ClientStateError:
        return errors.ClientStateError(
            f"the job {self.store.name!r} has changed meanwhile: another process submits it, or"
            " Redis has lost a part of it; next: submit it again"
        )

    async def _wait_for_room(self) -> None:
        state = await self.store.require_state()
        # The chunks to compare with stay those of the start.
        self.state = attrs.evolve(
            self.state, ended_chunks=state.ended_chunks, waiting_bytes=state.waiting_bytes
        )
        if not has_room(self.state, self._number):
            await anyio.sleep(_POLL_INTERVAL)
