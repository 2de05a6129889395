"""What a client has done so far, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ._config import Dialect

if TYPE_CHECKING:
    from ._protocol.requests import Ask


@attrs.frozen(kw_only=True)
class Statistics:
    """What a client has done so far, as `AsyncMJClient.statistics()` gives it.

    The numbers only grow, but for `lanes`; take two and subtract to know of a time in between.

    Args:
        requests: HTTP requests sent, each counted as it begins: also one that was cut off or
            never answered, and each of those that found out how the gateway takes the key. What
            a lane sends anew because the server had just closed the connection counts once.
        retries: How often a call was tried again after a failure, by `RetryPolicy`. Finding out
            is no retry, and neither are polls, nor what `image_seeds` asks again.
        polls: How often waits asked: for one task, or for as many in one list as a `TaskPoller`
            or `wait_for_tasks` had due.
        batches: Those of the requests that asked for several tasks at once.
        lanes: Connections that are open now, idle ones included; 0 with an `http_client` of the
            caller's, whose connections are its own.
        dialect: The client's, with what was found out in place of "auto"; what is not yet known
            stays "auto".
    """

    requests: int
    retries: int
    polls: int
    batches: int
    lanes: int
    dialect: Dialect


@attrs.define(kw_only=True, eq=False)
class Attempt:
    """One try of a call, or one poll; it may take several requests, or none.

    Args:
        number: Which try of its call it is, from 1.
        is_poll: Whether a wait asks.
    """

    number: int = 1
    is_poll: bool = False
    _has_sent: bool = attrs.field(default=False, init=False)

    def begin_request(self) -> bool:
        """Tell whether the request that now begins is its first."""
        is_first = not self._has_sent
        self._has_sent = True
        return is_first


@attrs.define(eq=False)
class Counts:
    """The numbers that grow. One event loop counts, so that plain ones are exact."""

    requests: int = 0
    retries: int = 0
    polls: int = 0
    batches: int = 0

    def add(self, ask: Ask, attempt: Attempt) -> None:
        """Count a request that begins."""
        self.requests += 1
        self.batches += ask.task_id is None
        if attempt.begin_request():
            self.retries += attempt.number > 1
            self.polls += attempt.is_poll
