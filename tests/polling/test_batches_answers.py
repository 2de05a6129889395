"""What comes back for many waits: which wait gets it, and which ids are fetched."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from _batch_harness import BatchHarness, working
from _fakes import task
from _many_waits import numbered
from mj_async import Polling, errors
from mj_async._polling.batches import Answers, PollRequest

LIMITED = errors.RateLimitError(status_code=429)
REFUSED = errors.AuthenticationError(status_code=401)
FORBIDDEN = errors.PermissionDeniedError(status_code=403)


def test_a_request_that_was_cut_is_repeated_at_once() -> None:
    """It is the next one, for the ids that still have a wait."""
    harness = BatchHarness(2)
    watches = harness.join("1", "2", "3", "4")
    (first,) = harness.requests(0.0)
    harness.scheduler.leave(watches[0])

    harness.clock.time = 0.5
    harness.cancel(first)

    assert 0.5 == harness.scheduler.next_check_at()
    assert [PollRequest(0.5, ("2",))] == harness.requests(0.5)
    assert 2 == watches[1].polls
    assert ["3 4"] == harness.ids(1.5)


def test_an_answer_goes_to_all_waits_for_its_id() -> None:
    """Each wait is woken if the answer is news; an id without a wait is ignored."""
    harness = BatchHarness()
    ones = harness.join("1", "1")
    (other,) = harness.join("2")
    (request,) = harness.requests(0.0)

    harness.end(request, {"1": task("SUCCESS"), "2": LIMITED, "stranger": task()})

    assert ["1", "1"] == harness.woken
    assert [True, True, False] == [watch.has_news for watch in (*ones, other)]
    assert [1, 1, 1] == [watch.polls for watch in (*ones, other)]


def test_a_watch_with_news_gets_no_other_answer() -> None:
    """An answer that comes after the word of a webhook does not take that back."""
    harness = BatchHarness()
    (watch,) = harness.join("1")
    (request,) = harness.requests(0.0)
    watch.on_webhook(task("SUCCESS"))

    harness.end(request, {"1": task("IN_PROGRESS", "10%")})

    assert [] == harness.woken
    assert "SUCCESS" == watch.next_update().status


def test_a_change_is_no_news_to_who_waits_for_the_end() -> None:
    """No wait is woken for it; it counts all the same, as when a task stands still."""
    harness = BatchHarness()
    steady, stalled = harness.join(
        "1", "2", polling=Polling(factor=1.0, jitter=0, stall_timeout=6.0)
    )
    steady.final_only = stalled.final_only = True
    harness.reads = False

    for number, at in enumerate((0.0, 3.0, 6.0, 9.0)):
        for request in harness.requests(at):
            moved = task(id="1", progress=f"{number}%")
            harness.end(request, {"1": moved, "2": task(id="2", progress="1%")})
    assert ["2"] == harness.woken
    assert (False, moved) == (steady.has_news, steady.task)
    with pytest.raises(errors.TaskStalledError):
        stalled.next_update()

    (request,) = harness.requests(12.0)
    harness.end(request, {"1": task("SUCCESS", id="1")})
    assert ["2", "1"] == harness.woken
    assert "SUCCESS" == steady.next_update().status


def test_each_wait_has_an_error_of_its_own() -> None:
    """An error of a list names the task of each wait, and is not shared between them."""
    harness = BatchHarness()
    watches = harness.join("1", "2", "2")
    (request,) = harness.requests(0.0)

    harness.end(request, dict.fromkeys(request.task_ids, FORBIDDEN))

    raised: list[errors.MJError] = []
    for watch in watches:
        with pytest.raises(errors.PermissionDeniedError) as caught:
            watch.next_update()
        raised.append(caught.value)
    assert ["1", "2", "2"] == [error.task_id for error in raised]
    assert 3 == len({id(error) for error in raised})
    assert FORBIDDEN.task_id is None


@pytest.mark.parametrize(("error", "ended"), [(REFUSED, 3), (FORBIDDEN, 1)])
def test_a_refused_key_is_refused_for_all(error: errors.MJError, ended: int) -> None:
    """A 401 ends all waits, also those that were not asked for; a 403 its own ones."""
    harness = BatchHarness(1)
    watches = harness.join("1", "2", "3")
    (request,) = harness.requests(0.0)

    harness.end(request, {"1": error})

    assert ended == sum(watch.has_news for watch in watches)
    assert (3 - ended) == len(harness.ids(2.9))


def test_an_id_that_is_left_out_is_fetched() -> None:
    """Ids that a list leaves out are asked for by /fetch, spread over the rest of the tick."""
    harness = BatchHarness()
    harness.join("1", "2", "3", "4")
    (request,) = harness.requests(0.0)

    harness.end(request, {"1": task(id="1")}, at=1.5)

    assert [(["/2"], 2.0), (["/3"], 2.5), (["/4"], 3.0)] == [
        (harness.ids(at), harness.scheduler.next_check_at()) for at in (1.5, 2.0, 2.5)
    ]


def leave_out(request: PollRequest) -> Answers:
    """Answer by /fetch only."""
    return working(request) if request.is_fetch else {}


@pytest.mark.parametrize("has_list", [True, False], ids=["a list without them", "no list"])
def test_a_tick_asks_for_so_many_alone(has_list: bool) -> None:  # noqa: FBT001
    """At most `batch_size` a tick are asked for by /fetch, and no id starves."""
    harness = BatchHarness(3, has_list=has_list)
    harness.join(*numbered(5))

    asked = [(at, ids) for at, ids in harness.run(150.0, leave_out) if ids.startswith("/")]
    gaps = [
        later - sooner
        for task_id in numbered(5)
        for sooner, later in pairwise(at for at, ids in asked if ids == f"/{task_id}")
    ]
    assert dict.fromkeys(range(50), 3) == Counter(int(at / 3) for at, _ in asked)
    assert max(gaps) <= 9.0


def test_without_a_list_all_are_asked_for_alone() -> None:
    """Where there is no list, each due id is one request, spread over the tick."""
    harness = BatchHarness(has_list=False)
    harness.join("1", "2", "3")

    assert [(0, "/1"), (1, "/2"), (2, "/3"), (3, "/1"), (4, "/2"), (5, "/3")] == harness.run(6.0)


def test_a_list_that_turns_out_to_be_missing_is_not_asked_any_more() -> None:
    """Batches that are queued when that is found out are asked for by /fetch, too."""
    harness = BatchHarness(2)
    harness.join(*numbered(4))
    (request,) = harness.requests(0.0)

    harness.has_list = False
    harness.end(request)

    assert [(1.5, "/2"), (2.25, "/3")] == harness.run(3.0)
