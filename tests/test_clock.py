"""Waking those who wait for a change or for a time."""

from __future__ import annotations

import anyio
import pytest

from mj_async._clock import Wakeup
from mj_async.testing._clock import GatewayClock

pytestmark = pytest.mark.anyio


def virtual_clock() -> GatewayClock:
    """Make a clock that jumps."""
    clock = GatewayClock()
    clock.follow("virtual")
    return clock


async def test_it_wakes_all_who_wait() -> None:
    """Those without a time, and those whose time has not come."""
    clock = virtual_clock()
    wakeup = Wakeup(clock)
    woken: list[float | None] = []

    async def wait(until: float | None) -> None:
        await wakeup.wait(until)
        woken.append(until)

    async with anyio.create_task_group() as group:
        for until in (None, 100.0, None):
            group.start_soon(wait, until)
        await clock.sleep(7.0)
        wakeup.set()

    assert (3, 7.0) == (len(woken), clock.now())


@pytest.mark.parametrize("until", [5.0, 0.0, -3.0])
async def test_a_time_wakes_as_well(until: float) -> None:
    """At that time, or at once where it is over."""
    clock = virtual_clock()
    wakeup = Wakeup(clock)
    await wakeup.wait(until)
    wakeup.set()

    assert max(0.0, until) == clock.now()


async def test_who_waits_may_be_cancelled() -> None:
    """A cancelled wait ends at its deadline, although the wakeup is not set."""
    clock = virtual_clock()
    wakeup = Wakeup(clock)
    with clock.move_on_at(3.0) as scope:
        await wakeup.wait(10.0)
    wakeup.set()

    assert (True, 3.0) == (scope.cancelled_caught, clock.now())


@pytest.mark.parametrize(("until", "deadline", "expected"), [(10.0, 3.0, 3.0), (3.0, 10.0, 3.0)])
async def test_it_waits_at_most_until_the_deadline(
    until: float, deadline: float, expected: float
) -> None:
    """A wait ends at its time or at its deadline, whichever comes first."""
    clock = virtual_clock()
    await Wakeup(clock).wait(until, deadline)

    assert expected == clock.now()
