"""What a user gives a bulk call: checked, and each id once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from mj_async import Task, errors
from mj_async._seeds.source import IdSource, RecentIds

pytestmark = pytest.mark.anyio


def test_only_the_last_hundred_thousand_are_remembered() -> None:
    """Behind them an id is new again, so that memory stays flat."""
    recent = RecentIds()
    new = [recent.add(f"{number}") for number in range(100_001)]

    assert all(new)
    assert [False, True, True] == [recent.add(one) for one in ("1", "0", "1")]


def plain() -> Iterator[str]:
    """Give ids, one of them twice."""
    yield from ("1", "2", "1", "3")


async def asynchronous() -> AsyncIterator[str]:
    """Give the same asynchronously."""
    for task_id in plain():
        yield task_id


class Both:
    """An input that can be iterated in both ways."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("it is to be iterated asynchronously")

    def __aiter__(self) -> AsyncIterator[str]:
        return asynchronous()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: ["1", "2", "1", "3"], [["1", "2"], ["3"]]),
        (plain, [["1", "2"], ["3"]]),
        (lambda: {"1": 0, "2": 0, "3": 0}, [["1", "2", "3"], []]),
        (Both, [["1"], ["2"], [], ["3"], []]),
    ],
    ids=["list", "generator", "keys", "asynchronous"],
)
async def test_it_is_read_in_pieces(make: Any, expected: list[list[str]]) -> None:
    """So many at a time of what is at hand, and one of what is awaited, repeated ones left out."""
    pieces = []
    async with IdSource(make()) as source:
        while not source.ended:
            pieces.append(await source.read(3))

    assert expected == pieces
    assert source.error is None


async def test_what_is_wrong_ends_it_and_is_kept() -> None:
    """What came before a bad id is given with it."""
    async with IdSource(iter(["1", "", "2"])) as source:
        given = await source.read(9)

    assert (["1"], True) == (given, source.ended)
    assert isinstance(source.error, errors.ConfigurationError)


def test_an_input_that_can_be_looked_at_twice_is_checked_at_once() -> None:
    """A list with a bad id is refused before the run begins; an iterator is not looked at."""
    given = iter(["1", ""])
    IdSource(given)

    assert "1" == next(given)
    for bad in (["1", ""], [Task("1"), Task("a/b")], {"": 1}):
        with pytest.raises(errors.ConfigurationError, match="the task id"):
            IdSource(bad)
