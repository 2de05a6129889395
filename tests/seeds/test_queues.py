"""The order in which ids are listed and asked for their seeds."""

from __future__ import annotations

from mj_async._seeds.planner import SeedItem, SeedQueues


def names(items: list[SeedItem]) -> str:
    """Join the ids of items."""
    return "".join(item.task_id for item in items)


def fill(queues: SeedQueues, ids: str, *, is_listed: bool = False) -> None:
    """Add an item for each letter."""
    for task_id in ids:
        queues.add(SeedItem(task_id, is_listed=is_listed))


def test_a_batch_waits_until_it_is_whole() -> None:
    """Part of one is given where no more will come, or none has come for half a second."""
    queues = SeedQueues(1, 1)
    fill(queues, "abcd")

    assert "abc" == names(queues.next_list(0.0, 3))
    assert 0.5 == queues.list_due(0.0)
    assert "" == names(queues.next_list(0.4, 3))
    fill(queues, "e")

    assert "" == names(queues.next_list(0.5, 3))
    assert 1.0 == queues.list_due(0.5) == queues.list_due(0.6)
    assert "de" == names(queues.next_list(1.0, 3))
    assert queues.list_due(1.0) is None
    fill(queues, "f")
    queues.input_ended = True

    assert "f" == names(queues.next_list(1.0, 3))


def test_nothing_is_listed_while_seeds_are_ready() -> None:
    """Enough to ask for is enough."""
    queues = SeedQueues(2, 1)
    queues.input_ended = True
    fill(queues, "ab")
    fill(queues, "xy", is_listed=True)

    assert ("", None) == (names(queues.next_list(0.0, 2)), queues.list_due(0.0))
    assert "x" == names(queues.next_seeds(0.0))
    assert "ab" == names(queues.next_list(0.0, 2))


def test_those_at_the_back_come_when_they_are_due_and_before_the_input() -> None:
    """By the time at which they are due, each to its own kind."""
    queues = SeedQueues(2, 1)
    queues.put_back(SeedItem("b"), 20.0)
    queues.put_back(SeedItem("a"), 10.0)
    queues.put_back(SeedItem("x", is_listed=True), 15.0)
    fill(queues, "cd")

    assert 10.0 == queues.due
    assert "a" == names(queues.next_list(12.0, 3))
    assert ("", 15.0) == (names(queues.next_seeds(12.0)), queues.due)
    assert "x" == names(queues.next_seeds(15.0))
    queues.input_ended = True
    assert "b" == names(queues.next_list(25.0, 3))
    assert "cd" == names(queues.next_list(25.0, 3))
    assert queues.due is None


def test_a_retry_is_listed_before_the_input_is_quiet() -> None:
    """The next list is due at the earlier of the two times."""
    queues = SeedQueues(2, 1)
    fill(queues, "a")
    queues.put_back(SeedItem("b"), 0.2)

    assert 0.2 == queues.list_due(0.0)
    assert "b" == names(queues.next_list(0.2, 3))
    assert 0.5 == queues.list_due(0.2)


def test_the_input_waits_for_both_kinds() -> None:
    """A hundred are read ahead, and none while a hundred seeds are ready."""
    queues = SeedQueues(2, 1)
    fill(queues, "ab")

    assert (98, 2) == (queues.room, queues.unlisted)
    fill(queues, "x" * 100, is_listed=True)

    assert 0 == queues.room


def test_seeds_are_taken_together_but_for_those_alone() -> None:
    """A batch ends before one that has to be asked singly."""
    queues = SeedQueues(2, 3)
    fill(queues, "abcd", is_listed=True)
    queues.add(SeedItem("e", is_listed=True, alone=True))
    fill(queues, "fg", is_listed=True)
    taken = [names(queues.next_seeds(0.0)) for _ in range(5)]

    assert ["abc", "d", "e", "fg", ""] == taken
