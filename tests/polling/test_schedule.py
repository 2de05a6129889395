"""When to poll for a task, and which failed polls a wait tolerates."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from mj_async import Polling, errors
from mj_async._polling.schedule import Schedule
from mj_async._polling.watch import ErrorTolerance

STEADY = Polling(jitter=0)
EVEN = Polling(factor=1.0, jitter=0)
SUBMITTED = datetime(2026, 1, 1, tzinfo=UTC)


def planned(schedule: Schedule, *asked_at: float) -> list[float]:
    """Plan after each poll, and give when the next one was due."""
    found = []
    for instant in asked_at:
        schedule.set_next(instant)
        found.append(schedule.due)
    return found


@pytest.mark.parametrize(
    ("polling", "expected"),
    [
        (STEADY, [3.0, 6.9, 11.97, 18.561, 27.1293, 37.1293, 47.1293]),
        (EVEN, [3.0, 6.0, 9.0, 12.0]),
        (Polling(interval=4.0, factor=2.0, max_interval=10.0, jitter=0), [4, 12, 22, 32]),
        (Polling(interval=30.0, jitter=0), [30, 60, 90]),
    ],
    ids=["default", "even", "doubling", "above max_interval"],
)
def test_intervals_grow_from_start_to_start(polling: Polling, expected: list[float]) -> None:
    """Each is longer by `factor`, up to `max_interval`, which shortens no `interval`."""
    schedule = Schedule(polling=polling)
    found = []
    for _ in expected:
        schedule.set_next(schedule.due)
        found.append(schedule.due)

    assert pytest.approx(expected) == found


@pytest.mark.parametrize(
    ("slack", "asked_at", "expected"),
    [
        (0.0, [0.0, 3.2], [3.0, 6.2]),
        (4.5, [0.0, 3.2], [3.0, 6.0]),
        (4.5, [0.0, 1.5], [3.0, 6.0]),
        (4.5, [0.0, 7.5], [3.0, 6.0]),
        (4.5, [0.0, 7.6], [3.0, 10.6]),
        (4.5, [0.0, 3.2, 5.9, 9.3], [3.0, 6.0, 9.0, 12.0]),
    ],
    ids=["alone", "late", "early", "a tick late", "too late", "never adding up"],
)
def test_within_the_slack_a_poll_is_on_time(
    slack: float, asked_at: list[float], expected: list[float]
) -> None:
    """Where many are asked together, being asked a bit off one's time moves no later time."""
    schedule = Schedule(polling=EVEN, slack=slack)

    assert pytest.approx(expected) == planned(schedule, *asked_at)


@pytest.mark.parametrize(("slack", "spread"), [(0.0, 0.15), (4.5, 0.0)])
def test_jitter_is_the_ticks_where_there_are_some(slack: float, spread: float) -> None:
    """Alone, an interval is shorter or longer by the jitter; together, the ticks are."""
    polling = Polling(interval=10.0, factor=1.0, jitter=0.15)
    gaps = []
    for _ in range(500):
        schedule = Schedule(polling=polling, slack=slack)
        gaps += planned(schedule, 0.0)

    assert min(gaps) == pytest.approx(10.0 * (1 - spread), abs=0.2)
    assert max(gaps) == pytest.approx(10.0 * (1 + spread), abs=0.2)


# --- error tolerance ------------------------------------------------------------------------------

MISSING = errors.TaskNotFoundError(status_code=400)
RESET = errors.TransportError("reset")
LIMITED = errors.RateLimitError(status_code=429)


def make_tolerance(*, known_good: bool = True, **options: Any) -> ErrorTolerance:
    """Return an error tolerance."""
    return ErrorTolerance(polling=Polling(jitter=0, **options), had_good_answer=lambda: known_good)


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (RESET, True, True),
        (errors.RequestTimeoutError("slow"), True, True),
        (LIMITED, True, True),
        (errors.ServerError(status_code=502), True, True),
        (errors.ServerError(description="an empty list"), True, True),
        (errors.UnexpectedAnswerError("json"), True, True),
        (errors.UnexpectedAnswerError("cut short"), True, True),
        (errors.UnexpectedAnswerError("other task"), True, True),
        (errors.UnexpectedAnswerError("html"), False, True),
        (errors.UnexpectedAnswerError("redirect"), False, True),
        (errors.UnsupportedError(status_code=404), False, True),
        (errors.APIError(status_code=400), False, True),
        (errors.UnexpectedAnswerError("too large"), False, False),
        (errors.AuthenticationError(status_code=401), False, False),
        (errors.PermissionDeniedError(status_code=403), False, False),
        (errors.ServerError(status_code=401), False, False),
        (errors.TransportError("certificate", temporary=False), False, False),
        (errors.ClientStateError("closed"), False, False),
    ],
    ids=lambda value: f"{type(value).__name__} {value}" if isinstance(value, Exception) else "",
)
def test_what_may_pass_is_absorbed(error: errors.MJError, before: bool, after: bool) -> None:  # noqa: FBT001
    """Some only after the first good answer: before it they come from a wrong base_url."""
    assert before == make_tolerance(known_good=False).tolerates(error, 0.0, 0.0)
    assert after == make_tolerance(known_good=True).tolerates(error, 0.0, 0.0)


def test_so_many_in_a_row_are_too_many() -> None:
    """The last of `max_consecutive_errors` ends the wait; 429s do not count, a task resets."""
    tolerance = make_tolerance(max_consecutive_errors=3)

    absorbed = [tolerance.tolerates(error, 0.0, 0.0) for error in (RESET, LIMITED, RESET, LIMITED)]
    tolerance.on_task()
    absorbed += [tolerance.tolerates(RESET, 0.0, 0.0) for _ in range(3)]

    assert [True] * 6 + [False] == absorbed


@pytest.mark.parametrize(
    ("grace", "instants", "expected"),
    [
        (10.0, [5, 8, 14.9, 15], [True, True, True, False]),
        (0.0, [5], [False]),
        (10.0, [5, 100], [True, False]),
    ],
)
def test_an_unknown_id_has_a_grace(
    grace: float, instants: list[float], expected: list[bool]
) -> None:
    """It counts from the first poll that did not find it."""
    tolerance = make_tolerance(missing_grace=grace)

    assert expected == [tolerance.tolerates(MISSING, instant, instant) for instant in instants]
    assert tolerance.last_error is MISSING


def test_a_missing_id_is_no_failure_of_the_gateway() -> None:
    """It resets the failures, and a task that was seen resets its grace."""
    tolerance = make_tolerance(max_consecutive_errors=2)

    assert tolerance.tolerates(RESET, 0.0, 0.0)
    assert tolerance.tolerates(MISSING, 1.0, 1.0)
    assert tolerance.tolerates(RESET, 2.0, 2.0)
    tolerance.on_task()
    assert (0, None, math.inf) == (
        tolerance.failures,
        tolerance.last_error,
        tolerance.missing_grace_ends_at,
    )
