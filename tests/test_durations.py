"""How long tasks take, as a client has seen it, and when to ask next by that. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _fakes import task
from mj_async import Task
from mj_async._durations import _LATENESS, Durations, best_gap

START = datetime(2026, 1, 1, tzinfo=UTC)
START_AT = START.timestamp()


def ended(number: int, seconds: float, status: str = "SUCCESS", **fields: Any) -> Task:
    """Make a task that took so long."""
    submit_time = fields.pop("submit_time", START)
    finish_time = fields.pop("finish_time", START + timedelta(seconds=seconds))
    times = {"submit_time": submit_time, "finish_time": finish_time}
    return task(status, id=f"{number}", **times, **fields)


def having_seen(*seconds: float, late: float = 0.0, **fields: Any) -> Durations:
    """Have seen tasks that took so long, each so long after its finish by our clock."""
    durations = Durations()
    for number, each in enumerate(seconds):
        durations.record(ended(number, each, **fields), START_AT + each + late)
    return durations


def gap_at(durations: Durations, age: float, **fields: Any) -> float | None:
    """Ask about a task of that age."""
    return durations.next_gap(task(submit_time=START, **fields), START_AT + age)


def lateness(gap: float, remaining: list[float]) -> float:
    """Say how long a finish within the gap goes unseen, on average over all tasks."""
    return sum(seconds <= gap for seconds in remaining) / len(remaining) * gap / 2.0


# --- the rule -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        ([10.0], 10.0),
        ([0.1], 2 * _LATENESS),
        ([5.0, 5.0, 5.0, 5.0], 5.0),
        ([1.0, 100.0, 100.0, 100.0], 8 * _LATENESS),
        ([0.0] * 10, 2 * _LATENESS),
        ([50.0, 60.0, 70.0], 50.0),
        ([1.0] * 5 + [1000.0] * 5, 4 * _LATENESS),
    ],
    ids=str,
)
def test_the_best_gap(remaining: list[float], expected: float) -> None:
    """Nobody ends in it: up to the first end; else as long as the mean lateness allows."""
    assert expected == pytest.approx(best_gap(remaining))


REMAINING = st.lists(st.floats(0.0, 500.0), min_size=1, max_size=120).map(sorted)


@given(REMAINING)
def test_the_best_gap_is_the_shortest_that_is_late_enough(remaining: list[float]) -> None:
    """At its end the mean lateness is reached, and a moment before it is not."""
    gap = best_gap(remaining)

    assert math.isfinite(gap)
    assert lateness(gap, remaining) >= _LATENESS * (1 - 1e-9)
    assert lateness(gap * (1 - 1e-6), remaining) <= _LATENESS


# --- what counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "age", "expected"),
    [
        ([60.0] * 10, 0.0, 60.0),
        ([60.0] * 10, 50.0, 10.0),
        ([60.0] * 10, 59.9, 2 * _LATENESS),
        ([60.0] * 9, 0.0, None),
        ([60.0] * 10, 60.0, None),
        ([60.0] * 7 + [90.0] * 3, 70.0, 20.0),
        ([60.0] * 8 + [90.0] * 2, 70.0, None),
    ],
    ids=["young", "old", "nearly there", "few known", "outlasts all", "three left", "two left"],
)
def test_a_gap_follows_those_that_took_longer(
    seen: list[float], age: float, expected: float | None
) -> None:
    """Ten of an action must be known, and three of them must have taken longer than that."""
    gap = gap_at(having_seen(*seen), age)

    assert gap == (None if expected is None else pytest.approx(expected))


def test_actions_are_kept_apart() -> None:
    """An upscale says nothing about an imagine; an absent action is one, too."""
    durations = having_seen(*[60.0] * 10, action="IMAGINE")
    for number in range(10):
        durations.record(ended(100 + number, 5.0, action="UPSCALE"), START_AT + 5.0)

    assert 60.0 == gap_at(durations, 0.0, action="IMAGINE")
    assert 5.0 == gap_at(durations, 0.0, action="UPSCALE")
    assert gap_at(durations, 0.0, action="VIDEO") is None
    assert gap_at(durations, 0.0) is None
    assert 7.0 == gap_at(having_seen(*[7.0] * 10), 0.0)


@pytest.mark.parametrize(
    "other",
    [
        ended(1, 60.0, "FAILURE"),
        ended(1, 60.0, "CANCEL"),
        ended(1, 60.0, "IN_PROGRESS"),
        ended(1, 60.0, submit_time=None),
        ended(1, 60.0, finish_time=None),
        ended(1, -1.0),
    ],
    ids=["FAILURE", "CANCEL", "working", "no submission", "no finish", "ended before it began"],
)
def test_only_a_success_with_its_times_counts(other: Task) -> None:
    """What has failed, or does not say when it began and ended, is no example."""
    durations = having_seen(*[60.0] * 9)
    durations.record(attrs_with_id(other, "other"), START_AT + 60.0)

    assert gap_at(durations, 0.0) is None


def attrs_with_id(one: Task, task_id: str) -> Task:
    """Give the task another id."""
    return task(one.status, id=task_id, submit_time=one.submit_time, finish_time=one.finish_time)


def test_a_task_counts_once() -> None:
    """Two waits on one id, or a second look at it, are one example."""
    durations = Durations()
    for _ in range(20):
        durations.record(ended(1, 60.0), START_AT + 60.0)

    assert gap_at(durations, 0.0) is None


@pytest.mark.parametrize("unknown", [None, task()], ids=["never seen", "no submission"])
def test_without_an_age_nothing_is_said(unknown: Task | None) -> None:
    """A task that was never seen, or does not say when it was submitted, has no age."""
    assert having_seen(*[60.0] * 10).next_gap(unknown, START_AT) is None


@pytest.mark.parametrize("skew", [-4000.0, -30.0, 0.0, 30.0, 4000.0])
def test_the_difference_of_clocks_cancels_out(skew: float) -> None:
    """Ours may be ahead of the gateway's, or behind it: the ages are the same."""
    durations = Durations()
    for number in range(10):
        late = 0.0 if number == 5 else 2.5  # one of them was seen at once
        durations.record(ended(number, 60.0), START_AT + 60.0 + late + skew)

    young = durations.next_gap(task(submit_time=START), START_AT + 20.0 + skew)
    assert 40.0 == pytest.approx(young)


