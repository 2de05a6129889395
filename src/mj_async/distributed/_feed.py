"""Feeding a job: chunks of ids, no more ahead of the workers than a window."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import anyio
import attrs

from mj_async import errors
from mj_async._id_set import IdSet
from mj_async._intake import Intake, TaskIds, id_of

if TYPE_CHECKING:
    from ._engine import Publisher
    from ._lock import Lock
    from ._state import State
    from ._store import Store

# What may lie in Redis: ids that nobody has worked on, and bytes of outcomes to be collected.
_IDS_AHEAD = 200_000
_FEWEST_CHUNKS_AHEAD = 20
_BYTES_WAITING = 2**25
_LOOK_AGAIN = 0.2
_READ_AT_ONCE = 1000


def has_room(state: State, fed: int) -> bool:
    """PURE: tell whether one more chunk may be fed."""
    most = max(_FEWEST_CHUNKS_AHEAD, _IDS_AHEAD // state.chunk_size)
    return fed - state.done < most and state.waiting < _BYTES_WAITING


@attrs.define
class Feed:
    """One run over the input of a job, from its beginning: what was fed before is only compared.

    Args:
        store: The job's.
        publisher: Puts chunks into the queue.
        lock: Nobody else feeds meanwhile.
        state: How the job stands.
    """

    store: Store
    publisher: Publisher
    lock: Lock
    state: State
    _seen: IdSet = attrs.field(factory=IdSet, init=False)
    _chunk: list[str] = attrs.field(factory=list, init=False)
    _number: int = attrs.field(default=0, init=False)
    _count: int = attrs.field(default=0, init=False)
    _digest: hashlib._Hash = attrs.field(factory=hashlib.sha256, init=False)

    async def run(self, task_ids: TaskIds) -> None:
        """Feed them all, and say so.

        Raises:
            ConfigurationError: An id cannot be used, or the ids are others than before.
        """
        async with Intake(task_ids) as intake:
            while not intake.ended:
                for task in await intake.read(_READ_AT_ONCE):
                    await self._take(id_of(task))
            if intake.error is not None:
                raise intake.error
        if self._chunk:
            await self._feed()
        if self._number < self.state.fed:
            raise self._other_ids()
        await self.store.complete()

    async def _take(self, task_id: str) -> None:
        if not self._seen.add(task_id):
            return
        self._chunk.append(task_id)
        self._digest.update(task_id.encode("utf-8", "surrogatepass") + b"\n")
        if len(self._chunk) == self.state.chunk_size:
            await self._feed()

    async def _feed(self) -> None:
        chunk, self._chunk = self._chunk, []
        self._count += len(chunk)
        if self._number < self.state.fed or self.state.progress.complete:
            self._compare()
        else:
            await self._publish(chunk)
        self._number += 1

    def _compare(self) -> None:
        differs = self._digest.hexdigest() != self.state.digest
        if self._number >= self.state.fed or (self._number + 1 == self.state.fed and differs):
            raise self._other_ids()

    def _other_ids(self) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"the job {self.store.name!r} was begun with other ids; next: give the same ids in the"
            " same order, or another name"
        )

    async def _publish(self, chunk: list[str]) -> None:
        while not has_room(self.state, self._number):
            await self._look_again()
        await self.lock.check()
        await self.publisher.publish(self._number, chunk)
        before, digest = self._number, self._digest.hexdigest()
        if not await self.store.feed(before, before + 1, self._count, digest):
            raise self._other_ids()  # by somebody who has fed in spite of the lock

    async def _look_again(self) -> None:
        state = await self.store.look()
        if state is None:
            raise errors.ClientStateError(f"the job {self.store.name!r} was removed from Redis")
        # What is compared with stays what was there at the beginning.
        self.state = attrs.evolve(self.state, done=state.done, waiting=state.waiting)
        if not has_room(self.state, self._number):
            await anyio.sleep(_LOOK_AGAIN)
