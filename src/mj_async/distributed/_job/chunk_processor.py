"""Looks up the seeds of a chunk.

Final outcomes are kept. A chunk with other outcomes goes back to the queue, and is tried again
later.
"""

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

# While the last seeds of one chunk are slow, the worker goes on with another.
_CHUNKS_AT_ONCE = 2
MAX_DELIVERIES = 5
MAX_LOOKUPS = 3
# Seconds. Within one delivery, an id is tried again only after a 429; the gate holds it back too.
_RETRY_AFTER_429 = 2.0
_OUTAGE_ERRORS = (errors.TransportError, errors.ServerError)
# With these, too, the gateway is up.
_GATEWAY_ERRORS = (errors.UnsupportedError, errors.UnexpectedAnswerError, errors.RateLimitError)


def is_retryable(outcome: SeedOutcome) -> bool:
    """Return True if another attempt soon may succeed; before a task has ended, it does not."""
    if outcome.error is None:
        return False
    task = getattr(outcome.error, "task", None)
    return not outcome.final and (task is None or task.is_final)


@attrs.define
class Chunk:
    """A chunk, and the lines of its outcomes by id.

    Args:
        number: Its place in the input.
        task_ids: Its ids.
        final_lines: Lines that another attempt would not change.
        retryable_lines: The other lines.
    """

    number: int
    task_ids: list[str]
    final_lines: dict[str, bytes]
    retryable_lines: dict[str, bytes] = attrs.field(factory=dict, init=False)

    @property
    def is_complete(self) -> bool:
        return len(self.final_lines) + len(self.retryable_lines) == len(self.task_ids)

    @property
    def unsettled_ids(self) -> list[str]:
        return [task_id for task_id in self.task_ids if task_id not in self.final_lines]

    @property
    def lines(self) -> list[bytes]:
        found = self.retryable_lines | self.final_lines
        return [found[task_id] for task_id in self.task_ids]


@attrs.define
class ChunkProcessor:
    """Looks up chunks, for one process.

    Attributes:
        stopped: Set when the work must end.
        failure: The error that has ended it.
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
        return min(_CHUNKS_AT_ONCE, self.concurrency)

    def stop(self) -> None:
        """Cancel the chunks in progress; they go back to the queue with the lines received."""
        self.stopped.set()
        for scope in self._scopes:
            scope.cancel()

    async def look_up(self, number: int, task_ids: list[str]) -> None:
        """Look up a chunk. This is streaq's task function.

        Raises:
            StreaqRetry: The chunk goes back to the queue. For any other exception, streaq would
                drop the chunk.
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
        """End the work with an error; `JobWorker.run` raises the first one."""
        self.failure = self.failure or failure
        self.stopped.set()

    async def _process(self, number: int, task_ids: list[str]) -> float | None:
        """Look up a chunk, and return the seconds until its next delivery; None if it is done."""
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
        """Request the missing seeds, and return the error that has ended this early, if any."""
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
        # Without this pause, all chunks would go through a gateway that is down, one by one.
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
        """Check that the gateway is up: perhaps it only fails for these ids.

        Raises:
            TransportError: It is down; then this attempt does not count against the ids.
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
        # Only an attempt that a crash has ended counts against the chunk: neither errors of the
        # gateway nor the end of this worker do.
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
