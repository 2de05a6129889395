"""Working on a job: chunks from the engine, seeds from a client, parts to Redis."""

from __future__ import annotations

import math
import uuid
from typing import TYPE_CHECKING

import anyio
import attrs
from streaq import StreaqRetry

from mj_async import errors

from ._engine import make_engine, register
from ._lines import by_id, has_seed, pack, unpack, write_line
from ._redis import told_plainly
from ._store import PATIENCE

if TYPE_CHECKING:
    from mj_async import AsyncMJClient

    from ._store import Store

# While the last seeds of one chunk are slow, another is worked on.
CHUNKS_AT_ONCE = 2
MOST_DELIVERIES = 5
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
        client: Asks the gateway.
        concurrency: Seeds asked for at once.
        lease: Seconds after which the chunks of a silent worker go to others.
    """

    store: Store
    client: AsyncMJClient
    concurrency: int
    lease: float
    _id: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set, init=False)
    _over: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _engine_scope: anyio.CancelScope = attrs.field(init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)

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
        if self._failure is not None:
            raise self._failure

    async def _run_engines(self) -> None:
        """Run the engine; it ends when its Redis is killed, and then another goes on."""
        give_up = math.inf
        # From outside it is not cancelled: what it has begun it must tell Redis.
        with self._engine_scope:
            while not self._over.is_set():
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
            self.store.redis_url, self.store.name, self.lease, CHUNKS_AT_ONCE, self._over
        )
        register(engine, self._look_up)
        with told_plainly(self.store.redis_url):
            await engine.run_async()

    async def _watch(self) -> None:
        """Be counted, until all is done or something has gone wrong."""
        while not self._over.is_set():
            state = await self.store.look(self._id, _COUNTED)
            if state is not None and state.progress.finished:
                return
            await self._pause()

    async def _pause(self) -> None:
        with anyio.move_on_after(_LOOK_EVERY):
            await self._over.wait()

    def _stop(self) -> None:
        """Cut what is under way: the engine itself would wait for it."""
        self._over.set()
        self._engine_scope.deadline = anyio.current_time() + _GIVE_BACK_WITHIN
        for scope in self._scopes:
            scope.cancel()

    async def _leave(self) -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_GIVE_BACK_WITHIN):
            await self.store.look(self._id, 0.0)

    async def _look_up(self, number: int, task_ids: list[str]) -> None:
        """Look up a chunk; the engine calls it.

        Raises:
            StreaqRetry: It goes back into the queue.
        """
        if self._over.is_set():
            raise StreaqRetry(delay=0)
        times, there = await self.store.begin(number)
        if times > MOST_DELIVERIES:
            await self.store.bury(number, task_ids)
        elif times:
            await self._look_up_rest(number, task_ids, unpack(there))

    async def _look_up_rest(self, number: int, task_ids: list[str], there: bytes) -> None:
        lines, failure = by_id(there), None
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await self._ask(task_ids, lines)
            except Exception as error:  # noqa: BLE001  # raised by run
                failure = error
            finally:
                self._scopes.discard(scope)
        if failure is not None:
            self._failure = self._failure or failure
            self._over.set()
        in_order = [lines[task_id] for task_id in task_ids if task_id in lines]
        if len(in_order) == len(task_ids):
            seedless = sum(not has_seed(line) for line in in_order)
            await self.store.finish(number, pack(in_order), len(task_ids), seedless)
            return
        # What was received is kept, and only the rest asked for by whoever goes on.
        # A gateway that is away, or refuses the key, says nothing against the chunk.
        counts = not isinstance(failure, errors.MJError | None)
        if await self.store.release(number, pack(in_order), counts=counts):
            raise StreaqRetry(delay=0)

    async def _ask(self, task_ids: list[str], lines: dict[str, bytes]) -> None:
        rest = [task_id for task_id in task_ids if task_id not in lines]
        most = -(-self.concurrency // CHUNKS_AT_ONCE)
        async with self.client.image_seeds(rest, concurrency=most) as outcomes:
            async for outcome in outcomes:
                lines[outcome.task_id] = write_line(outcome)
