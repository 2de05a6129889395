"""A Redis client that connects, runs one script and closes; nothing stays open.

A pool of coredis holds a task group, so only the task that entered it can use it, and only until
it leaves. A gate has no such lifetime, and opens a pool for each script: that takes 1 ms.
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

# The client keeps its key out of tracebacks with it; here it hides the password of Redis.
from mj_async._credentials import Secret

from .._redis import check_redis_url, server_address, translate_redis_errors

# Seconds for a connection, and for a response.
_TIMEOUT = 2.0


class OneShotRedis:
    """A Redis that any task can use at any time.

    Attributes:
        address: Its address without user and password.

    Raises:
        ConfigurationError: It is not the address of a Redis. The message does not show it.
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
        """Run a script on one key, and return its result.

        Raises:
            ConfigurationError: Redis refuses the password, or cannot run the script.
            TransportError: Redis cannot be reached, or the connection was lost.
        """
        opened: list[BaseConnection] = []
        translated = translate_redis_errors(self._url_without_password)
        try:
            with _mute_coredis_log():
                async with translated, self._open(opened) as redis:
                    return await _run(redis, script, sha, key, arguments)
        except errors.MJError:
            await checkpoint()  # coredis turns a cancellation into an error
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
        connection_class = pool.connection_class

        def connect(*location: Any, **options: Any) -> BaseConnection:
            opened.append(connection_class(*location, **options))
            return opened[-1]

        pool.connection_class = connect  # type: ignore[assignment]  # the pool only calls it
        return Redis(connection_pool=pool, retry_policy=NoRetryPolicy())


async def _run(
    redis: Redis[bytes], script: str, sha: str, key: str, arguments: list[float | str]
) -> list[int]:
    result: Any
    try:
        result = await redis.evalsha(sha, [key], arguments)
    except NoScriptError:  # the first run since Redis was started
        result = await redis.eval(script, [key], arguments)
    return list(result)


def _close_streams(connection: BaseConnection) -> None:
    # coredis leaves them open if it cannot connect, and Python warns about that.
    for stream in vars(connection).values():
        if isinstance(stream, MemoryObjectSendStream | MemoryObjectReceiveStream):
            stream.close()


# --- coredis logs each connection that is cancelled, with a traceback --------------------------

_is_muted = ContextVar("mj_async.distributed muted", default=False)


def _is_not_muted(_record: logging.LogRecord) -> bool:
    return not _is_muted.get()


@contextmanager
def _mute_coredis_log() -> Iterator[None]:
    logging.getLogger("coredis").addFilter(_is_not_muted)  # adding it again does nothing
    token = _is_muted.set(True)
    try:
        yield
    finally:
        _is_muted.reset(token)
