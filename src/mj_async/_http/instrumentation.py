"""What a client has done so far, in numbers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

import attrs

from .. import errors
from .._config import Dialect
from .._protocol.response import printable

if TYPE_CHECKING:
    from .._clock import Clock
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
    """The numbers that grow. One event loop counts, so that plain ones are exact."""

    requests: int = 0
    retries: int = 0
    polls: int = 0
    batches: int = 0


# Without a handler or a level, which are the application's to choose. What is told is below
# WARNING, so that nothing is printed where it has chosen none.
_logger = logging.getLogger("mj_async")


@attrs.frozen
class Log:
    """Tells of requests and retries, without the key and without control characters.

    Args:
        key: What must not be told; somebody may have taken it for an id.
        clock: The client's time.
    """

    _key: Secret
    _clock: Clock

    @property
    def wants_requests(self) -> bool:
        """Whether somebody listens to each request."""
        return _logger.isEnabledFor(logging.DEBUG)

    def request(self, name: str, number: int) -> RequestLine:
        """Tell of a request as it ends: `with` it.

        Args:
            name: The request.
            number: Which try of its call it is a part of.
        """
        return RequestLine(name, number, self._key, self._clock)

    def retry(
        self, name: str, number: int, attempts: int, delay: float, error: errors.MJError
    ) -> None:
        """Tell that a call is tried again.

        Args:
            name: The call.
            number: Of the try that failed.
            attempts: How many there may be.
            delay: Seconds until the next.
            error: What the try ended with.
        """
        if not _logger.isEnabledFor(logging.INFO):
            return
        is_held = isinstance(error, errors.RateLimitError)  # by the gate, for as long as it says
        when = "once the gate opens" if is_held else f"in {delay:.1f} s"
        text = printable(f"attempt {number} of {attempts} failed, again {when}: {error}", self._key)
        _logger.info("%s: %s", printable(name, self._key), text)


@attrs.define(eq=False)
class RequestLine:
    """One line of one request, however it ends.

    Attributes:
        status: The HTTP status, once there is one.
    """

    _name: str
    _number: int
    _key: Secret
    _clock: Clock
    status: int | None = attrs.field(default=None, init=False)
    _began: float = attrs.field(default=0.0, init=False)

    def __enter__(self) -> Self:
        self._began = self._clock.now()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        milliseconds = 1000 * (self._clock.now() - self._began)
        text = printable(self._told(error), self._key)
        _logger.debug("%s, in %.0f ms, attempt %d", text, milliseconds, self._number)

    def _told(self, error: BaseException | None) -> str:
        if error is None:
            return f"{self._name}: {self.status}"
        if isinstance(error, errors.TransportError):
            return str(error)  # it begins with the name
        if isinstance(error, errors.MJError):
            return f"{self._name}: {error}"
        # A fault in a hook of the caller's may quote the request.
        fault = type(error).__name__ if isinstance(error, Exception) else "cut off"
        return f"{self._name}: {fault}"
