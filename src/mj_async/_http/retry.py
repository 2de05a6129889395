"""What is worth another try, how long to wait before it, and the budget of retries."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .. import errors
from .._config import RetryPolicy

# The gateway's first request goes on behind its time-out and its result is kept, so a second
# one that comes too soon only waits beside it (gateways page, "The image's seed").
SEED_PAUSE = 20.0
_GATEWAY_TIMEOUT = "5"

_TEMPORARY_STATUSES = frozenset({408, 425})
_TIMEOUT_STATUSES = frozenset({408, 504, 524})
_TEMPORARY_REASONS = frozenset({"json", "cut short"})
_GIVEN_BACK = 0.2
_SECONDS = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)


def is_temporary(error: errors.MJError) -> bool:
    """Return True if the same request may fare better when it is sent again."""
    match error:
        case errors.TransportError():
            return error.temporary
        case errors.RateLimitError():
            return True
        case errors.ServerError():
            # A relayed refusal is not temporary; a list that should not be empty has no status.
            status = error.status_code
            return status is None or status >= 500 or status in _TEMPORARY_STATUSES
        case errors.UnexpectedAnswerError():
            return error.reason in _TEMPORARY_REASONS
        case errors.SeedUnavailableError():
            return str(error.code) == _GATEWAY_TIMEOUT
    return False


def is_timeout(error: errors.MJError) -> bool:
    """Return True for a time-out: ours, the gateway's (code 5) or that of a proxy before it."""
    if isinstance(error, errors.SeedUnavailableError):
        return str(error.code) == _GATEWAY_TIMEOUT
    ours = isinstance(error, errors.RequestTimeoutError)
    return ours or getattr(error, "status_code", None) in _TIMEOUT_STATUSES


def delay_before_retry(
    policy: RetryPolicy, error: errors.MJError, attempt: int, *, is_seed: bool = False
) -> float | None:
    """Return the seconds before the next attempt, or None if there is to be none.

    Args:
        policy: The client's.
        error: The error of the last attempt.
        attempt: The number of the last attempt, from 1.
        is_seed: True to leave the gateway `SEED_PAUSE` after a time-out.
    """
    if attempt >= policy.attempts or not is_temporary(error):
        return None
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None and retry_after > policy.max_retry_after:
        return None
    if isinstance(error, errors.RateLimitError):
        return 0.0  # the gate holds back this call and all others
    if retry_after is not None:
        return with_jitter(retry_after)
    longest = min(policy.max_delay, policy.first_delay * 2.0 ** min(attempt - 1, 64))
    delay = random.uniform(0.0, longest)
    return max(delay, SEED_PAUSE) if is_seed and is_timeout(error) else delay


def with_jitter(retry_after: float) -> float:
    """Lengthen a time by up to a tenth, so that the requests do not come back all at once."""
    return retry_after * random.uniform(1.0, 1.1)


def read_retry_after(headers: Mapping[str, str], wall_time: float) -> float | None:
    """Return the seconds of `Retry-After`, which may be a date (RFC 9110, section 10.2.3).

    Return None if there is none, or it is malformed. A date is compared with the answer's own
    `Date`, which is the clock that wrote it, or with our time of day in Unix seconds.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    until = _read_date(value)
    if until is None:
        return None
    now = _read_date(headers.get("date", "")) or datetime.fromtimestamp(wall_time, UTC)
    return max(0.0, (until - now).total_seconds())


def _read_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value[:64])
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


class RetryBudget:
    """The retries that a client has left: a dead gateway costs one request a call, not three."""

    def __init__(self, tokens: float) -> None:
        self._most = tokens
        self._left = float(tokens)

    def withdraw(self) -> bool:
        """Pay for a retry; return False if nothing is left for one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def deposit(self) -> None:
        """Pay a fifth of a retry in, for a success."""
        self._left = min(self._most, self._left + _GIVEN_BACK)
