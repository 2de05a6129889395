"""Looking up chunks: what is received is kept, and what may come later is asked for later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import attrs
from streaq import StreaqRetry

from mj_async import SeedOutcome, errors

from .jsonl import by_id, has_seed, pack, unpack, write_line

if TYPE_CHECKING:
    from mj_async import AsyncMJClient

    from .store import Store

_AT_ONCE = 2
MOST_DELIVERIES = 5
MOST_ASKS = 3
# Within one go, an id is asked for again only where a 429 sent nothing; the gate holds anyhow.
_AFTER_A_HOLD = 2.0
_AWAY = (errors.TransportError, errors.ServerError)
_ANSWERS = (errors.UnsupportedError, errors.UnexpectedAnswerError, errors.RateLimitError)


def comes_later(outcome: SeedOutcome) -> bool:
    """PURE: tell whether asking again soon may help; it does not before a task has ended."""
    if outcome.error is None:
        return False
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
    """

    number: int
    task_ids: list[str]
    settled: dict[str, bytes]
    later: dict[str, bytes] = attrs.field(factory=dict, init=False)

    @property
    def is_whole(self) -> bool:
        """Whether each id has a line."""
        return len(self.settled) + len(self.later) == len(self.task_ids)

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

    Attributes:
        over: Is set when the work is to end, and by what ends it.
        failure: What has ended it before its time.
    """

    store: Store
    client: AsyncMJClient
    concurrency: int
    ask_again_after: float
    over: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    failure: Exception | None = attrs.field(default=None, init=False)
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set, init=False)
    _away: int = attrs.field(default=0, init=False)

    @property
    def at_once(self) -> int:
        """How many are worked on at once: while the last seeds of one are slow, another is."""
        return min(_AT_ONCE, self.concurrency)

    def stop(self) -> None:
        """Cut what is under way; it goes back to the queue with what was received."""
        self.over.set()
        for scope in self._scopes:
            scope.cancel()

    async def look_up(self, number: int, task_ids: list[str]) -> None:
        """Look up a chunk; the engine calls it, and drops a chunk for any other exception.

        Raises:
            StreaqRetry: It goes back to the queue.
        """
        delay: float | None = 0.0
        try:
            if not self.over.is_set():
                delay = await self._settle(number, task_ids)
        except Exception as error:  # noqa: BLE001  # raised by whoever works
            self.end_with(error)
        if delay is not None:
            raise StreaqRetry(delay=timedelta(seconds=delay))

    def end_with(self, failure: Exception) -> None:
        """End the work by what has gone wrong; the first of these is raised."""
        self.failure = self.failure or failure
        self.over.set()

    async def _settle(self, number: int, task_ids: list[str]) -> float | None:
        """Look up a chunk, or bury it; the seconds until it is to be gone on with, or None."""
        begun = await self.store.begin(number)
        if not begun.deliveries:
            return None
        if begun.deliveries > MOST_DELIVERIES:
            await self.store.bury(number, task_ids)
            return None
        chunk = Chunk(number, task_ids, by_id(unpack(begun.partial)))
        failure = await self._ask(chunk)
        if chunk.is_whole and (begun.asks + 1 >= MOST_ASKS or not chunk.later):
            await self._finish(chunk)
            return None
        return await self._give_back(chunk, failure)

    async def _ask(self, chunk: Chunk) -> Exception | None:
        """Ask for what is missing, and give what has ended that before its time."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            if self.over.is_set():
                scope.cancel()
            try:
                await self._ask_for(chunk)
                self._away = 0
            except _AWAY as error:
                return await self._hold(error)
            except Exception as error:  # noqa: BLE001  # raised by whoever works
                self.end_with(error)
                return error
            finally:
                self._scopes.discard(scope)
        return None

    async def _hold(self, error: Exception) -> Exception:
        """Hold here, so that a gateway that is away is not asked for chunk after chunk."""
        self._away += 1
        if self._away >= MOST_ASKS * self.at_once:
            self.end_with(error)
        else:
            await anyio.sleep(self.ask_again_after)
        return error

    async def _ask_for(self, chunk: Chunk) -> None:
        run = self.client.image_seeds(
            chunk.missing,
            concurrency=self.concurrency // self.at_once,
            ask_again_after=_AFTER_A_HOLD,
            max_asks=1,
        )
        is_silent = True
        async with run as outcomes:
            async for outcome in outcomes:
                is_silent = is_silent and isinstance(outcome.error, _AWAY)
                lines = chunk.later if comes_later(outcome) else chunk.settled
                lines[outcome.task_id] = write_line(outcome)
        if is_silent and chunk.later:
            await self._check_gateway(chunk)

    async def _check_gateway(self, chunk: Chunk) -> None:
        """Make sure that the gateway lives; a few ids that fail do not tell.

        Raises:
            TransportError: It does not, and then this go does not count against the ids.
            ServerError: The same.
        """
        try:
            await self.client.list_tasks(chunk.missing[:1])
        except _AWAY:
            chunk.later.clear()
            raise
        except _ANSWERS:
            pass

    async def _finish(self, chunk: Chunk) -> None:
        lines = chunk.lines
        seedless = sum(not has_seed(line) for line in lines)
        await self.store.finish(chunk.number, pack(lines), len(lines), seedless)

    async def _give_back(self, chunk: Chunk, failure: Exception | None) -> float | None:
        """Give a chunk back with what was received, so that only the rest is asked for again."""
        # What a gateway says, or fails to say, says nothing against the chunk; nor does our end.
        is_cut = failure is None and self.over.is_set()
        is_at_fault = not (chunk.is_whole or is_cut or isinstance(failure, errors.MJError))
        goes_on = await self.store.release(
            chunk.number,
            pack(chunk.settled.values()),
            deliveries=0 if is_at_fault else -1,
            asks=int(chunk.is_whole),
        )
        if not goes_on:
            return None
        return self.ask_again_after if chunk.is_whole else 0.0
