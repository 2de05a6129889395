"""The connections of a job to Redis, which may be away for a while."""

from __future__ import annotations

import math
import time
from typing import Any

from coredis import Redis
from coredis.retry import ExponentialBackoffRetryPolicy

from .._redis import CONNECTION_ERRORS

# Seconds. Redis may be killed and started again while a job runs.
RECONNECT_FOR = 60.0
# Seconds without a response. A machine that loses power closes no connection.
_CONNECT_TIMEOUT, RESPONSE_TIMEOUT = 10.0, 20.0
_STOP_TIMEOUT = 1.5


class ReconnectPolicy(ExponentialBackoffRetryPolicy):
    """Retries for so many seconds while Redis is away, or until the job is to stop."""

    def __init__(self, seconds: float = RECONNECT_FOR) -> None:
        super().__init__(
            CONNECTION_ERRORS, None, deadline=seconds, base_delay=0.05, max_delay=1.0, jitter=True
        )
        self._until = math.inf

    def give_up_soon(self) -> None:
        self._until = time.monotonic() + _STOP_TIMEOUT

    def will_retry(self, exc: BaseException) -> bool:
        return time.monotonic() < self._until and super().will_retry(exc)


def connection_options(reconnect: ReconnectPolicy, response_timeout: float) -> dict[str, Any]:
    return {
        "retry_policy": reconnect,
        "connect_timeout": _CONNECT_TIMEOUT,
        "stream_timeout": response_timeout,
        "decode_components": True,  # a password may have characters that a URL must escape
    }


def open_redis(redis_url: str, reconnect: ReconnectPolicy) -> Redis[bytes]:
    """Return a client of Redis. It connects when it is entered."""
    return Redis.from_url(redis_url, **connection_options(reconnect, RESPONSE_TIMEOUT))
