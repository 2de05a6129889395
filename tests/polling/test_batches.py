"""What to ask next for many waits: ticks, batches, at most four requests in flight."""

from __future__ import annotations

import pytest

from _batch_harness import BatchHarness
from _many_waits import numbered
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
    harness = BatchHarness(batch_size)
    harness.join(*numbered(count))

    lists = harness.run(3.0)
    assert sizes == [len(ids.split()) for _, ids in lists]
    assert [at for at, _ in lists] == pytest.approx(
        [3.0 * number / len(sizes) for number in range(len(sizes))]
    )


def test_no_more_than_four_at_once() -> None:
    """The fifth request begins when one of four has ended."""
    harness = BatchHarness(1)
    harness.join(*numbered(6))

    first = [*harness.requests(0.0), *harness.requests(2.9)]
    blocked = harness.scheduler.next_check_at()
    harness.end(first[0])
    free = harness.scheduler.next_check_at()

    assert ["0", "1", "2", "3"] == [request.task_ids[0] for request in first]
    assert (3.0, 2.0) == (blocked, free)
    assert ["4"] == harness.ids(2.9)


def test_a_tick_that_did_not_get_through_goes_on_in_the_next() -> None:
    """What the last tick did not come to is asked for first."""
    harness = BatchHarness(1)
    harness.join(*numbered(6))

    for request in [*harness.requests(0.0), *harness.requests(2.9)]:
        harness.end(request, at=3.0)

    asked = [(3, "4"), (3.5, "5"), (4, "0"), (4.5, "1"), (5, "2"), (5.5, "3")]
    assert asked == harness.run(6.0)


def test_no_id_is_under_way_twice() -> None:
    """While an id is asked for, it is not asked for again, however long that takes."""
    harness = BatchHarness()
    harness.join("1", "2")

    (slow,) = harness.requests(0.0)
    harness.join("3")

    assert ["3"] == harness.ids(3.0)
    assert [] == harness.ids(6.0)[1:]
    harness.end(slow, at=7.0)
    assert ["1 2"] == harness.ids(9.0)


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
    harness = BatchHarness()
    polling = Polling(interval=interval, max_interval=interval, factor=1.0, jitter=0)
    harness.join("1", polling=polling)
    harness.join("each tick")

    assert ticks == [at for at, ids in harness.run(18.0) if "1" in ids.split()]


def test_the_first_to_come_begins_a_tick() -> None:
    """Without a wait there are no ticks; a wait that comes later is due at the next tick."""
    harness = BatchHarness()
    harness.clock.time = 5.0
    harness.join("1")

    assert ["1"] == harness.ids(5.0)
    harness.clock.time = 6.0
    harness.join("2")
    assert [] == harness.ids(6.0)
    assert 8.0 == harness.scheduler.next_check_at()


@pytest.mark.parametrize(
    ("polls", "at", "next_tick"), [(0, 1.0, 1.0), (1, 1.0, 3.0), (1, 3.0, 3.0), (1, 7.0, 7.0)]
)
def test_a_wait_that_comes_back_keeps_to_the_ticks(polls: int, at: float, next_tick: float) -> None:
    """A wait that comes back from its callback, alone, keeps to the ticks; a new one does not."""
    harness = BatchHarness()
    (watch,) = harness.join("1")
    harness.end(harness.requests(0.0)[0])
    harness.scheduler.leave(watch)
    harness.clock.time = at
    harness.join("2", polls=polls)

    assert next_tick == (harness.scheduler.next_check_at() if harness.requests(at) == [] else at)


def test_a_tick_that_comes_late_begins_when_it_comes() -> None:
    """After a pause the ticks count from now; a small delay does not move them."""
    harness = BatchHarness()
    harness.join("1")

    harness.end(harness.requests(1.0)[0])
    assert 3.0 == harness.scheduler.next_check_at()
    harness.end(harness.requests(60.0)[0])
    assert 63.0 == harness.scheduler.next_check_at()


def test_jitter_moves_the_ticks_both_ways() -> None:
    """A tick is shorter or longer by the jitter at most, and averages out."""
    harness = BatchHarness(jitter=0.15)
    harness.join("1")

    gaps, now = [], 0.0
    for _ in range(1000):
        for request in harness.requests(now):
            harness.end(request)
        gaps.append(harness.scheduler.next_check_at() - now)
        now += gaps[-1]

    assert 2.55 <= min(gaps) < 2.6
    assert 3.4 < max(gaps) <= 3.45
    assert 3.0 == pytest.approx(sum(gaps) / len(gaps), abs=0.05)


def test_an_id_without_a_wait_is_not_asked_for() -> None:
    """Ids of a queued batch vanish with their last wait; a batch without any is not sent."""
    harness = BatchHarness(2)
    watches = harness.join("1", "2", "3", "4", "5", "5")

    assert ["1 2"] == harness.ids(0.0)
    for watch in watches[2:5]:
        harness.scheduler.leave(watch)
    assert ["5"] == harness.ids(2.9)
    assert {
        "1": (watches[0],),
        "2": (watches[1],),
        "5": (watches[5],),
    } == harness.scheduler._watches
