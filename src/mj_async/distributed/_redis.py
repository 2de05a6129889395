"""Redis: the address that a user gave, and what is said when it cannot be used."""

from __future__ import annotations

import logging
import math
import time
from typing import Any
from urllib.parse import urlsplit

import attrs
from anyio.lowlevel import checkpoint_if_cancelled
from coredis import Redis
from coredis import exceptions as redis_errors
from coredis.retry import ExponentialBackoffRetryPolicy

from mj_async import errors

FORGOTTEN = "has forgotten the job; next: submit it again, to a Redis that keeps what it has"
# They print tracebacks where nobody has set up logging; what went wrong is raised.
for _name in ("coredis", "streaq"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_SCHEMES = ("redis", "rediss", "unix")
# Lost, or not there yet: what another try may mend.
LOST = (
    redis_errors.ConnectionError,
    redis_errors.BusyLoadingError,
    redis_errors.TryAgainError,
    redis_errors.ReadOnlyError,
    TimeoutError,
)
# Redis may be killed and started again below a running job.
PATIENCE = 60.0
# What is silent for so long has vanished without a word, as a machine without power does.
_CONNECT_WITHIN, ANSWER_WITHIN = 10.0, 20.0
_END_WITHIN = 1.5


class Patience(ExponentialBackoffRetryPolicy):
    """Tries again for so many seconds while Redis is away, but not when all is to end."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        super().__init__(LOST, None, deadline=seconds, base_delay=0.05, max_delay=1.0, jitter=True)
        self._until = math.inf

    def end(self) -> None:
        """Give up soon: whoever stops a process waits for it."""
        self._until = time.monotonic() + _END_WITHIN

    def will_retry(self, exc: BaseException) -> bool:
        """Tell whether another try may help."""
        return time.monotonic() < self._until and super().will_retry(exc)


def check_redis_url(redis_url: object) -> str:
    """Give the address back.

    Raises:
        ConfigurationError: It is none. Its text is not shown, for it may hold a password.
    """
    if not isinstance(redis_url, str) or not _is_usable(redis_url):
        raise errors.ConfigurationError(
            "redis_url is no address of a Redis; next: give one such as redis://localhost:6379/0"
        )
    return redis_url


def _is_usable(redis_url: str) -> bool:
    try:
        parts = urlsplit(redis_url)
        Redis.from_url(redis_url)  # what stands behind a "?" is read by it alone
        at = parts.path if parts.scheme == "unix" else parts.hostname
        return parts.scheme in _SCHEMES and bool(at) and parts.port != 0
    except ValueError:
        return False


def place_of(redis_url: str) -> str:
    """PURE: name a Redis by its address without user and password."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return parts.path
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{host}:{parts.port or 6379}"


def redis_options(patience: Patience, answer_within: float) -> dict[str, Any]:
    """PURE: give what every connection is made with."""
    return {
        "retry_policy": patience,
        "connect_timeout": _CONNECT_WITHIN,
        "stream_timeout": answer_within,
        "decode_components": True,  # a password may hold what an address cannot
    }


def open_redis(redis_url: str, patience: Patience) -> Redis[bytes]:
    """Make a client of Redis; nothing is sent before it is entered."""
    return Redis.from_url(redis_url, **redis_options(patience, ANSWER_WITHIN))


@attrs.frozen
class ToldPlainly:
    """Makes one plain error of what Redis, and the task groups around its connections, raise.

    Args:
        redis_url: Where Redis is.
    """

    redis_url: str

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise it.

        Raises:
            ConfigurationError: Redis refuses the password, or the database.
            ClientStateError: It has forgotten the job.
            TransportError: Redis cannot be reached, or was lost.
        """
        first = first_of(error)
        if isinstance(first, redis_errors.RedisError | TimeoutError | errors.MJError):
            # A connection that a cancellation has cut is no error.
            await checkpoint_if_cancelled()
            raise _plain_error(first, self.redis_url) from None


def first_of(error: BaseException | None) -> BaseException | None:
    """PURE: give the first error of a group, of groups in it, too; or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _plain_error(error: BaseException, redis_url: str) -> errors.MJError:
    if isinstance(error, errors.MJError):
        return error
    place = place_of(redis_url)
    if isinstance(error, redis_errors.StreamConsumerGroupError | redis_errors.UnblockedError):
        return errors.ClientStateError(f"Redis at {place} {FORGOTTEN}")
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return errors.ConfigurationError(
            f"Redis at {place} refuses the user or the password: {error}; next: correct redis_url"
        )
    if isinstance(error, LOST):
        # Of many commands that were lost at once, each tells of all others.
        said = str(error.__cause__ or error).rpartition("caused error: ")[2]
        return errors.TransportError(
            f"Redis at {place} cannot be reached: {said}; next: start it, or correct redis_url"
        )
    return errors.ConfigurationError(f"Redis at {place} cannot do what is needed: {error}")
