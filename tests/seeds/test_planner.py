"""What a run of seeds asks next, and what an answer means, without asking and without waiting."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from _desk import down, later, page, seed
from mj_async import ImageSeed, SeedOutcome, Task, TaskList, errors
from mj_async._seeds.planner import SeedOptions, SeedPlanner
from mj_async._seeds.queues import SeedItem

DONE = Task("0", status="SUCCESS")


@attrs.define
class OutcomeStream:
    """A ledger, and what has landed from it."""

    landed: list[SeedOutcome] = attrs.field(factory=list)
    plan: dict[str, Any] = attrs.field(factory=dict)
    ledger: SeedPlanner = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = {"concurrency": 2, "batch_size": 1, "ask_again_after": 30.0, "max_asks": 2}
        self.ledger = SeedPlanner(SeedOptions(**{**plan, **self.plan}), self.landed.append)

    def begin(self, ids: str, *, listed: bool = True) -> list[SeedItem]:
        """Give the ids in, and take those to be asked for one by one."""
        tasks = [attrs.evolve(DONE, id=one) if listed else one for one in ids]
        self.ledger.add_all(tasks)
        self.ledger.input_ended = True
        return [entry for _ in ids for entry in self.ledger.take_seeds(0.0)]

    @property
    def outcomes(self) -> dict[str, str]:
        """Name what has landed."""
        return {
            one.task_id: "seed" if one.seed else type(one.error).__name__ for one in self.landed
        }


def test_a_listed_id_lands_or_is_asked_for() -> None:
    """Only what has succeeded without showing its seed is left."""
    run = OutcomeStream()
    run.begin("abcde", listed=False)
    entries = run.ledger.take_list(0.0, 100)
    tasks = [
        Task("a", status="SUCCESS", seed="5"),
        Task("b", status="FAILURE"),
        Task("c", status="IN_PROGRESS"),
        Task("d", status="SUCCESS"),
    ]
    run.ledger.listed(entries, TaskList(tasks, ["e"]))

    assert {
        "a": "seed",
        "b": "TaskFailedError",
        "c": "SeedUnavailableError",
        "e": "TaskNotFoundError",
    } == run.outcomes
    (left,) = run.ledger.take_seeds(0.0)
    run.ledger.seeded([left], [seed("d")])

    assert ("seed", True) == (run.outcomes["d"], run.ledger.done)


def test_an_id_that_may_be_had_later_is_due_later() -> None:
    """It is not given out before, and its last error is its outcome."""
    run = OutcomeStream()
    (entry,) = run.begin("a")
    run.ledger.failed([entry], later("a"), 10.0)

    assert (40.0, []) == (run.ledger.due, run.ledger.take_seeds(39.9))
    assert [entry] == run.ledger.take_seeds(40.0)
    run.ledger.failed([entry], later("a"), 45.0)

    assert {"a": "SeedUnavailableError"} == run.outcomes
    assert run.ledger.done


def test_failures_in_a_row_hold_everything() -> None:
    """Nothing is given out any more but the question whether the gateway lives."""
    run = OutcomeStream()
    first, second, _third = run.begin("abc")
    run.ledger.add_all(["x"])
    run.ledger.failed([first], down(), 1.0)

    assert run.ledger.take_pulse(1.0) is None
    run.ledger.failed([second], down(), 2.0)

    assert ([], []) == (run.ledger.take_list(2.0, 1), run.ledger.take_seeds(99.0))
    assert 2.0 == run.ledger.due
    assert ("b", None) == (run.ledger.take_pulse(2.0), run.ledger.take_pulse(2.0))
    assert [None, None] == [run.ledger.due, run.ledger.list_due(2.0)]


@pytest.mark.parametrize("lives", [True, False])
def test_whether_failures_count_is_known_afterwards(lives: bool) -> None:  # noqa: FBT001
    """With one ask in all, they are outcomes where the gateway lives, and else forgotten."""
    run = OutcomeStream(plan={"max_asks": 1})
    first, second = run.begin("ab")
    run.ledger.failed([first], down(), 1.0)
    run.ledger.failed([second], down(), 2.0)

    assert {} == run.outcomes
    run.ledger.take_pulse(2.0)
    run.ledger.probed(None if lives else down())

    assert ({"a": "TransportError", "b": "TransportError"} if lives else {}) == run.outcomes
    assert lives is run.ledger.done
    assert (not lives) is run.ledger.pulse.gone


def test_what_does_not_count_is_forgotten() -> None:
    """After a silence an id has all its asks again."""
    run = OutcomeStream()
    first, second = run.begin("ab")
    run.ledger.failed([first], down(), 1.0)
    run.ledger.failed([second], down(), 2.0)
    run.ledger.take_pulse(2.0)
    run.ledger.probed(down())
    run.ledger.probed(None)
    (again,) = run.ledger.take_seeds(31.0)
    run.ledger.failed([again], down(), 31.0)
    (other,) = run.ledger.take_seeds(32.0)
    run.ledger.seeded([other], [seed("b")])

    assert {"b": "seed"} == run.outcomes
    assert 61.0 == run.ledger.due


def test_an_answer_while_it_is_asked_does_not_make_them_count() -> None:
    """The gateway may have sent it before it went."""
    run = OutcomeStream(plan={"max_asks": 1, "concurrency": 2})
    first, second, third = run.begin("abc")
    run.ledger.failed([first], down(), 1.0)
    run.ledger.failed([second], down(), 2.0)
    run.ledger.take_pulse(2.0)
    run.ledger.seeded([third], [seed("c")])

    assert {"c": "seed"} == run.outcomes
    run.ledger.probed(down())

    assert {"c": "seed"} == run.outcomes


def test_a_list_that_can_be_read_again_is_a_list() -> None:
    """By it the gateway is asked whether it lives, and by /fetch where the last was not read."""
    ledger = OutcomeStream().ledger
    ledger.add_all([str(number) for number in range(3)])
    seen = []
    ledger.failed(ledger.take_list(0.0, 1), errors.UnsupportedError(status_code=404), 0.0)
    seen.append(ledger.listless)
    ledger.listed(ledger.take_list(0.0, 1), TaskList([], ["1"]))
    seen.append(ledger.listless)

    assert [True, False] == seen


def test_another_answer_makes_a_failure_count() -> None:
    """It shows that the gateway lives."""
    run = OutcomeStream(plan={"max_asks": 1})
    first, second = run.begin("ab")
    run.ledger.failed([first], down(), 1.0)
    run.ledger.seeded([second], [seed("b")])

    assert {"a": "TransportError", "b": "seed"} == run.outcomes


def test_an_outcome_has_an_error_of_its_own() -> None:
    """A list's error is copied for each of its ids, and a seed's gets the task that was seen."""
    run = OutcomeStream(plan={"max_asks": 1, "concurrency": 9})
    run.begin("ab", listed=False)
    error = errors.APIError(status_code=400)
    run.ledger.failed(run.ledger.take_list(0.0, 9), error, 0.0)

    assert ["a", "b"] == [one.error.task_id for one in run.landed if one.error]
    assert error.task_id is None
    other = OutcomeStream()
    (entry,) = other.begin("c")
    other.ledger.failed([entry], errors.SeedUnavailableError(task_id="c", code=4), 0.0)

    assert "SUCCESS" == other.landed[0].error.task.status  # type: ignore[union-attr]


def test_the_input_is_wanted_as_far_as_there_is_room() -> None:
    """A hundred are read ahead, and ten thousand are under way at most."""
    run = OutcomeStream(plan={"concurrency": 20_000})
    wanted = []
    while run.ledger.wanted:
        wanted.append(run.ledger.wanted)
        run.ledger.add_all([str(number) for number in range(100)])
        entries = run.ledger.take_list(0.0, 100)
        run.ledger.listed(entries, page([entry.task_id for entry in entries]))
        for _ in entries:
            run.ledger.failed(run.ledger.take_seeds(0.0), later("0"), 0.0)

    assert [100] * 100 == wanted
    run.ledger.input_ended = True

    assert 0 == run.ledger.wanted


def test_who_reads_is_told_whether_somebody_can_go_on() -> None:
    """With the first id, when there are enough, and with each task."""
    ledger = OutcomeStream().ledger
    told = [ledger.add_all(["a"]), ledger.add_all(["b"]), ledger.add_all([DONE])]
    told.append(ledger.add_all([str(number) for number in range(98)]))

    assert [True, False, True, True] == told


def test_a_seed_of_another_id_is_nobodys() -> None:
    """What was not asked for is left aside."""
    run = OutcomeStream(plan={"batch_size": 2})
    run.ledger.add_all([attrs.evolve(DONE, id=one) for one in "ab"])
    run.ledger.seeded(run.ledger.take_seeds(0.0), [ImageSeed("x", "5", "documented"), seed("a")])

    assert {"a": "seed"} == run.outcomes
    assert ["b"] == [entry.task_id for entry in run.ledger.take_seeds(0.0)]
