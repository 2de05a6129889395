"""What to ask next for many waits: ticks, batches, at most four at once. Pure."""

from __future__ import annotations

import pytest

from _crowd import numbered
from _table import Table
from mj_async import Polling


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (1, 100, [1]),
        (100, 100, [100]),
        (101, 100, [100, 1]),
        (250, 100, [100, 100, 50]),
        (3, 1, [1, 1, 1]),
        (1000, 250, [250] * 4),
    ],
)
def test_a_tick_is_cut_into_batches(count: int, batch_size: int, sizes: list[int]) -> None:
    """The due make ceil(due / batch_size) lists, spread evenly over the tick."""
    table = Table(batch_size)
    table.join(*numbered(count))

    lists = table.run(3.0)
    assert sizes == [len(ids.split()) for _, ids in lists]
    assert [at for at, _ in lists] == pytest.approx(
        [3.0 * number / len(sizes) for number in range(len(sizes))]
    )


def test_no_more_than_four_at_once() -> None:
    """The fifth request begins when one of four has ended."""
    table = Table(1)
    table.join(*numbered(6))

    first = [*table.jobs(0.0), *table.jobs(2.9)]
    blocked = table.agenda.look_again_at()
    table.end(first[0])
    free = table.agenda.look_again_at()

    assert ["0", "1", "2", "3"] == [job.task_ids[0] for job in first]
    assert (3.0, 2.0) == (blocked, free)
    assert ["4"] == table.ids(2.9)


def test_a_tick_that_did_not_get_through_goes_on_in_the_next() -> None:
    """What the last tick did not come to is asked for first."""
    table = Table(1)
    table.join(*numbered(6))

    for job in [*table.jobs(0.0), *table.jobs(2.9)]:
        table.end(job, at=3.0)

    asked = [(3, "4"), (3.5, "5"), (4, "0"), (4.5, "1"), (5, "2"), (5.5, "3")]
    assert asked == table.run(6.0)


def test_no_id_is_under_way_twice() -> None:
    """While an id is asked for, it is not asked for again, however long that takes."""
    table = Table()
    table.join("1", "2")

    (slow,) = table.jobs(0.0)
    table.join("3")

    assert ["3"] == table.ids(3.0)
    assert [] == table.ids(6.0)[1:]
    table.end(slow, at=7.0)
    assert ["1 2"] == table.ids(9.0)


@pytest.mark.parametrize(
    ("interval", "ticks"),
    [
        (1.0, [0, 3, 6, 9, 12, 15]),
        (3.0, [0, 3, 6, 9, 12, 15]),
        (4.0, [0, 3, 9, 12, 15]),
        (4.6, [0, 6, 9, 15]),
        (6.0, [0, 6, 12]),
    ],
)
def test_due_times_are_rounded_to_ticks(interval: float, ticks: list[float]) -> None:
    """Each is asked for at the tick nearest to its time, and rounding never adds up."""
    table = Table()
    polling = Polling(interval=interval, max_interval=interval, factor=1.0, jitter=0)
    table.join("1", polling=polling)
    table.join("each tick")

    assert ticks == [at for at, ids in table.run(18.0) if "1" in ids.split()]


def test_the_first_to_come_begins_a_tick() -> None:
    """Where nobody waits there are no ticks; who comes later is due at the next one."""
    table = Table()
    table.clock.time = 5.0
    table.join("1")

    assert ["1"] == table.ids(5.0)
    table.clock.time = 6.0
    table.join("2")
    assert [] == table.ids(6.0)
    assert 8.0 == table.agenda.look_again_at()


@pytest.mark.parametrize(
    ("polls", "at", "next_tick"), [(0, 1.0, 1.0), (1, 1.0, 3.0), (1, 3.0, 3.0), (1, 7.0, 7.0)]
)
def test_who_comes_back_does_not_ask_sooner(polls: int, at: float, next_tick: float) -> None:
    """A wait that comes back from its callback, alone, keeps to the ticks; a new one does not."""
    table = Table()
    (place,) = table.join("1")
    table.end(table.jobs(0.0)[0])
    table.agenda.leave(place)
    table.clock.time = at
    table.join("2", polls=polls)

    assert next_tick == (table.agenda.look_again_at() if table.jobs(at) == [] else at)


def test_a_tick_that_comes_late_begins_when_it_comes() -> None:
    """After a pause the ticks count from now; a small delay does not move them."""
    table = Table()
    table.join("1")

    table.end(table.jobs(1.0)[0])
    assert 3.0 == table.agenda.look_again_at()
    table.end(table.jobs(60.0)[0])
    assert 63.0 == table.agenda.look_again_at()


def test_jitter_moves_the_ticks_both_ways() -> None:
    """A tick is shorter or longer by the jitter at most, and averages out."""
    table = Table(jitter=0.15)
    table.join("1")

    gaps, now = [], 0.0
    for _ in range(1000):
        for job in table.jobs(now):
            table.end(job)
        gaps.append(table.agenda.look_again_at() - now)
        now += gaps[-1]

    assert 2.55 <= min(gaps) < 2.6
    assert 3.4 < max(gaps) <= 3.45
    assert 3.0 == pytest.approx(sum(gaps) / len(gaps), abs=0.05)


def test_who_has_left_is_not_asked_for() -> None:
    """Ids of a queued batch vanish with their last wait; a batch without any is not sent."""
    table = Table(2)
    places = table.join("1", "2", "3", "4", "5", "5")

    assert ["1 2"] == table.ids(0.0)
    for place in places[2:5]:
        table.agenda.leave(place)
    assert ["5"] == table.ids(2.9)
    assert (places[5],) == table.agenda.places("5")
    assert () == table.agenda.places("3")
