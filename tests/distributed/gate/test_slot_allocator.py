"""SlotAllocator: the slots of one process, and its waiting callers."""

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
    """Return an allocator with a grant at time 0."""
    allocator = SlotAllocator(rate, 50)
    allocator.apply_grant(SlotGrant(0.0, first, immediate, paced), wanted, 0.0)
    return allocator


def test_a_grant_is_needed_first() -> None:
    """Without a grant, or with an expired one, no caller passes."""
    assert SlotAllocator(None, 50).try_acquire(0.0) is None
    assert granted(None).try_acquire(GRANT_LIFETIME) is None
    assert 0.0 == granted(None).try_acquire(GRANT_LIFETIME / 2)


@pytest.mark.parametrize(
    ("rate", "burst", "most"), [(100.0, 50, 50), (20.0, 50, 20), (0.5, 50, 1), (None, 50, 1)]
)
def test_a_burst_is_a_seconds_worth_at_most(rate: float | None, burst: int, most: int) -> None:
    """However large the burst, no second has more requests than the rate."""
    assert most == SlotAllocator(rate, burst).burst_limit


def test_slots_are_used_in_order() -> None:
    """Immediate slots first, then paced ones at their times; then a new grant is needed."""
    allocator = granted(immediate=2, paced=1, first=0.05, wanted=3)

    assert [0.0, 0.0] == [allocator.try_acquire(0.0), allocator.try_acquire(0.0)]
    assert 0.05 == allocator.try_acquire(0.0)
    assert allocator.try_acquire(0.0) is None
    assert 0.0 == allocator.try_acquire(0.05)


def test_later_callers_wait_longer() -> None:
    """If slots are scarce, each caller gets its own time to retry, after those before it."""
    allocator = granted(first=0.03, paced=2, wanted=9)
    waits = [allocator.try_acquire(0.0) for _ in range(5)]

    assert [0.03, 0.04] == pytest.approx(waits[:2])
    assert waits[2] is not None
    assert waits[2] >= 0.05
    assert waits[2:] == sorted(waits[2:], key=lambda seconds: seconds or 0.0)


def test_a_retrying_caller_is_counted_once() -> None:
    """The time to retry is removed when a caller retries."""
    allocator = granted(first=5.0, wanted=9)
    for _ in range(3):
        allocator.try_acquire(0.0)

    assert 1 + 0 == allocator.slots_wanted(1, 0.0)
    assert 1 + 3 == allocator.slots_wanted(1, 4.95)
    allocator.try_acquire(5.0)
    assert 1 + 2 == allocator.slots_wanted(1, 5.0)


def test_unused_slots_expire() -> None:
    """Slots, and times to retry, expire 0.1 s after they were due."""
    allocator = granted(first=0.05, paced=1, immediate=1, wanted=9)
    waits = [allocator.try_acquire(0.0) for _ in range(3)]

    assert [0.0, 0.05] == waits[:2]
    assert 1 == allocator.slots_wanted(1, 9.0)
    assert allocator.try_acquire(9.0) is None


def test_unreserved_slots_are_not_requested_again() -> None:
    """Waiting callers use the slots that are not reserved; only the rest is requested."""
    assert 1 == granted(immediate=2, wanted=2).slots_wanted(3, 0.0)
    assert 0 == granted(immediate=4, wanted=4).slots_wanted(3, 0.0)
    assert 2 == granted(first=0.05, paced=1, wanted=1).slots_wanted(3, 0.0)
    assert 0 == granted(None).slots_wanted(3, 0.0)


def test_a_busy_process_prefetches() -> None:
    """It requests as many slots as it used since the last grant; twice as many if it is early."""
    allocator = granted(immediate=4, wanted=4)
    for _ in range(4):
        allocator.try_acquire(0.0)

    assert 1 + 8 == allocator.slots_wanted(1, 0.01)
    assert 1 + 4 == allocator.slots_wanted(1, GRANT_LIFETIME)
    allocator.rate = 20.0
    assert 1 + 2 == allocator.slots_wanted(1, GRANT_LIFETIME)


def test_a_process_without_slots_has_a_far_horizon() -> None:
    """So all processes get turns, even if one of them is nearer to Redis."""
    assert 1.01 == pytest.approx(granted().single_slot_horizon(0.0))
    assert 1.01 == pytest.approx(granted(immediate=1).single_slot_horizon(0.0))
    assert 0.2 == granted(first=0.1, paced=1).single_slot_horizon(0.0)


def test_a_hold_drops_the_slots() -> None:
    """Their times are over when the hold ends."""
    allocator = granted(immediate=3, wanted=3)
    allocator.apply_grant(SlotGrant(held=2.0, first=0.0, immediate=0, paced=0), 1, 0.0)

    assert 2.0 == allocator.try_acquire(0.0)
    assert allocator.try_acquire(2.0) is None
    allocator.apply_grant(NOTHING, 1, 2.0)
    assert allocator.try_acquire(2.0, retried=True) != 0.0


def test_a_hold_holds_here_before_redis_knows() -> None:
    """A hold is pending until Redis knows it or it is over; meanwhile no caller passes."""
    allocator = granted(None)
    allocator.hold(30.0, 0.01)

    assert allocator.try_acquire(0.02) is None
    assert "29.5" == allocator.hold_argument(0.51)
    assert "" == allocator.hold_argument(31.0)
    allocator.confirm_hold(allocator.pending_hold)
    assert 29.0 == pytest.approx(allocator.try_acquire(1.01))


def test_a_429_within_a_hold_is_not_reported() -> None:
    """Within a hold, only a longer Retry-After is reported to Redis."""
    allocator = granted(None)
    allocator.hold(None, 0.0)
    assert "none" == allocator.hold_argument(0.0)
    allocator.confirm_hold(allocator.pending_hold)
    for seconds in (None, FIRST_HOLD / 2):
        allocator.hold(seconds, 0.1)

    assert allocator.pending_hold is None
    allocator.hold(9.0, 0.1)
    assert "9.0" == allocator.hold_argument(0.1)


def test_a_429_during_a_report_stays_pending() -> None:
    """A 429 that comes while Redis learns of another one is reported next."""
    allocator = granted(None)
    allocator.hold(5.0, 0.0)
    pending = allocator.pending_hold
    allocator.hold(9.0, 0.0)
    allocator.confirm_hold(pending)

    assert "9.0" == allocator.hold_argument(0.0)
