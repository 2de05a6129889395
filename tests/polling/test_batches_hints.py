"""Webhooks make a poll due now, a bounded number of times."""

from __future__ import annotations

from _batch_harness import BatchHarness, label
from _many_waits import numbered


def test_a_hint_brings_a_poll_forward() -> None:
    """The id is asked for at once, alone in a list; the others keep to the tick."""
    harness = BatchHarness()
    harness.join("1", "2")
    harness.run(1.0)
    harness.clock.time = 1.0

    harness.scheduler.mark_urgent("2")

    assert harness.scheduler.next_check_at() <= 1.0
    assert ["2"] == harness.ids(1.0)
    assert ["1"] == harness.ids(3.0)


def test_hints_are_bounded() -> None:
    """Two hints a tick bring an id forward, each; the next waits for the tick."""
    harness = BatchHarness()
    harness.join("1", "2")
    harness.run(1.0)
    asked = []

    for at in (1.0, 1.4, 1.8, 2.2, 3.0, 3.5, 4.0, 4.5):
        harness.clock.time = at
        harness.scheduler.mark_urgent("1")
        for request in harness.requests(at):
            asked.append((at, label(request)))
            harness.end(request)

    assert [(1.0, "1"), (1.4, "1"), (3.0, "1 2"), (3.5, "1"), (4.0, "1")] == asked


def test_the_hint_of_a_wait_that_has_gone_is_forgotten() -> None:
    """A later wait for the same id is due at the next tick, and not at once."""
    harness = BatchHarness()
    harness.join("2")
    (gone,) = harness.join("1")
    harness.run(1.0)
    harness.clock.time = 1.0
    harness.scheduler.mark_urgent("1")
    harness.scheduler.leave(gone)
    harness.join("1")

    assert [] == harness.ids(1.0)


def test_hints_of_one_instant_are_one_request() -> None:
    """Ids that are hinted together are asked for together; one that is hinted twice, once."""
    harness = BatchHarness()
    harness.join(*numbered(4))
    harness.run(1.0)
    for task_id in ("1", "3", "1"):
        harness.scheduler.mark_urgent(task_id)

    assert ["1 3"] == harness.ids(1.0)


def test_a_flood_of_hints_is_gathered() -> None:
    """Urgent ids are a batch each tenth of a tick; an id asked for meanwhile is left out."""
    harness = BatchHarness(2)
    harness.join(*numbered(5))
    harness.run(1.6)
    harness.clock.time = 1.75
    for task_id in numbered(5):
        harness.scheduler.mark_urgent(task_id)

    asked = [(at, len(ids.split())) for at, ids in harness.run(3.0)]
    assert [(1.75, 2), (2.0, 1), (2.05, 2)] == asked


def test_a_hint_for_what_is_under_way_asks_again_right_after() -> None:
    """What a request may have missed is asked for when it has ended."""
    harness = BatchHarness()
    harness.join("1", "2")
    (request,) = harness.requests(0.0)
    harness.scheduler.mark_urgent("1")

    assert ([], 3.0) == (harness.requests(1.0), harness.scheduler.next_check_at())
    harness.end(request)
    assert harness.scheduler.next_check_at() <= 1.0
    assert ["1"] == harness.ids(1.0)


def test_a_hint_without_a_list_is_a_fetch() -> None:
    """It counts among those that a tick may have."""
    harness = BatchHarness(3, has_list=False)
    harness.join("1", "2")
    harness.run(1.6)
    harness.scheduler.mark_urgent("1")

    assert ["/1"] == harness.ids(2.0)
    harness.scheduler.mark_urgent("2")
    assert [] == harness.ids(2.1)


def test_a_wait_that_leaves_takes_its_hint_along() -> None:
    """A hint for a wait that left is no request; a wait that comes back brings its own."""
    harness = BatchHarness()
    (watch, _) = harness.join("1", "2")
    harness.run(1.0)
    harness.scheduler.mark_urgent("1")
    harness.scheduler.leave(watch)

    assert [] == harness.requests(1.0)
    watch.is_urgent = True
    harness.scheduler.join(watch, 1.0)
    assert ["1"] == harness.ids(1.0)
    assert not watch.is_urgent


def test_a_hint_for_an_unknown_id_asks_nothing() -> None:
    """Without a wait for an id, a hint is no request."""
    harness = BatchHarness()
    harness.join("1")
    harness.run(1.0)
    harness.clock.time = 1.0
    harness.scheduler.mark_urgent("stranger")

    assert ([], 3.0) == (harness.requests(1.0), harness.scheduler.next_check_at())


def test_a_hint_is_not_lost_on_a_watch_with_news() -> None:
    """One that has news, and is about to come back, is asked for when it has come back."""
    harness = BatchHarness()
    (watch, _) = harness.join("1", "2")
    (request,) = harness.requests(0.0)
    harness.scheduler.mark_urgent("1")
    watch.is_urgent = True
    harness.reads = False
    harness.end(request)

    assert [] == harness.requests(0.0)
    harness.scheduler.leave(watch)
    watch.next_update()
    harness.scheduler.join(watch, 0.0)
    assert ["1"] == harness.ids(0.0)
