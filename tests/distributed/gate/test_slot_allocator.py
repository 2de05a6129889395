"""The slots and the queue of one process, in numbers."""

from __future__ import annotations

import pytest

from mj_async.distributed._gate.slot_allocator import FIRST_HOLD, FRESH, Allotment, Look

NOTHING = Look(held=0.0, first=0.5, at_once=0, paced=0)


def looked(
    rate: float | None = 100.0,
    *,
    first: float = 0.0,
    at_once: int = 0,
    paced: int = 0,
    wanted: int = 1,
) -> Allotment:
    """Make an allotment that has looked at 0, for what was wanted or less."""
    allotment = Allotment(rate, 50)
    allotment.take_in(Look(0.0, first, at_once, paced), wanted, 0.0)
    return allotment


def test_redis_is_looked_at_first() -> None:
    """Without a look, and when it is too old, nobody passes."""
    assert Allotment(None, 50).ask(0.0) is None
    assert looked(None).ask(FRESH) is None
    assert 0.0 == looked(None).ask(FRESH / 2)


@pytest.mark.parametrize(
    ("rate", "burst", "most"), [(100.0, 50, 50), (20.0, 50, 20), (0.5, 50, 1), (None, 50, 1)]
)
def test_a_burst_is_a_seconds_worth_at_most(rate: float | None, burst: int, most: int) -> None:
    """However large the burst, no second has more than its rate."""
    assert most == Allotment(rate, burst).most_at_once


def test_slots_are_taken_in_order() -> None:
    """Those for now at once, the paced ones at their time; then there is something to look for."""
    allotment = looked(at_once=2, paced=1, first=0.05, wanted=3)

    assert [0.0, 0.0] == [allotment.ask(0.0), allotment.ask(0.0)]
    assert 0.05 == allotment.ask(0.0)
    assert allotment.ask(0.0) is None
    assert 0.0 == allotment.ask(0.05)


def test_who_comes_later_is_sent_away_for_longer() -> None:
    """Where there are too few slots, each is told a time of his own, behind those before."""
    allotment = looked(first=0.03, paced=2, wanted=9)
    told = [allotment.ask(0.0) for _ in range(5)]

    assert [0.03, 0.04] == pytest.approx(told[:2])
    assert told[2] is not None
    assert told[2] >= 0.05
    assert told[2:] == sorted(told[2:], key=lambda seconds: seconds or 0.0)


def test_who_comes_again_is_not_counted_twice() -> None:
    """The turn that was told is over when somebody comes for it."""
    allotment = looked(first=5.0, wanted=9)
    for _ in range(3):
        allotment.ask(0.0)

    assert 1 + 0 == allotment.wanted(1, 0.0)
    assert 1 + 3 == allotment.wanted(1, 4.95)
    allotment.ask(5.0)
    assert 1 + 2 == allotment.wanted(1, 5.0)


def test_what_was_not_used_lapses() -> None:
    """Slots and turns of callers who do not come are forgotten after a tenth of a second."""
    allotment = looked(first=0.05, paced=1, at_once=1, wanted=9)
    told = [allotment.ask(0.0) for _ in range(3)]

    assert [0.0, 0.05] == told[:2]
    assert 1 == allotment.wanted(1, 9.0)
    assert allotment.ask(9.0) is None


def test_slots_in_hand_are_not_asked_for_again() -> None:
    """Those who wait take what is there, and what is promised to nobody."""
    assert 1 == looked(at_once=2, wanted=2).wanted(3, 0.0)
    assert 0 == looked(at_once=4, wanted=4).wanted(3, 0.0)
    assert 2 == looked(first=0.05, paced=1, wanted=1).wanted(3, 0.0)
    assert 0 == looked(None).wanted(3, 0.0)


def test_a_busy_process_takes_some_in_store() -> None:
    """As many as it used since the last look, twice that while it uses them faster."""
    allotment = looked(at_once=4, wanted=4)
    for _ in range(4):
        allotment.ask(0.0)

    assert 1 + 8 == allotment.wanted(1, 0.01)
    assert 1 + 4 == allotment.wanted(1, FRESH)
    allotment.rate = 20.0
    assert 1 + 2 == allotment.wanted(1, FRESH)


def test_whoever_has_no_slot_to_come_may_have_one_further_ahead() -> None:
    """So processes take turns, although one is nearer to Redis than another."""
    assert 1.01 == pytest.approx(looked().farthest(0.0))
    assert 1.01 == pytest.approx(looked(at_once=1).farthest(0.0))
    assert 0.2 == looked(first=0.1, paced=1).farthest(0.0)


def test_a_hold_voids_the_slots() -> None:
    """They were for a time that is past when it is over."""
    allotment = looked(at_once=3, wanted=3)
    allotment.take_in(Look(held=2.0, first=0.0, at_once=0, paced=0), 1, 0.0)

    assert 2.0 == allotment.ask(0.0)
    assert allotment.ask(2.0) is None
    allotment.take_in(NOTHING, 1, 2.0)
    assert allotment.ask(2.0, again=True) != 0.0


def test_a_hold_holds_here_before_redis_knows() -> None:
    """It is news until it was told or is over; and nobody passes before it was told."""
    allotment = looked(None)
    allotment.hold(30.0, 0.01)

    assert allotment.ask(0.02) is None
    assert "29.5" == allotment.take_news(0.51)
    assert "" == allotment.take_news(31.0)
    allotment.told(allotment.news)
    assert 29.0 == pytest.approx(allotment.ask(1.01))


def test_a_429_of_a_request_under_way_is_no_news() -> None:
    """Within a hold only a Retry-After that reaches further is told."""
    allotment = looked(None)
    allotment.hold(None, 0.0)
    assert "none" == allotment.take_news(0.0)
    allotment.told(allotment.news)
    for seconds in (None, FIRST_HOLD / 2):
        allotment.hold(seconds, 0.1)

    assert allotment.news is None
    allotment.hold(9.0, 0.1)
    assert "9.0" == allotment.take_news(0.1)


def test_what_happens_meanwhile_stays_news() -> None:
    """A 429 that comes while Redis is told of another one is told next."""
    allotment = looked(None)
    allotment.hold(5.0, 0.0)
    telling = allotment.news
    allotment.hold(9.0, 0.0)
    allotment.told(telling)

    assert "9.0" == allotment.take_news(0.0)
