"""How far a task has got: what is further, what is a change, what is still missing."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _fakes import task
from mj_async import Task
from mj_async._models import is_change, is_further, lacks_picture

# From the least far to the furthest; those in one group are as far as each other.
ORDER = [
    [("", None), ("PAUSED", None), ("", "0%")],
    [("", "90%"), ("FINISHED", "90%")],
    [("NOT_START", None), ("NOT_START", "0%")],
    [("SUBMITTED", None), ("MODAL", "0%")],
    [("SUBMITTED", "10%"), ("MODAL", "10%")],
    [("IN_PROGRESS", None), ("IN_PROGRESS", "waiting")],
    [("IN_PROGRESS", "9%")],
    [("IN_PROGRESS", "10%"), ("IN_PROGRESS", "10.5%")],
    [("FAILURE", None), ("CANCEL", "")],
    [("FAILURE", "100%"), ("CANCEL", "100%")],
    [("SUCCESS", "")],
    [("SUCCESS", "100%")],
]
STATES = st.builds(
    task,
    st.sampled_from(["", "NOT_START", "SUBMITTED", "IN_PROGRESS", "FAILURE", "SUCCESS", "?"]),
    st.sampled_from([None, "", "0%", "40%", "100%", "x"]),
)


@pytest.mark.parametrize(("less", "more"), list(pairwise(ORDER)), ids=str)
def test_status_counts_first_and_then_progress(
    less: list[tuple[str, str | None]], more: list[tuple[str, str | None]]
) -> None:
    """An end is further than any progress, a success further than any other end."""
    for one, other in product(less, more):
        assert is_further(task(*other), task(*one))
        assert not is_further(task(*one), task(*other))


@pytest.mark.parametrize("same", ORDER, ids=str)
def test_as_far_is_not_further(same: list[tuple[str, str | None]]) -> None:
    """A task that is as far as the other is not further."""
    for one, other in product(same, same):
        assert not is_further(task(*one), task(*other))


def test_any_task_is_further_than_none() -> None:
    """The first state of a task is always a change."""
    assert is_further(task(""), None)
    assert is_change(task(""), None)


@given(STATES, STATES, STATES)
def test_further_is_an_order(one: Task, other: Task, third: Task) -> None:
    """Of two tasks one at most is further on, and further than further is further."""
    assert not (is_further(one, other) and is_further(other, one))
    if is_further(one, other) and is_further(other, third):
        assert is_further(one, third)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (task(progress="10%"), task(progress="10%"), False),
        (task(progress="10%"), task(progress="10.7%"), False),
        (task(progress="10%"), task(progress="20%"), True),
        (task(progress="20%"), task(progress="10%"), True),
        (task("SUBMITTED", "10%"), task("IN_PROGRESS", "10%"), True),
        (task(progress=None), task(progress="0%"), True),
        (task(image_url="http://x/1?rand=1"), task(image_url="http://x/1?rand=2"), False),
        (task(prompt="a pig"), task(prompt="a dog"), False),
    ],
    ids=str,
)
def test_a_change_is_one_of_status_or_progress(one: Task, other: Task, expected: bool) -> None:  # noqa: FBT001
    """A step backwards is a change; previews and prompts are not."""
    assert expected == is_change(one, other)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (task("SUCCESS", image_url=None), True),
        (task("SUCCESS", image_url=""), True),
        (task("SUCCESS", image_url=None, action="IMAGINE"), True),
        (task("SUCCESS", image_url=None, action="UPSCALE"), True),
        (task("SUCCESS"), False),
        (task("SUCCESS", image_url=None, image_urls=("https://cdn/1",)), False),
        (task("SUCCESS", image_url=None, video_url="https://cdn/1.mp4"), False),
        (task("SUCCESS", image_url=None, video_urls=("https://cdn/1.mp4",)), False),
        (task("SUCCESS", image_url=None, action="DESCRIBE"), False),
        (task("SUCCESS", image_url=None, action="SHORTEN"), False),
        (task("SUCCESS", image_url=None, action="PIC_READER"), False),
        (task("FAILURE", image_url=None), False),
        (task("IN_PROGRESS", image_url=None), False),
    ],
    ids=str,
)
def test_only_a_success_may_lack_its_picture(one: Task, expected: bool) -> None:  # noqa: FBT001
    """Any picture or video will do, and texts need none."""
    assert expected == lacks_picture(one)