@pytest.mark.parametrize("off", [-86_401.0, 86_401.0])
def test_a_clock_that_is_days_off_is_no_clock(off: float) -> None:
    """A task that is looked at days after its end, or before it, tells nothing about clocks."""
    durations = having_seen(*[60.0] * 10)
    durations.record(ended(100, 60.0), START_AT + 60.0 + off)

    assert 60.0 == gap_at(durations, 0.0)


# --- memory ---------------------------------------------------------------------------------------


def test_the_last_hundred_of_an_action_count() -> None:
    """Gateways become faster and slower: what is old is forgotten, and memory stays flat."""
    durations = having_seen(*[60.0] * 50, *[20.0] * 99)
    assert 20.0 == gap_at(durations, 0.0)

    durations.record(ended(500, 20.0), START_AT + 20.0)
    assert {20.0} == set(durations._seconds[None].values())
    assert (100, 100) == (len(durations._seconds[None]), len(durations._lags))


def test_so_many_actions_are_kept() -> None:
    """A gateway may send any word as an action; those that were seen last are known."""
    durations = Durations()
    for number in range(40):
        for each in range(10):
            seen = ended(100 * number + each, 60.0, action=f"{number}")
            durations.record(seen, START_AT + 60.0)
        durations.record(ended(number, 60.0, action="often"), START_AT + 60.0)

    assert 32 == len(durations._seconds)
    assert 60.0 == gap_at(durations, 0.0, action="39")
    assert 60.0 == gap_at(durations, 0.0, action="often")
    assert gap_at(durations, 0.0, action="0") is None
