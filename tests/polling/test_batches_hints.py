"""Webhooks bring a poll forward to now, a bounded number of times. Pure."""

from __future__ import annotations

from _crowd import numbered
from _table import Table, label


def test_a_hint_brings_a_poll_forward() -> None:
    """The id is asked for at once, alone in a list; the others keep to the tick."""
    table = Table()
    table.join("1", "2")
    table.run(1.0)
    table.clock.time = 1.0

    table.agenda.hint("2")

    assert table.agenda.look_again_at() <= 1.0
    assert ["2"] == table.ids(1.0)
    assert ["1"] == table.ids(3.0)


def test_hints_are_bounded() -> None:
    """Two hints a tick bring an id forward, each; the next waits for the tick."""
    table = Table()
    table.join("1", "2")
    table.run(1.0)
    asked = []

    for at in (1.0, 1.4, 1.8, 2.2, 3.0, 3.5, 4.0, 4.5):
        table.clock.time = at
        table.agenda.hint("1")
        for job in table.jobs(at):
            asked.append((at, label(job)))
            table.end(job)

    assert [(1.0, "1"), (1.4, "1"), (3.0, "1 2"), (3.5, "1"), (4.0, "1")] == asked


def test_hints_of_one_instant_are_one_request() -> None:
    """Ids that are hinted together are asked for together; one that is hinted twice, once."""
    table = Table()
    table.join(*numbered(4))
    table.run(1.0)
    for task_id in ("1", "3", "1"):
        table.agenda.hint(task_id)

    assert ["1 3"] == table.ids(1.0)


def test_a_flood_of_hints_is_gathered() -> None:
    """Hints are a batch each tenth of a tick at most; who was asked for meanwhile is not again."""
    table = Table(2)
    table.join(*numbered(5))
    table.run(1.6)
    table.clock.time = 1.75
    for task_id in numbered(5):
        table.agenda.hint(task_id)

    asked = [(at, len(ids.split())) for at, ids in table.run(3.0)]
    assert [(1.75, 2), (2.0, 1), (2.05, 2)] == asked


def test_a_hint_for_what_is_under_way_asks_again_right_after() -> None:
    """What a request may have missed is asked for when it has ended."""
    table = Table()
    table.join("1", "2")
    (job,) = table.jobs(0.0)
    table.agenda.hint("1")

    assert ([], 3.0) == (table.jobs(1.0), table.agenda.look_again_at())
    table.end(job)
    assert table.agenda.look_again_at() <= 1.0
    assert ["1"] == table.ids(1.0)


def test_a_hint_without_a_list_is_a_fetch() -> None:
    """It counts among those that a tick may have."""
    table = Table(3, has_list=False)
    table.join("1", "2")
    table.run(1.6)
    table.agenda.hint("1")

    assert ["/1"] == table.ids(2.0)
    table.agenda.hint("2")
    assert [] == table.ids(2.1)


def test_who_leaves_takes_its_hint_along() -> None:
    """A hint for somebody who left is no request; one that comes back brings its own."""
    table = Table()
    (place, _) = table.join("1", "2")
    table.run(1.0)
    table.agenda.hint("1")
    table.agenda.leave(place)

    assert [] == table.jobs(1.0)
    place.watch.hinted = True
    table.agenda.join(place, 1.0)
    assert ["1"] == table.ids(1.0)
    assert not place.watch.hinted


def test_a_hint_for_a_stranger_asks_nothing() -> None:
    """Where nobody waits for an id, a hint is no request."""
    table = Table()
    table.join("1")
    table.run(1.0)
    table.clock.time = 1.0
    table.agenda.hint("stranger")

    assert ([], 3.0) == (table.jobs(1.0), table.agenda.look_again_at())


def test_a_hint_is_not_lost_on_who_has_news() -> None:
    """One that has news, and is about to come back, is asked for when it has come back."""
    table = Table()
    (place, _) = table.join("1", "2")
    (job,) = table.jobs(0.0)
    table.agenda.hint("1")
    place.watch.hinted = True
    place.reads = False
    table.end(job)

    assert [] == table.jobs(0.0)
    table.agenda.leave(place)
    place.watch.give()
    table.agenda.join(place, 0.0)
    assert ["1"] == table.ids(0.0)
