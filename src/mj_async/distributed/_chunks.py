"""Looking up chunks: what is received is kept, and what may come later is asked for later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import attrs
from streaq import StreaqRetry

from mj_async import SeedOutcome, errors

from ._lines import by_id, has_seed, pack, unpack, write_line

if TYPE_CHECKING:
    from mj_async import AsyncMJClient

    from ._store import Store

# While the last seeds of one chunk are slow, another is worked on.
CHUNKS_AT_ONCE = 2
MOST_DELIVERIES = 5
MOST_ASKS = 3
# Within one go, an id is asked for again only where a 429 sent nothing; the gate holds anyhow.
_AFTER_A_HOLD = 2.0
_AWAY = (errors.TransportError, errors.ServerError)


def comes_later(outcome: SeedOutcome) -> bool:
    """PURE: tell whether asking again soon may help; it does not before a task has ended."""
    task = getattr(outcome.error, "task", None)
    return not outcome.final and (task is None or task.is_final)


@attrs.define
class Chunk:
    """What is known of a chunk.

    Args:
        number: Its own.
        task_ids: Its ids.
        settled: The lines that asking again would not change, by id.
        later: The others that are there.
        is_through: Whether each id has one.
    """

    number: int
    task_ids: list[str]
    settled: dict[str, bytes]
    later: dict[str, bytes] = attrs.field(factory=dict, init=False)
    is_through: bool = attrs.field(default=False, init=False)

    @property
    def missing(self) -> list[str]:
        """The ids to be asked for."""
        return [task_id for task_id in self.task_ids if task_id not in self.settled]

    @property
    def lines(self) -> list[bytes]:
        """The lines, in the order of the ids."""
        found = self.later | self.settled
        return [found[task_id] for task_id in self.task_ids]


@attrs.define
class Chunks:
    """The chunks that one process works on.

    Args:
        store: The job's.
        client: Asks the gateway.
        concurrency: Seeds asked for at once.
        ask_again_after: Seconds until what may come later is asked for again; meanwhile its chunk
            is in the queue, and keeps nobody busy.
        over: Is set when the work is to end, and by what ends it.
    """

    store: Store
    client: AsyncMJClient
    concurrency: int
    ask_again_after: float
    over: anyio.Event
    failure: Exception | None = attrs.field(default=None, init=False)
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set, init=False)
    _away: int = attrs.field(default=0, init=False)

    def stop(self) -> None:
        """Cut what is under way; it goes back to the queue with what was received."""
        self.over.set()
        for scope in self._scopes:
            scope.cancel()

    async def look_up(self, number: int, task_ids: list[str]) -> None:
        """Look up a chunk; the engine calls it, and drops chunks for all other exceptions.

        Raises:
            StreaqRetry: It goes back to the queue.
        """
        if self.over.is_set():
            raise StreaqRetry(delay=0)
        try:
            await self._look_up(number, task_ids)
        except StreaqRetry:
            raise
        except Exception as error:  # noqa: BLE001  # ends the work, and is raised there
            self._end(error)
            raise StreaqRetry(delay=0) from None

    def _end(self, failure: Exception) -> None:
        self.failure = self.failure or failure
        self.over.set()

    async def _look_up(self, number: int, task_ids: list[str]) -> None:
        begun = await self.store.begin(number)
        if begun.deliveries > MOST_DELIVERIES:
            await self.store.bury(number, task_ids)
        elif begun.deliveries:
            chunk = Chunk(number, task_ids, by_id(unpack(begun.partial)))
            failure = await self._ask(chunk)
            await self._hand_over(chunk, failure, is_last=begun.asks + 1 >= MOST_ASKS)

    async def _ask(self, chunk: Chunk) -> Exception | None:
        """Ask for what is missing, and give what has ended that before its time."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await self._ask_for(chunk)
                self._away = 0
            except _AWAY as error:
                # Held here, so that a gateway that is away is not asked for chunk after chunk.
                self._away += 1
                if self._away >= MOST_ASKS * CHUNKS_AT_ONCE:
                    return error
                await anyio.sleep(self.ask_again_after)
            except Exception as error:  # noqa: BLE001  # raised by whoever works
                return error
            finally:
                self._scopes.discard(scope)
        return None

    async def _ask_for(self, chunk: Chunk) -> None:
        run = self.client.image_seeds(
            chunk.missing,
            concurrency=-(-self.concurrency // CHUNKS_AT_ONCE),
            ask_again_after=_AFTER_A_HOLD,
            max_asks=1,
        )
        async with run as outcomes:
            async for outcome in outcomes:
                lines = chunk.later if comes_later(outcome) else chunk.settled
                lines[outcome.task_id] = write_line(outcome)
        chunk.is_through = True

    async def _hand_over(self, chunk: Chunk, failure: Exception | None, *, is_last: bool) -> None:
        if failure is not None:
            self._end(failure)
        if chunk.is_through and (is_last or not chunk.later):
            lines = chunk.lines
            seedless = sum(not has_seed(line) for line in lines)
            await self.store.finish(chunk.number, pack(lines), len(lines), seedless)
            return
        # What a gateway says, or fails to say, says nothing against the chunk.
        counts = not isinstance(failure, errors.MJError | None)
        given_back = await self.store.release(
            chunk.number,
            pack(chunk.settled.values()),
            deliveries=0 if counts else -1,
            asks=int(chunk.is_through),
        )
        if given_back:
            delay = self.ask_again_after if chunk.is_through else 0
            raise StreaqRetry(delay=timedelta(seconds=delay))
