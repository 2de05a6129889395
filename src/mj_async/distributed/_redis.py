"""Redis: the address that a user gave, and what is said when it cannot be used."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from anyio.lowlevel import checkpoint_if_cancelled
from coredis import Redis
from coredis import exceptions as redis_errors

from mj_async import errors

JOB_LOST = "has forgotten the job; next: submit it again, to a Redis that keeps what it has"
# They print tracebacks where nobody has set up logging; what went wrong is raised.
for _name in ("coredis", "streaq"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_SCHEMES = ("redis", "rediss", "unix")
# Lost, or not there yet: what another try may mend.
CONNECTION_ERRORS = (
    redis_errors.ConnectionError,
    redis_errors.BusyLoadingError,
    redis_errors.TryAgainError,
    redis_errors.ReadOnlyError,
    TimeoutError,
)


def check_redis_url(redis_url: object) -> str:
    """Give the address back.

    Raises:
        ConfigurationError: It is none. Its text is not shown, for it may hold a password.
    """
    if not isinstance(redis_url, str) or not _is_redis_url(redis_url):
        raise errors.ConfigurationError(
            "redis_url is no address of a Redis; next: give one such as redis://localhost:6379/0"
        )
    return redis_url


def _is_redis_url(redis_url: str) -> bool:
    try:
        parts = urlsplit(redis_url)
        Redis.from_url(redis_url)  # what stands behind a "?" is read by it alone
        at = parts.path if parts.scheme == "unix" else parts.hostname
        return parts.scheme in _SCHEMES and bool(at) and parts.port != 0
    except ValueError:
        return False


def server_address(redis_url: str) -> str:
    """PURE: name a Redis by its address without user and password."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return parts.path
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{host}:{parts.port or 6379}"


@asynccontextmanager
async def translate_redis_errors(redis_url: str) -> AsyncIterator[None]:
    """Make one plain error of what Redis, and the task groups around its connections, raise.

    Raises:
        ConfigurationError: Redis refuses the password, or the database.
        ClientStateError: It has forgotten the job.
        TransportError: Redis cannot be reached, or was lost.
    """
    try:
        yield
    except BaseException as error:
        first = first_error(error)
        if not isinstance(first, redis_errors.RedisError | TimeoutError | errors.MJError):
            raise
        # A connection that a cancellation has cut is no error.
        await checkpoint_if_cancelled()
        raise _translate(first, redis_url) from None


def first_error(error: BaseException) -> BaseException:
    """PURE: give the first error of a group, of groups in it, too; or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _translate(error: BaseException, redis_url: str) -> errors.MJError:
    if isinstance(error, errors.MJError):
        return error
    address = server_address(redis_url)
    if isinstance(error, redis_errors.StreamConsumerGroupError | redis_errors.UnblockedError):
        return errors.ClientStateError(f"Redis at {address} {JOB_LOST}")
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return errors.ConfigurationError(
            f"Redis at {address} refuses the user or the password: {error}; next: correct redis_url"
        )
    if isinstance(error, CONNECTION_ERRORS):
        # Of many commands that were lost at once, each tells of all others.
        message = str(error.__cause__ or error).rpartition("caused error: ")[2]
        return errors.TransportError(
            f"Redis at {address} cannot be reached: {message}; next: start it, or correct redis_url"
        )
    return errors.ConfigurationError(f"Redis at {address} cannot do what is needed: {error}")
