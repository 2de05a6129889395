"""What an answer means for the ids of a bulk lookup, and what is asked next."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from _fake_seed_api import down, later, page, seed
from mj_async import ImageSeed, SeedOutcome, Task, TaskList, errors
from mj_async._seeds.planner import SeedItem, SeedOptions, SeedPlanner

DONE = Task("0", status="SUCCESS")


@attrs.define
class PlannerHarness:
    """A planner, and the outcomes that it has emitted."""

    received: list[SeedOutcome] = attrs.field(factory=list)
    options: dict[str, Any] = attrs.field(factory=dict)
    planner: SeedPlanner = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        options = {"concurrency": 2, "batch_size": 1, "ask_again_after": 30.0, "max_asks": 2}
        self.planner = SeedPlanner(SeedOptions(**{**options, **self.options}), self.received.append)

    def begin(self, ids: str, *, listed: bool = True) -> list[SeedItem]:
        """Add the ids, and return the items that are ready to be asked for."""
        tasks = [attrs.evolve(DONE, id=one) if listed else one for one in ids]
        self.planner.add_all(tasks)
        self.planner.queues.input_ended = True
        return [item for _ in ids for item in self.planner.queues.next_seeds(0.0)]

    def fail(self, items: list[SeedItem], error: errors.MJError, now: float) -> None:
        """Record the error of a request that was sent after the last outage."""
        self.planner.record_failure(items, error, now, self.planner.breaker.outages)

    @property
    def outcomes(self) -> dict[str, str]:
        """The kind of each outcome."""
        return {
            one.task_id: "seed" if one.seed else type(one.error).__name__ for one in self.received
        }


def test_a_listed_id_lands_or_is_asked_for() -> None:
    """Only what has succeeded without showing its seed is left."""
    run = PlannerHarness()
    run.begin("abcde", listed=False)
    items = run.planner.queues.next_list(0.0, 100)
    tasks = [
        Task("a", status="SUCCESS", seed="5"),
        Task("b", status="FAILURE"),
        Task("c", status="IN_PROGRESS"),
        Task("d", status="SUCCESS"),
    ]
    run.planner.record_list(items, TaskList(tasks, ["e"]))

    assert {
        "a": "seed",
        "b": "TaskFailedError",
        "c": "SeedUnavailableError",
        "e": "TaskNotFoundError",
    } == run.outcomes
    (left,) = run.planner.queues.next_seeds(0.0)
    run.planner.record_seeds([left], [seed("d")])

    assert ("seed", True) == (run.outcomes["d"], run.planner.done)


def test_an_id_that_may_be_had_later_is_due_later() -> None:
    """It is not given out before, and its last error is its outcome."""
    run = PlannerHarness()
    (item,) = run.begin("a")
    run.fail([item], later("a"), 10.0)

    assert (40.0, []) == (run.planner.queues.due, run.planner.queues.next_seeds(39.9))
    assert [item] == run.planner.queues.next_seeds(40.0)
    run.fail([item], later("a"), 45.0)

    assert {"a": "SeedUnavailableError"} == run.outcomes
    assert run.planner.done


def test_failures_in_a_row_open_the_breaker() -> None:
    """As many as requests at once; the last id that failed is the one to probe with."""
    run = PlannerHarness()
    first, second, _third = run.begin("abc")
    run.fail([first], down(), 1.0)
    breaker = run.planner.breaker

    assert (False, "a") == (breaker.is_open, run.planner.failed_id)
    run.fail([second], down(), 2.0)

    assert (True, 2.0, "b") == (breaker.is_open, breaker.probe_at, run.planner.failed_id)


@pytest.mark.parametrize("lives", [True, False])
def test_provisional_failures_count_if_the_gateway_is_up(lives: bool) -> None:  # noqa: FBT001
    """With one request in all, they are outcomes if it is up, and forgotten if it is down."""
    run = PlannerHarness(options={"max_asks": 1})
    first, second = run.begin("ab")
    run.fail([first], down(), 1.0)
    run.fail([second], down(), 2.0)

    assert {} == run.outcomes
    run.planner.breaker.try_probe(2.0)
    run.planner.record_probe(None if lives else down())

    assert ({"a": "TransportError", "b": "TransportError"} if lives else {}) == run.outcomes
    assert lives is run.planner.done
    assert (not lives) is run.planner.breaker.is_exhausted


def test_a_failure_counts_if_no_other_answer_can_follow() -> None:
    """The last id has its outcome at once, and the run does not wait for ever."""
    run = PlannerHarness(options={"max_asks": 1})
    (item,) = run.begin("a")
    run.fail([item], down(), 1.0)

    assert {"a": type(down()).__name__} == run.outcomes
    assert run.planner.done


def test_what_does_not_count_is_forgotten() -> None:
    """After an outage an id has all its requests again."""
    run = PlannerHarness()
    first, second = run.begin("ab")
    run.fail([first], down(), 1.0)
    run.fail([second], down(), 2.0)
    run.planner.breaker.try_probe(2.0)
    run.planner.record_probe(down())
    run.planner.record_probe(None)
    (again,) = run.planner.queues.next_seeds(31.0)
    run.fail([again], down(), 31.0)
    (other,) = run.planner.queues.next_seeds(32.0)
    run.planner.record_seeds([other], [seed("b")])

    assert {"b": "seed"} == run.outcomes
    assert 61.0 == run.planner.queues.due


def test_an_answer_while_it_is_asked_does_not_make_them_count() -> None:
    """The gateway may have sent it before it went."""
    run = PlannerHarness(options={"max_asks": 1, "concurrency": 2})
    first, second, third = run.begin("abc")
    run.fail([first], down(), 1.0)
    run.fail([second], down(), 2.0)
    run.planner.breaker.try_probe(2.0)
    run.planner.record_seeds([third], [seed("c")])

    assert {"c": "seed"} == run.outcomes
    run.planner.record_probe(down())

    assert {"c": "seed"} == run.outcomes


def test_a_list_that_can_be_read_again_is_a_list() -> None:
    """A probe is a list, or a fetch if the last list could not be read."""
    run = PlannerHarness()
    planner = run.planner
    planner.add_all([str(number) for number in range(3)])
    seen = []
    run.fail(planner.queues.next_list(0.0, 1), errors.UnsupportedError(status_code=404), 0.0)
    seen.append(planner.lists_unreadable)
    planner.record_list(planner.queues.next_list(0.0, 1), TaskList([], ["1"]))
    seen.append(planner.lists_unreadable)

    assert [True, False] == seen


def test_another_answer_makes_a_failure_count() -> None:
    """It shows that the gateway is up."""
    run = PlannerHarness(options={"max_asks": 1})
    first, second = run.begin("ab")
    run.fail([first], down(), 1.0)
    run.planner.record_seeds([second], [seed("b")])

    assert {"a": "TransportError", "b": "seed"} == run.outcomes


def test_an_outcome_has_an_error_of_its_own() -> None:
    """A list's error is copied for each of its ids, and a seed's gets the task that was seen."""
    run = PlannerHarness(options={"max_asks": 1, "concurrency": 9})
    run.begin("ab", listed=False)
    error = errors.APIError(status_code=400)
    run.fail(run.planner.queues.next_list(0.0, 9), error, 0.0)

    assert ["a", "b"] == [one.error.task_id for one in run.received if one.error]
    assert error.task_id is None
    other = PlannerHarness()
    (item,) = other.begin("c")
    other.fail([item], errors.SeedUnavailableError(task_id="c", code=4), 0.0)

    assert "SUCCESS" == other.received[0].error.task.status  # type: ignore[union-attr]


def test_the_input_is_wanted_as_far_as_there_is_room() -> None:
    """A hundred are read ahead, and ten thousand are under way at most."""
    run = PlannerHarness(options={"concurrency": 20_000})
    wanted = []
    while run.planner.wanted:
        wanted.append(run.planner.wanted)
        run.planner.add_all([str(number) for number in range(100)])
        items = run.planner.queues.next_list(0.0, 100)
        run.planner.record_list(items, page([item.task_id for item in items]))
        for _ in items:
            run.fail(run.planner.queues.next_seeds(0.0), later("0"), 0.0)

    assert [100] * 100 == wanted


def test_the_reader_learns_if_work_arose() -> None:
    """With the first id, when there are enough, and with each task."""
    planner = PlannerHarness().planner
    told = [planner.add_all(["a"]), planner.add_all(["b"]), planner.add_all([DONE])]
    told.append(planner.add_all([str(number) for number in range(98)]))

    assert [True, False, True, True] == told


def test_a_seed_of_another_id_is_ignored() -> None:
    """Only ids that were asked for get an outcome."""
    run = PlannerHarness(options={"batch_size": 2})
    run.planner.add_all([attrs.evolve(DONE, id=one) for one in "ab"])
    run.planner.record_seeds(
        run.planner.queues.next_seeds(0.0), [ImageSeed("x", "5", "documented"), seed("a")]
    )

    assert {"a": "seed"} == run.outcomes
    assert ["b"] == [item.task_id for item in run.planner.queues.next_seeds(0.0)]
