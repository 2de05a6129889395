"""Who of many ids is asked next."""

from __future__ import annotations

from mj_async._seeds.queues import SeedItem, SeedQueues


def names(entries: list[SeedItem]) -> str:
    """Name entries in order."""
    return "".join(entry.task_id for entry in entries)


def fill(queues: SeedQueues, ids: str, *, listed: bool = False) -> None:
    """Add an entry for each letter."""
    for task_id in ids:
        queues.add(SeedItem(task_id, listed=listed))


def test_a_batch_waits_until_it_is_whole() -> None:
    """Part of one is given where no more will come, or none has come for half a second."""
    queues = SeedQueues(1, 1)
    fill(queues, "abcd")

    assert "abc" == names(queues.take_list(0.0, 3, part=False))
    assert 0.5 == queues.part_due(0.0)
    assert "" == names(queues.take_list(0.4, 3, part=False))
    fill(queues, "e")

    assert "" == names(queues.take_list(0.5, 3, part=False))
    assert 1.0 == queues.part_due(0.5) == queues.part_due(0.6)
    assert "de" == names(queues.take_list(1.0, 3, part=False))
    assert queues.part_due(1.0) is None
    fill(queues, "f")

    assert "f" == names(queues.take_list(1.0, 3, part=True))


def test_nothing_is_listed_while_seeds_are_ready() -> None:
    """Enough to ask for is enough."""
    queues = SeedQueues(2, 1)
    fill(queues, "ab")
    fill(queues, "xy", listed=True)

    assert ("", None) == (names(queues.take_list(0.0, 2, part=True)), queues.part_due(0.0))
    assert "x" == names(queues.take_seeds(0.0))
    assert "ab" == names(queues.take_list(0.0, 2, part=True))


def test_those_at_the_back_come_when_they_are_due_and_before_the_input() -> None:
    """By the time at which they are due, each to its own kind."""
    queues = SeedQueues(2, 1)
    queues.put_back(SeedItem("b"), 20.0)
    queues.put_back(SeedItem("a"), 10.0)
    queues.put_back(SeedItem("x", listed=True), 15.0)
    fill(queues, "cd")

    assert 10.0 == queues.due
    assert "a" == names(queues.take_list(12.0, 3, part=False))
    assert ("", 15.0) == (names(queues.take_seeds(12.0)), queues.due)
    assert "x" == names(queues.take_seeds(15.0))
    assert "b" == names(queues.take_list(25.0, 3, part=True))
    assert "cd" == names(queues.take_list(25.0, 3, part=True))
    assert queues.due is None


def test_the_input_waits_for_both_kinds() -> None:
    """A hundred are read ahead, and none while a hundred seeds are ready."""
    queues = SeedQueues(2, 1)
    fill(queues, "ab")

    assert (98, 2) == (queues.room, queues.fresh)
    fill(queues, "x" * 100, listed=True)

    assert 0 == queues.room


def test_seeds_are_taken_together_but_for_those_alone() -> None:
    """A batch ends before one that has to be asked singly."""
    queues = SeedQueues(2, 3)
    fill(queues, "abcd", listed=True)
    queues.add(SeedItem("e", listed=True, alone=True))
    fill(queues, "fg", listed=True)
    taken = [names(queues.take_seeds(0.0)) for _ in range(5)]

    assert ["abc", "d", "e", "fg", ""] == taken
