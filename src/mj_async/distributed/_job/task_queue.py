"""The queue of chunks, by streaq."""

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
    """A streaq worker without signal handlers and open streams.

    streaq 7.2 always handles signals, and does not close one of its streams.
    """

    async def signal_handler(self, scope: CancelScope) -> None:
        """Handle no signals: that is for the program to do."""

    _chunks_running = 0

    async def run_task(self, msg: StreamMessage) -> None:
        self._chunks_running += 1
        try:
            await super().run_task(msg)
        finally:
            self._chunks_running -= 1

    async def drain(self) -> None:
        """Wait until no chunk runs. The caller has stopped them before."""
        with anyio.move_on_after(_DRAIN_TIMEOUT):
            while self._chunks_running:  # noqa: ASYNC110  # rare and short
                await anyio.sleep(_POLL_INTERVAL)

    async def run_consumers(
        self, receive: MemoryObjectReceiveStream[StreamMessage], *scopes: CancelScope, **status: Any
    ) -> None:
        with receive:  # streaq closes only its clones
            await super().run_consumers(receive, *scopes, **status)


def build_queue_worker(
    redis_url: str, name: str, reconnect: ReconnectPolicy, *, lease: float = 60.0, chunks: int = 1
) -> QueueWorker:
    """Return a streaq worker for a job. It connects when it is entered or run."""
    worker = QueueWorker(
        redis_url,
        # streaq waits a lease for new chunks, in one command.
        redis_kwargs=connection_options(reconnect, RESPONSE_TIMEOUT + lease),
        queue_name=queue_name(name),
        concurrency=chunks,
        serializer=_to_json,
        deserializer=json.loads,
        idle_timeout=lease,
    )
    # No prefetching: a chunk that waits in one process is not available to others, and its lease
    # expires.
    worker.prefetch = chunks
    return worker


def queue_name(name: str) -> str:
    """Return the name of a job's queue; `streaq web` shows it."""
    return f"mj_async:{name}"


def _to_json(value: Any) -> str:
    # JSON instead of pickle: write access to Redis must not mean that code is run here.
    return json.dumps(value, default=str)


def register_handler(worker: QueueWorker, look_up: ChunkHandler) -> None:
    async def run(number: int, task_ids: list[str]) -> None:
        await look_up(number, task_ids)

    # The job counts deliveries and keeps results on its own.
    worker.task(name=_LOOK_UP, max_tries=None, ttl=0, silent=True)(run)


@attrs.define
class Publisher:
    """Puts chunks into the queue of a job. It must be entered and left in the same task."""

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
        # The task group of the connections would wrap the body's exception into a group.
        await self._stack.aclose()

    async def publish(self, number: int, task_ids: Sequence[str]) -> None:
        """Put a chunk into the queue, unless it is already there."""
        task = self._queue_worker.enqueue_unsafe(_LOOK_UP, number, list(task_ids))
        task.id = f"{number:06d}"
        async with translate_redis_errors(self.redis_url):
            await task
