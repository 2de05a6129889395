"""The queue: streaq, as this package uses it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, TypeAlias

import anyio
import attrs
from anyio import CancelScope
from anyio.streams.memory import MemoryObjectReceiveStream
from streaq import Worker
from streaq.types import StreamMessage

from .._redis import translate_redis_errors
from .connection import RESPONSE_TIMEOUT, ReconnectPolicy, connection_options

ChunkHandler: TypeAlias = Callable[[int, list[str]], Awaitable[None]]

_LOOK_UP = "look_up"
_DRAIN_TIMEOUT = 3.0
_POLL_INTERVAL = 0.02


class QueueWorker(Worker[None]):
    """A streaq worker that leaves its host in peace.

    7.2 takes the signals, whatever it is told, and leaves a stream of its own open.
    """

    async def signal_handler(self, scope: CancelScope) -> None:
        """Take none."""

    _chunks_running = 0

    async def run_task(self, msg: StreamMessage) -> None:
        """Run a chunk, and know of it until Redis knows how it ended."""
        self._chunks_running += 1
        try:
            await super().run_task(msg)
        finally:
            self._chunks_running -= 1

    async def drain(self) -> None:
        """Wait until no chunk is under way; whoever waits has told them to stop."""
        with anyio.move_on_after(_DRAIN_TIMEOUT):
            while self._chunks_running:  # noqa: ASYNC110  # seldom, and not for long
                await anyio.sleep(_POLL_INTERVAL)

    async def run_consumers(
        self, receive: MemoryObjectReceiveStream[StreamMessage], *scopes: CancelScope, **status: Any
    ) -> None:
        """Close the stream, too, of which only clones are closed there."""
        with receive:
            await super().run_consumers(receive, *scopes, **status)


def build_queue_worker(
    redis_url: str, name: str, reconnect: ReconnectPolicy, *, lease: float = 60.0, chunks: int = 1
) -> QueueWorker:
    """Make streaq's view of a job; nothing is sent before it is entered.

    Args:
        redis_url: Where it is.
        name: The job's.
        reconnect: How long Redis may be away.
        lease: Seconds after which a chunk whose worker is silent goes to another.
        chunks: How many are worked on at once.
    """
    worker = QueueWorker(
        redis_url,
        # It waits a lease for new chunks.
        redis_kwargs=connection_options(reconnect, RESPONSE_TIMEOUT + lease),
        queue_name=queue_name(name),
        concurrency=chunks,
        serializer=_to_json,
        deserializer=json.loads,
        idle_timeout=lease,
    )
    # None beforehand: what waits in a process is kept from others, and its lease runs out.
    worker.prefetch = chunks
    return worker


def queue_name(name: str) -> str:
    """PURE: name a job's queue, as streaq's web page shows it."""
    return f"mj_async:{name}"


def _to_json(value: Any) -> str:
    # JSON, not pickle: who can write to Redis is not to run code here.
    return json.dumps(value, default=str)


def register_handler(worker: QueueWorker, look_up: ChunkHandler) -> None:
    """Let a worker run what looks up a chunk; tries and outcomes are counted by us."""

    async def run(number: int, task_ids: list[str]) -> None:
        await look_up(number, task_ids)

    worker.task(name=_LOOK_UP, max_tries=None, ttl=0, silent=True)(run)


@attrs.define
class Publisher:
    """Puts chunks into a job's queue, to be entered and left in one task.

    Args:
        redis_url: Where it is.
        name: The job's.
    """

    redis_url: str
    name: str
    _queue_worker: QueueWorker = attrs.field(init=False)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)

    async def __aenter__(self) -> Self:
        self._queue_worker = build_queue_worker(self.redis_url, self.name, ReconnectPolicy())
        async with translate_redis_errors(self.redis_url):
            await self._stack.enter_async_context(self._queue_worker)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        # Without the body's exception, which the group of connections would wrap into a group.
        await self._stack.aclose()

    async def publish(self, number: int, task_ids: Sequence[str]) -> None:
        """Put a chunk into the queue, if it is not there.

        Raises:
            TransportError: Redis is away.
        """
        task = self._queue_worker.enqueue_unsafe(_LOOK_UP, number, list(task_ids))
        task.id = f"{number:06d}"
        async with translate_redis_errors(self.redis_url):
            await task
