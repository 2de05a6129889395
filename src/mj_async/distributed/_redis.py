"""What the gate and the job both need of Redis: its address, and errors of mj_async for its own."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from anyio.lowlevel import checkpoint_if_cancelled
from coredis import Redis
from coredis import exceptions as redis_errors

from mj_async import errors

JOB_LOST = "has lost the job; next: submit it again, to a Redis that keeps its data"
# Both print tracebacks if the program has not set up logging. The errors are raised anyway.
for _name in ("coredis", "streaq"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_SCHEMES = ("redis", "rediss", "unix")
# The connection was lost, or Redis is not ready yet: another attempt may succeed.
CONNECTION_ERRORS = (
    redis_errors.ConnectionError,
    redis_errors.BusyLoadingError,
    redis_errors.TryAgainError,
    redis_errors.ReadOnlyError,
    TimeoutError,
)


def check_redis_url(redis_url: object) -> str:
    """Return the address.

    Raises:
        ConfigurationError: It is not the address of a Redis. The message does not show it, for it
            may hold a password.
    """
    if not isinstance(redis_url, str) or not _is_redis_url(redis_url):
        raise errors.ConfigurationError(
            "redis_url is not the address of a Redis; next: use one like redis://localhost:6379/0"
        )
    return redis_url


def _is_redis_url(redis_url: str) -> bool:
    try:
        parts = urlsplit(redis_url)
        Redis.from_url(redis_url)  # only coredis can check the options after a "?"
        location = parts.path if parts.scheme == "unix" else parts.hostname
        return parts.scheme in _SCHEMES and bool(location) and parts.port != 0
    except ValueError:
        return False


def server_address(redis_url: str) -> str:
    """Return where a Redis is, without user and password, for messages."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return parts.path
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{host}:{parts.port or 6379}"


@asynccontextmanager
async def translate_redis_errors(redis_url: str) -> AsyncIterator[None]:
    """Raise one error of mj_async for what Redis, and the task groups of its connections, raise.

    Raises:
        ConfigurationError: Redis refuses the password, the database or a command.
        ClientStateError: Redis has lost the job.
        TransportError: Redis cannot be reached, or the connection was lost.
    """
    try:
        yield
    except BaseException as error:
        first = first_error(error)
        if not isinstance(first, redis_errors.RedisError | TimeoutError | errors.MJError):
            raise
        # A cancellation that closes a connection looks like a lost connection.
        await checkpoint_if_cancelled()
        raise _translate(first, redis_url) from None


def first_error(error: BaseException) -> BaseException:
    """Return the first error in a group, also in groups inside it, or the error itself."""
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
        # If many commands fail at once, the message of each quotes all others.
        message = str(error.__cause__ or error).rpartition("caused error: ")[2]
        return errors.TransportError(
            f"Redis at {address} cannot be reached: {message}; next: start it, or correct redis_url"
        )
    return errors.ConfigurationError(f"Redis at {address} cannot do what is needed: {error}")
