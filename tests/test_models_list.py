"""Task lists: sequences of tasks that know their ids."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import pytest

from mj_async import Task, TaskList

ONE, TWO, THREE = Task("1"), Task("2", status="SUCCESS"), Task("3")
TASKS = TaskList([ONE, TWO, THREE], missing=["4", "5"])


def test_a_list_is_a_sequence() -> None:
    """Order, length, iteration, search and reversal are those of a sequence."""
    assert isinstance(TASKS, Sequence)
    assert 3 == len(TASKS)
    assert [ONE, TWO, THREE] == list(TASKS)
    assert [THREE, TWO, ONE] == list(reversed(TASKS))
    assert (1, 1, 0) == (TASKS.index(TWO), TASKS.count(TWO), TASKS.count(Task("9")))
    assert ("4", "5") == TASKS.missing


def test_places_and_slices() -> None:
    """Numbers return tasks, slices return tuples of them."""
    assert (ONE, THREE, TWO) == (TASKS[0], TASKS[-1], TASKS[1])
    assert (TWO, THREE) == TASKS[1:]
    assert (THREE, TWO, ONE) == TASKS[::-1]
    assert () == TASKS[9:]
    with pytest.raises(IndexError):
        TASKS[3]


def test_ids() -> None:
    """Ids return tasks; a missing id is a KeyError that names it."""
    assert TWO is TASKS["2"]
    with pytest.raises(KeyError, match="4"):
        TASKS["4"]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("1", True),
        ("4", False),
        ("", False),
        (TWO, True),
        (Task("2"), False),
        (Task("9"), False),
        (1, False),
        (None, False),
    ],
    ids=repr,
)
def test_what_is_in_a_list(item: object, expected: bool) -> None:  # noqa: FBT001
    """Ids and tasks are found, missing ids are not."""
    assert expected == (item in TASKS)


def test_equal_lists() -> None:
    """Lists are equal if tasks, order and missing ids are; then their hashes are equal, too."""
    same = TaskList((Task("1"), TWO, Task("3")), ("4", "5"))

    assert same == TASKS
    assert hash(same) == hash(TASKS)
    assert TaskList([TWO, ONE, THREE], ["4", "5"]) != TASKS
    assert TaskList([ONE, TWO, THREE]) != TASKS
    assert [ONE, TWO, THREE] != TASKS


def test_an_empty_list() -> None:
    """Without tasks a list is empty, and false."""
    empty = TaskList()

    assert [] == list(empty)
    assert () == empty.missing
    assert not empty


def test_a_list_travels() -> None:
    """Lists can be pickled and copied, and find their ids afterwards."""
    for other in (pickle.loads(pickle.dumps(TASKS)), copy.copy(TASKS), copy.deepcopy(TASKS)):  # noqa: S301
        assert TASKS == other
        assert TWO == other["2"]


def test_the_repr_of_a_list() -> None:
    """The repr counts and does not list."""
    assert "<TaskList(tasks=3, missing=2)>" == repr(TASKS)
