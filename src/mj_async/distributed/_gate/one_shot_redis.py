"""A Redis for a moment: opened, asked one thing, closed, with nothing left behind.

A pool of coredis holds a task group, so it can be used only in the task, and in the time, in
which it was entered. What has no such lifetime opens one for each question: a millisecond.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from anyio.lowlevel import checkpoint
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis import Redis
from coredis.connection import BaseConnection
from coredis.exceptions import NoScriptError
from coredis.pool import ConnectionPool
from coredis.retry import NoRetryPolicy

from mj_async import errors

# It keeps the client's key out of what is printed, and does the same for Redis' password.
from mj_async._credentials import Secret

from .._redis import check_redis_url, server_address, translate_redis_errors

# Seconds for a connection, and for an answer.
_TIMEOUT = 2.0


class OneShotRedis:
    """An address of Redis that can be asked, at any time and in any task.

    Args:
        redis_url: The address.

    Attributes:
        address: The same without user and password.

    Raises:
        ConfigurationError: It is none. Its text is not shown.
    """

    def __init__(self, redis_url: str) -> None:
        self._url, redis_url = Secret(check_redis_url(redis_url)), ""
        parts = urlsplit(self._url.reveal())
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="")
        self._url_without_password = bare.geturl()
        self.address = server_address(self._url_without_password)

    async def run_script(
        self, script: str, sha: str, key: str, arguments: list[float | str]
    ) -> list[int]:
        """Run a script on one key.

        Returns:
            What it answers.

        Raises:
            ConfigurationError: Redis refuses the password, or cannot do this.
            TransportError: Redis cannot be reached, or was lost.
        """
        opened: list[BaseConnection] = []
        try:
            with _mute_coredis_log():
                async with (
                    translate_redis_errors(self._url_without_password),
                    self._open(opened) as redis,
                ):
                    return await _run(redis, script, sha, key, arguments)
        except errors.MJError:
            await checkpoint()  # coredis makes an error of it if a call is cut off
            raise
        finally:
            for connection in opened:
                _close_streams(connection)

    def _open(self, opened: list[BaseConnection]) -> Redis[bytes]:
        pool: ConnectionPool[Any] = ConnectionPool.from_url(
            self._url.reveal(),
            connect_timeout=_TIMEOUT,
            stream_timeout=_TIMEOUT,
            decode_components=True,
        )
        kind = pool.connection_class

        def make(*location: Any, **options: Any) -> BaseConnection:
            opened.append(kind(*location, **options))
            return opened[-1]

        pool.connection_class = make  # type: ignore[assignment]  # it is only called
        return Redis(connection_pool=pool, retry_policy=NoRetryPolicy())


async def _run(
    redis: Redis[bytes], script: str, sha: str, key: str, arguments: list[float | str]
) -> list[int]:
    answer: Any
    try:
        answer = await redis.evalsha(sha, [key], arguments)
    except NoScriptError:  # Redis has been started since
        answer = await redis.eval(script, [key], arguments)
    return list(answer)


def _close_streams(connection: BaseConnection) -> None:
    """Close what a connection that never came about leaves open, or Python warns of it."""
    for stream in vars(connection).values():
        if isinstance(stream, MemoryObjectSendStream | MemoryObjectReceiveStream):
            stream.close()


# --- coredis tells the log of each connection that is cut off, with a traceback ---------------

_is_muted = ContextVar("mj_async.distributed muted", default=False)


def _is_not_muted(_record: logging.LogRecord) -> bool:
    return not _is_muted.get()


@contextmanager
def _mute_coredis_log() -> Iterator[None]:
    """Keep what it tells of this one question out of the log; an error is raised instead."""
    logging.getLogger("coredis").addFilter(_is_not_muted)  # a second time does nothing
    token = _is_muted.set(True)
    try:
        yield
    finally:
        _is_muted.reset(token)
