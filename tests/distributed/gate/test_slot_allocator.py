"""The slots and the queue of one process, in numbers."""

from __future__ import annotations

import pytest

from mj_async.distributed._gate.slot_allocator import (
    FIRST_HOLD,
    GRANT_LIFETIME,
    SlotAllocator,
    SlotGrant,
)

NOTHING = SlotGrant(held=0.0, first=0.5, immediate=0, paced=0)


def granted(
    rate: float | None = 100.0,
    *,
    first: float = 0.0,
    immediate: int = 0,
    paced: int = 0,
    wanted: int = 1,
) -> SlotAllocator:
    """Make an allocator that has looked at 0, for what was wanted or less."""
    allocator = SlotAllocator(rate, 50)
    allocator.apply_grant(SlotGrant(0.0, first, immediate, paced), wanted, 0.0)
    return allocator


def test_redis_is_looked_at_first() -> None:
    """Without a look, and when it is too old, nobody passes."""
    assert SlotAllocator(None, 50).try_acquire(0.0) is None
    assert granted(None).try_acquire(GRANT_LIFETIME) is None
    assert 0.0 == granted(None).try_acquire(GRANT_LIFETIME / 2)


@pytest.mark.parametrize(
    ("rate", "burst", "most"), [(100.0, 50, 50), (20.0, 50, 20), (0.5, 50, 1), (None, 50, 1)]
)
def test_a_burst_is_a_seconds_worth_at_most(rate: float | None, burst: int, most: int) -> None:
    """However large the burst, no second has more than its rate."""
    assert most == SlotAllocator(rate, burst).burst_limit


def test_slots_are_taken_in_order() -> None:
    """Those for now at once, the paced ones at their time; then there is something to look for."""
    allocator = granted(immediate=2, paced=1, first=0.05, wanted=3)

    assert [0.0, 0.0] == [allocator.try_acquire(0.0), allocator.try_acquire(0.0)]
    assert 0.05 == allocator.try_acquire(0.0)
    assert allocator.try_acquire(0.0) is None
    assert 0.0 == allocator.try_acquire(0.05)


def test_who_comes_later_is_sent_away_for_longer() -> None:
    """Where there are too few slots, each is told a time of his own, behind those before."""
    allocator = granted(first=0.03, paced=2, wanted=9)
    told = [allocator.try_acquire(0.0) for _ in range(5)]

    assert [0.03, 0.04] == pytest.approx(told[:2])
    assert told[2] is not None
    assert told[2] >= 0.05
    assert told[2:] == sorted(told[2:], key=lambda seconds: seconds or 0.0)


def test_who_comes_again_is_not_counted_twice() -> None:
    """The turn that was told is over when somebody comes for it."""
    allocator = granted(first=5.0, wanted=9)
    for _ in range(3):
        allocator.try_acquire(0.0)

    assert 1 + 0 == allocator.slots_wanted(1, 0.0)
    assert 1 + 3 == allocator.slots_wanted(1, 4.95)
    allocator.try_acquire(5.0)
    assert 1 + 2 == allocator.slots_wanted(1, 5.0)


def test_what_was_not_used_lapses() -> None:
    """Slots and turns of callers who do not come are forgotten after a tenth of a second."""
    allocator = granted(first=0.05, paced=1, immediate=1, wanted=9)
    told = [allocator.try_acquire(0.0) for _ in range(3)]

    assert [0.0, 0.05] == told[:2]
    assert 1 == allocator.slots_wanted(1, 9.0)
    assert allocator.try_acquire(9.0) is None


def test_slots_in_hand_are_not_asked_for_again() -> None:
    """Those who wait take what is there, and what is promised to nobody."""
    assert 1 == granted(immediate=2, wanted=2).slots_wanted(3, 0.0)
    assert 0 == granted(immediate=4, wanted=4).slots_wanted(3, 0.0)
    assert 2 == granted(first=0.05, paced=1, wanted=1).slots_wanted(3, 0.0)
    assert 0 == granted(None).slots_wanted(3, 0.0)


def test_a_busy_process_takes_some_in_store() -> None:
    """As many as it used since the last look, twice that while it uses them faster."""
    allocator = granted(immediate=4, wanted=4)
    for _ in range(4):
        allocator.try_acquire(0.0)

    assert 1 + 8 == allocator.slots_wanted(1, 0.01)
    assert 1 + 4 == allocator.slots_wanted(1, GRANT_LIFETIME)
    allocator.rate = 20.0
    assert 1 + 2 == allocator.slots_wanted(1, GRANT_LIFETIME)


def test_whoever_has_no_slot_to_come_may_have_one_further_ahead() -> None:
    """So processes take turns, although one is nearer to Redis than another."""
    assert 1.01 == pytest.approx(granted().single_slot_horizon(0.0))
    assert 1.01 == pytest.approx(granted(immediate=1).single_slot_horizon(0.0))
    assert 0.2 == granted(first=0.1, paced=1).single_slot_horizon(0.0)


def test_a_hold_voids_the_slots() -> None:
    """They were for a time that is past when it is over."""
    allocator = granted(immediate=3, wanted=3)
    allocator.apply_grant(SlotGrant(held=2.0, first=0.0, immediate=0, paced=0), 1, 0.0)

    assert 2.0 == allocator.try_acquire(0.0)
    assert allocator.try_acquire(2.0) is None
    allocator.apply_grant(NOTHING, 1, 2.0)
    assert allocator.try_acquire(2.0, retried=True) != 0.0


def test_a_hold_holds_here_before_redis_knows() -> None:
    """It is news until it was told or is over; and nobody passes before it was told."""
    allocator = granted(None)
    allocator.hold(30.0, 0.01)

    assert allocator.try_acquire(0.02) is None
    assert "29.5" == allocator.hold_argument(0.51)
    assert "" == allocator.hold_argument(31.0)
    allocator.confirm_hold(allocator.pending_hold)
    assert 29.0 == pytest.approx(allocator.try_acquire(1.01))


def test_a_429_of_a_request_under_way_is_no_news() -> None:
    """Within a hold only a Retry-After that reaches further is told."""
    allocator = granted(None)
    allocator.hold(None, 0.0)
    assert "none" == allocator.hold_argument(0.0)
    allocator.confirm_hold(allocator.pending_hold)
    for seconds in (None, FIRST_HOLD / 2):
        allocator.hold(seconds, 0.1)

    assert allocator.pending_hold is None
    allocator.hold(9.0, 0.1)
    assert "9.0" == allocator.hold_argument(0.1)


def test_what_happens_meanwhile_stays_news() -> None:
    """A 429 that comes while Redis is told of another one is told next."""
    allocator = granted(None)
    allocator.hold(5.0, 0.0)
    pending = allocator.pending_hold
    allocator.hold(9.0, 0.0)
    allocator.confirm_hold(pending)

    assert "9.0" == allocator.hold_argument(0.0)
