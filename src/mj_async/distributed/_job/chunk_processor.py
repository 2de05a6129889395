"""Looking up chunks: what is received is kept, and what may come later is asked for later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import attrs
from streaq import StreaqRetry

from mj_async import SeedOutcome, errors

from .jsonl import has_seed, lines_by_id, pack, unpack, write_line

if TYPE_CHECKING:
    from mj_async import AsyncMJClient

    from .store import JobStore

_CHUNKS_AT_ONCE = 2
MAX_DELIVERIES = 5
MAX_LOOKUPS = 3
# Within one go, an id is asked for again only where a 429 sent nothing; the gate holds anyhow.
_RETRY_AFTER_429 = 2.0
_OUTAGE_ERRORS = (errors.TransportError, errors.ServerError)
_GATEWAY_ERRORS = (errors.UnsupportedError, errors.UnexpectedAnswerError, errors.RateLimitError)


def is_retryable(outcome: SeedOutcome) -> bool:
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
        final_lines: The lines that asking again would not change, by id.
        retryable_lines: The others that are there.
    """

    number: int
    task_ids: list[str]
    final_lines: dict[str, bytes]
    retryable_lines: dict[str, bytes] = attrs.field(factory=dict, init=False)

    @property
    def is_complete(self) -> bool:
        """Whether each id has a line."""
        return len(self.final_lines) + len(self.retryable_lines) == len(self.task_ids)

    @property
    def unsettled_ids(self) -> list[str]:
        """The ids to be asked for."""
        return [task_id for task_id in self.task_ids if task_id not in self.final_lines]

    @property
    def lines(self) -> list[bytes]:
        """The lines, in the order of the ids."""
        found = self.retryable_lines | self.final_lines
        return [found[task_id] for task_id in self.task_ids]


@attrs.define
class ChunkProcessor:
    """The chunks that one process works on.

    Args:
        store: The job's.
        client: Asks the gateway.
        concurrency: Seeds asked for at once.
        ask_again_after: Seconds until what may come later is asked for again; meanwhile its chunk
            is in the queue, and keeps nobody busy.

    Attributes:
        stopped: Is set when the work is to end, and by what ends it.
        failure: What has ended it before its time.
    """

    store: JobStore
    client: AsyncMJClient
    concurrency: int
    ask_again_after: float
    stopped: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    failure: Exception | None = attrs.field(default=None, init=False)
    _scopes: set[anyio.CancelScope] = attrs.field(factory=set, init=False)
    _outages: int = attrs.field(default=0, init=False)

    @property
    def chunks_at_once(self) -> int:
        """How many are worked on at once: while the last seeds of one are slow, another is."""
        return min(_CHUNKS_AT_ONCE, self.concurrency)

    def stop(self) -> None:
        """Cut what is under way; it goes back to the queue with what was received."""
        self.stopped.set()
        for scope in self._scopes:
            scope.cancel()

    async def look_up(self, number: int, task_ids: list[str]) -> None:
        """Look up a chunk; the engine calls it, and drops a chunk for any other exception.

        Raises:
            StreaqRetry: It goes back to the queue.
        """
        delay: float | None = 0.0
        try:
            if not self.stopped.is_set():
                delay = await self._process(number, task_ids)
        except Exception as error:  # noqa: BLE001  # raised by JobWorker.run
            self.fail(error)
        if delay is not None:
            raise StreaqRetry(delay=timedelta(seconds=delay))

    def fail(self, failure: Exception) -> None:
        """End the work by what has gone wrong; the first of these is raised."""
        self.failure = self.failure or failure
        self.stopped.set()

    async def _process(self, number: int, task_ids: list[str]) -> float | None:
        """Look up a chunk, or bury it; the seconds until it is to be gone on with, or None."""
        delivery = await self.store.begin(number)
        if not delivery.deliveries:
            return None
        if delivery.deliveries > MAX_DELIVERIES:
            await self.store.mark_dead(number, task_ids)
            return None
        chunk = Chunk(number, task_ids, lines_by_id(unpack(delivery.partial)))
        failure = await self._look_up(chunk)
        if chunk.is_complete and (delivery.lookups + 1 >= MAX_LOOKUPS or not chunk.retryable_lines):
            await self._finish(chunk)
            return None
        return await self._release(chunk, failure)

    async def _look_up(self, chunk: Chunk) -> Exception | None:
        """Ask for what is missing, and give what has ended that before its time."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            if self.stopped.is_set():
                scope.cancel()
            try:
                await self._request_seeds(chunk)
                self._outages = 0
            except _OUTAGE_ERRORS as error:
                return await self._back_off(error)
            except Exception as error:  # noqa: BLE001  # raised by JobWorker.run
                self.fail(error)
                return error
            finally:
                self._scopes.discard(scope)
        return None

    async def _back_off(self, error: Exception) -> Exception:
        """Hold here, so that a gateway that is away is not asked for chunk after chunk."""
        self._outages += 1
        if self._outages >= MAX_LOOKUPS * self.chunks_at_once:
            self.fail(error)
        else:
            await anyio.sleep(self.ask_again_after)
        return error

    async def _request_seeds(self, chunk: Chunk) -> None:
        run = self.client.image_seeds(
            chunk.unsettled_ids,
            concurrency=self.concurrency // self.chunks_at_once,
            ask_again_after=_RETRY_AFTER_429,
            max_asks=1,
        )
        only_outages = True
        async with run as outcomes:
            async for outcome in outcomes:
                only_outages = only_outages and isinstance(outcome.error, _OUTAGE_ERRORS)
                lines = chunk.retryable_lines if is_retryable(outcome) else chunk.final_lines
                lines[outcome.task_id] = write_line(outcome)
        if only_outages and chunk.retryable_lines:
            await self._check_gateway(chunk)

    async def _check_gateway(self, chunk: Chunk) -> None:
        """Make sure that the gateway lives; a few ids that fail do not tell.

        Raises:
            TransportError: It does not, and then this go does not count against the ids.
            ServerError: The same.
        """
        try:
            await self.client.list_tasks(chunk.unsettled_ids[:1])
        except _OUTAGE_ERRORS:
            chunk.retryable_lines.clear()
            raise
        except _GATEWAY_ERRORS:
            pass

    async def _finish(self, chunk: Chunk) -> None:
        lines = chunk.lines
        seedless = sum(not has_seed(line) for line in lines)
        await self.store.finish(chunk.number, pack(lines), len(lines), seedless)

    async def _release(self, chunk: Chunk, failure: Exception | None) -> float | None:
        """Give a chunk back with what was received, so that only the rest is asked for again."""
        # What a gateway says, or fails to say, says nothing against the chunk; nor does our end.
        is_cut = failure is None and self.stopped.is_set()
        counts = not (chunk.is_complete or is_cut or isinstance(failure, errors.MJError))
        is_released = await self.store.release(
            chunk.number,
            pack(chunk.final_lines.values()),
            deliveries=0 if counts else -1,
            lookups=int(chunk.is_complete),
        )
        if not is_released:
            return None
        return self.ask_again_after if chunk.is_complete else 0.0
