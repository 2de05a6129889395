"""Working on a job: chunks from the engine, seeds from a client, parts to Redis."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import attrs
from anyio.lowlevel import checkpoint_if_cancelled
from streaq import StreaqRetry

from mj_async import errors

from ._engine import Engine, make_engine, register
from ._lines import by_id, has_seed, pack, unpack, write_line
from ._redis import LOST, ToldPlainly, first_of

if TYPE_CHECKING:
    from mj_async import AsyncMJClient

    from ._store import Store

# While the last seeds of one chunk are slow, another is worked on.
CHUNKS_AT_ONCE = 2
MOST_DELIVERIES = 5
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
    _engine: Engine = attrs.field(init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)

    @property
    def _chunks_at_once(self) -> int:
        return min(CHUNKS_AT_ONCE, self.concurrency)

    async def run(self) -> None:
        """Work until all that was submitted has an outcome, or is dead.

        Raises:
            MJError: What has ended a look-up before its time, as a refused key does.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._stop_when_cancelled)
            group.start_soon(self._end_in_order, group.cancel_scope)
        await checkpoint_if_cancelled()
        if self._failure is not None:
            raise self._failure

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
                self._fail(error)
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
                if not self._over.is_set() and not isinstance(first_of(error), LOST):
                    raise
            # Its pipelines know no patience; whoever looks on ends it all when that is over.
            await anyio.sleep(_BEGIN_AGAIN_AFTER)
            self._engine = self._make_engine()

    def _make_engine(self) -> Engine:
        store, chunks = self.store, self._chunks_at_once
        engine = make_engine(
            store.redis_url, store.name, store.patience, lease=self.lease, chunks=chunks
        )
        register(engine, self._look_up)
        return engine

    async def _watch(self) -> None:
        """Be counted, until all is done or something has gone wrong."""
        while not self._over.is_set():
            state = await self.store.look(self._id, _COUNTED)
            if state is not None and state.progress.finished:
                return
            with anyio.move_on_after(_LOOK_EVERY):
                await self._over.wait()

    def _stop(self) -> None:
        """Cut what is under way: the engine itself would wait for it."""
        self._over.set()
        self.store.patience.end()
        for scope in self._scopes:
            scope.cancel()

    async def _leave(self) -> None:
        with anyio.move_on_after(_LEAVE_WITHIN), suppress(errors.MJError):
            await self.store.look(self._id, 0.0)

    async def _look_up(self, number: int, task_ids: list[str]) -> None:
        """Look up a chunk; the engine calls it.

        Raises:
            StreaqRetry: It goes back into the queue, which it leaves with any other error.
        """
        try:
            is_settled = not self._over.is_set() and await self._settle(number, task_ids)
        except Exception as error:  # noqa: BLE001  # raised by run
            self._fail(error)
            is_settled = False
        if not is_settled:
            raise StreaqRetry(delay=0)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._over.set()

    async def _settle(self, number: int, task_ids: list[str]) -> bool:
        """Look up a chunk, or bury it; False where there is something to be done still."""
        times, there = await self.store.begin(number)
        if times > MOST_DELIVERIES:
            await self.store.bury(number, task_ids)
            return True
        return not times or await self._look_up_rest(number, task_ids, unpack(there))

    async def _look_up_rest(self, number: int, task_ids: list[str], there: bytes) -> bool:
        lines = by_id(there)
        failure = await self._ask_until_over(task_ids, lines)
        in_order = [lines[task_id] for task_id in task_ids if task_id in lines]
        if len(in_order) == len(task_ids):
            seedless = sum(not has_seed(line) for line in in_order)
            await self.store.finish(number, pack(in_order), len(task_ids), seedless)
            return True
        # What was received is kept, and only the rest asked for by whoever goes on.
        # A gateway that is away, or refuses the key, says nothing against the chunk.
        counts = not (self._over.is_set() and isinstance(failure, errors.MJError | None))
        return not await self.store.release(number, pack(in_order), counts=counts)

    async def _ask_until_over(self, task_ids: list[str], lines: dict[str, str]) -> Exception | None:
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            if self._over.is_set():
                scope.cancel()
            try:
                await self._ask(task_ids, lines)
            except Exception as error:  # noqa: BLE001  # raised by run
                self._fail(error)
                return error
            finally:
                self._scopes.discard(scope)
        return None

    async def _ask(self, task_ids: list[str], lines: dict[str, str]) -> None:
        rest = [task_id for task_id in task_ids if task_id not in lines]
        most = self.concurrency // self._chunks_at_once
        async with self.client.image_seeds(rest, concurrency=most) as outcomes:
            async for outcome in outcomes:
                lines[outcome.task_id] = write_line(outcome)
