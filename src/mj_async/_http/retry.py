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

_TIMEOUT_STATUSES = frozenset({408, 504, 524})
_TEMPORARY_REASONS = frozenset({"json", "cut short"})
_GIVEN_BACK = 0.2
_SECONDS = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)


def is_temporary(error: errors.MJError) -> bool:
    """Whether the same request may fare better if it is sent again."""
    match error:
        case errors.TransportError():
            return error.temporary
        case errors.RateLimitError():
            return True
        case errors.ServerError():
            return _is_temporary_status(error.status_code)
        case errors.UnexpectedAnswerError():
            return error.reason in _TEMPORARY_REASONS
        case errors.SeedUnavailableError():
            return str(error.code) == _GATEWAY_TIMEOUT
    return False


def _is_temporary_status(status: int | None) -> bool:
    """Whether it is no relayed refusal; None stands for a list that is empty and should not be."""
    return status is None or status >= 500 or status in (408, 425)


def is_timeout(error: errors.MJError) -> bool:
    """Whether it was a time-out: ours, the gateway's (code 5) or that of a proxy before it."""
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
        error: The last attempt's.
        attempt: Its number, from 1.
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
    """Lengthen by up to a tenth, so that not everybody comes back at once."""
    return retry_after * random.uniform(1.0, 1.1)


def read_retry_after(headers: Mapping[str, str], wall_time: float) -> float | None:
    """Read `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).

    A date is compared with the answer's own `Date`, which is the clock it was written by.

    Args:
        headers: The answer's.
        wall_time: Our time of day in Unix seconds, for where there is no `Date`.

    Returns:
        Seconds from now, 0 for what is past, or None where there is none or it is malformed.
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
    """Retries that a client has left, so that a dead gateway is not asked thrice by everybody.

    Args:
        tokens: What it begins with, and its maximum.
    """

    def __init__(self, tokens: float) -> None:
        self._most = tokens
        self._left = float(tokens)

    def withdraw(self) -> bool:
        """Take one for a retry; False where there is none."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def deposit(self) -> None:
        """Give a fifth back for a success."""
        self._left = min(self._most, self._left + _GIVEN_BACK)
