"""What is worth another try, and how long to wait before it."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mj_async import RetryPolicy, errors
from mj_async._http.retry import (
    delay_before_retry,
    is_temporary,
    read_retry_after,
    with_jitter,
)

NOW = 1_730_621_826.0
DEAD_ROUTE = errors.UnexpectedAnswerError("html", status_code=200)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.TransportError("reset"), True),
        (errors.RequestTimeoutError("slow"), True),
        (errors.TransportError("bad certificate", temporary=False), False),
        (errors.ServerError(status_code=500), True),
        (errors.ServerError(status_code=502), True),
        (errors.ServerError(status_code=408), True),
        (errors.ServerError(description="an empty list that lies"), True),
        (errors.ServerError(status_code=401, code=5), False),
        (errors.RateLimitError(status_code=429), True),
        (errors.AuthenticationError(status_code=401), False),
        (errors.PermissionDeniedError(status_code=403), False),
        (errors.TaskNotFoundError(status_code=400), False),
        (errors.UnsupportedError(status_code=404), False),
        (errors.APIError(status_code=400), False),
        (errors.UnexpectedAnswerError("json"), True),
        (errors.UnexpectedAnswerError("cut short"), True),
        (DEAD_ROUTE, False),
        (errors.UnexpectedAnswerError("redirect"), False),
        (errors.UnexpectedAnswerError("too large"), False),
        (errors.UnexpectedAnswerError("other task"), False),
        (errors.SeedUnavailableError(task_id="1", code=5), True),
        (errors.SeedUnavailableError(task_id="1", code=3), False),
        (errors.ConfigurationError("bad id"), False),
        (errors.ClientStateError("closed"), False),
    ],
    ids=str,
)
def test_what_is_worth_another_try(error: errors.MJError, expected: bool) -> None:  # noqa: FBT001
    """Only what may fare better the second time is tried again."""
    assert expected == is_temporary(error)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (9, 8.0)])
def test_delays_double_up_to_a_limit(attempt: int, longest: float) -> None:
    """The delay is drawn evenly from 0 to a bound that doubles up to max_delay."""
    policy = RetryPolicy(attempts=20)
    error = errors.TransportError("reset")

    delays = [delay_before_retry(policy, error, attempt) or 0.0 for _ in range(500)]

    assert 0.0 <= min(delays) < 0.2 * longest
    assert 0.8 * longest < max(delays) <= longest


def test_the_attempts_come_to_an_end() -> None:
    """After the last attempt nothing is tried again."""
    error = errors.TransportError("reset")

    assert delay_before_retry(RetryPolicy(attempts=3), error, 2) is not None
    assert delay_before_retry(RetryPolicy(attempts=3), error, 3) is None
    assert delay_before_retry(RetryPolicy(attempts=10_000), error, 9_000) is not None


def test_retry_after_wins() -> None:
    """A Retry-After is waited for, up to a tenth longer; one that is too long is not.

    After a 429 the gate waits instead, for all calls of the client.
    """
    policy = RetryPolicy()
    limited = delay_before_retry(policy, errors.RateLimitError(retry_after=30.0), 1)
    delay = delay_before_retry(policy, errors.ServerError(status_code=503, retry_after=30.0), 1)
    unavailable = delay_before_retry(policy, errors.ServerError(status_code=503, retry_after=9), 1)

    assert 0.0 == limited
    assert delay is not None
    assert 30.0 <= delay <= 33.0
    assert unavailable is not None
    assert unavailable >= 9.0
    assert delay_before_retry(policy, errors.RateLimitError(retry_after=121.0), 1) is None


def test_a_time_out_leaves_the_gateway_its_time() -> None:
    """After a time-out a seed is asked again no sooner than the pause; other faults sooner."""
    slow: list[errors.MJError] = [
        errors.RequestTimeoutError("ours"),
        errors.SeedUnavailableError(task_id="1", code=5),
    ]
    slow += [errors.ServerError(status_code=status) for status in (408, 504, 524)]
    reset = delay_before_retry(RetryPolicy(), errors.TransportError("reset"), 1, is_seed=True)

    assert all(delay_before_retry(RetryPolicy(), error, 1, is_seed=True) == 20.0 for error in slow)
    assert reset is not None
    assert reset <= 0.5


def test_a_moment_is_stretched_by_a_tenth_at_most() -> None:
    """Not everybody comes back at the same moment."""
    times = {with_jitter(10.0) for _ in range(100)}

    assert all(10.0 <= time <= 11.0 for time in times)
    assert len(times) > 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("999999999", 999999999.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("Sun, 03 Nov 2024 08:18:06 -0000", 60.0),
        ("Sun, 03 Nov 2024 09:18:06 +0100", 60.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251_671_678_973.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("NaN", None),
        ("inf", None),
        ("1e9", None),
        ("٣", None),
        ("1, 2", None),
        ("9" * 10_000_000, None),
        ("Sun, 99 Nov 2024 08:18:06 GMT", None),
        ("Sun, 03 Nov 2024 08:18:06 +9999999999999999", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_retry_after_in_both_forms(value: str, expected: float | None) -> None:
    """Seconds and dates are read; what is malformed makes no sleep."""
    assert expected == read_retry_after({"retry-after": value}, NOW)


def test_a_date_is_compared_with_the_clock_that_wrote_it() -> None:
    """Our clock does not matter where the answer has a Date."""
    headers = {
        "retry-after": formatdate(NOW + 30, usegmt=True),
        "date": formatdate(NOW, usegmt=True),
    }

    assert 30.0 == read_retry_after(headers, NOW + 86_400)


@given(st.text(max_size=80))
def test_no_retry_after_raises(value: str) -> None:
    """Whatever stands in the header, it is a time to wait or nothing."""
    seconds = read_retry_after({"retry-after": value, "date": value}, NOW)

    assert seconds is None or seconds >= 0.0
