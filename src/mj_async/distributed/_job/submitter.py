"""Feeding a job: chunks of ids, no more ahead of the workers than a window."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import checkpoint

from mj_async import Task, errors
from mj_async._id_set import IdSet

if TYPE_CHECKING:
    from mj_async._seeds.source import IdSource

    from .lock import Lock
    from .state import State
    from .store import Store
    from .task_queue import Publisher

# What may lie in Redis: ids that nobody has worked on, and bytes of outcomes to be collected.
_IDS_AHEAD = 200_000
_FEWEST_CHUNKS_AHEAD = 20
_BYTES_WAITING = 2**25
_LOOK_AGAIN = 0.2
_READ_AT_ONCE = 1000


def has_room(state: State, fed: int) -> bool:
    """PURE: tell whether one more chunk may be fed."""
    most = max(_FEWEST_CHUNKS_AHEAD, _IDS_AHEAD // state.chunk_size)
    return fed - state.settled < most and state.waiting < _BYTES_WAITING


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

    async def run(self, tasks: IdSource) -> None:
        """Feed them all, and say so.

        Raises:
            ConfigurationError: An id cannot be used, or the ids are others than before.
        """
        async with tasks:
            while not tasks.ended:
                for task in await tasks.read(_READ_AT_ONCE):
                    await self._take(task.id if isinstance(task, Task) else task)
            if tasks.error is not None:
                raise tasks.error
        if self._chunk:
            await self._feed()
        if self._number < self.state.fed:
            raise self._other_ids()
        if not await self.store.complete(self._number):
            raise self._overtaken()

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
        if self._number >= self.state.fed:
            await self._add(chunk)
        elif self._number + 1 == self.state.fed:
            await self._compare(chunk)
        else:
            await checkpoint()  # others run, too, while millions are passed over
        self._number += 1

    async def _compare(self, chunk: list[str]) -> None:
        if self._digest.hexdigest() != self.state.digest:
            raise self._other_ids()
        if not self.state.progress.complete:
            # Who fed it may have been killed before it was in the queue.
            await self.publisher.publish(self._number, chunk)

    def _other_ids(self) -> errors.ConfigurationError:
        return errors.ConfigurationError(
            f"the job {self.store.name!r} was begun with other ids; next: give the same ids in the"
            " same order, or another name"
        )

    async def _add(self, chunk: list[str]) -> None:
        if self.state.progress.complete:
            raise self._other_ids()
        while not has_room(self.state, self._number):
            await self._look_again()
        await self.lock.check()
        # Written down first: what is in the queue is always what these ids say.
        before, digest = self._number, self._digest.hexdigest()
        if not await self.store.feed(before, before + 1, self._count, digest):
            raise self._overtaken()
        await self.publisher.publish(before, chunk)

    def _overtaken(self) -> errors.ClientStateError:
        return errors.ClientStateError(
            f"the job {self.store.name!r} stands elsewhere than it was left: another process"
            " submits it, or Redis has forgotten a part; next: submit it again"
        )

    async def _look_again(self) -> None:
        state = await self.store.state()
        # What is compared with stays what was there at the beginning.
        self.state = attrs.evolve(self.state, settled=state.settled, waiting=state.waiting)
        if not has_room(self.state, self._number):
            await anyio.sleep(_LOOK_AGAIN)
