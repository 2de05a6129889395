"""What a client has done: counters for `statistics()`, and lines for the logger `mj_async`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from .. import errors
from .._config import Dialect
from .._protocol.response import printable

if TYPE_CHECKING:
    from .._credentials import Secret


@attrs.frozen(kw_only=True)
class Statistics:
    """What a client has done so far, as `AsyncMJClient.statistics()` gives it.

    The numbers only grow, except `connections`. Subtract two of them for a time in between.

    Args:
        requests: HTTP requests sent, each counted as it begins: also one that was cut off or
            never answered, and each of those that found out how the gateway takes the key. What
            the pool sends again because the server had just closed the connection counts once.
        retries: How often a call was tried again after a failure, by `RetryPolicy`. Finding out
            is no retry, and neither are polls, nor what `image_seeds` asks again.
        polls: How often waits asked: for one task, or for as many in one list as a `TaskPoller`
            or `wait_for_tasks` had due.
        batches: Those of the requests that asked for several tasks at once.
        connections: Connections that are open now, idle ones included; 0 with an `http_client` of
            the caller's, whose connections are its own.
        dialect: The client's, with what was found out in place of "auto"; what is not yet known
            stays "auto".
    """

    requests: int
    retries: int
    polls: int
    batches: int
    connections: int
    dialect: Dialect


@attrs.define(eq=False)
class Counts:
    """The numbers that only grow, counted in one event loop."""

    requests: int = 0
    retries: int = 0
    polls: int = 0
    batches: int = 0


# Without a handler or a level, which are the application's to choose. Its lines are below WARNING,
# so that nothing is printed where the application has chosen none.
logger = logging.getLogger("mj_async")


def log_request(name: str, outcome: str, seconds: float, attempt: int, key: Secret) -> None:
    """Write one line about a request that has ended, without the key, which it may quote."""
    line = outcome if outcome.startswith(name) else f"{name}: {outcome}"
    logger.debug("%s, in %.0f ms, attempt %d", printable(line, key), 1000 * seconds, attempt)


def log_retry(name: str, error: errors.MJError, delay: float, attempt: str, key: Secret) -> None:
    """Write one line about a request that will be sent again."""
    is_held = isinstance(error, errors.RateLimitError)  # by the gate, for as long as it says
    when = "once the gate opens" if is_held else f"in {delay:.1f} s"
    line = f"{name}: attempt {attempt} failed, again {when}: {error}"
    logger.info("%s", printable(line, key))


def outcome_of(error: Exception) -> str:
    """Return the text of our error, and only the name of any other: it may quote the request."""
    return str(error) if isinstance(error, errors.MJError) else type(error).__name__
