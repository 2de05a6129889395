"""What became of one id of many: a task, a seed, or an error; final or not."""

from __future__ import annotations

import copy
import math
import pickle

import anyio
import attrs
import pytest

from mj_async import ImageSeed, SeedOutcome, Task, TaskOutcome, errors
from mj_async._outcomes import OutcomeQueue, failure_of

SEED = ImageSeed("1", "636646138", "image-seed")
DONE = Task("1", status="SUCCESS")
WORKING = Task("1", status="IN_PROGRESS")
NO_ACCOUNT = "无可用的账号实例"


def test_a_good_outcome() -> None:
    """With a seed there is no error, and unwrap gives the seed."""
    outcome = SeedOutcome("1", SEED)

    assert ("1", SEED, None) == (outcome.task_id, outcome.seed, outcome.error)
    assert SEED is outcome.unwrap()
    assert outcome.final


def test_an_outcome_as_a_line_has_seven_fields() -> None:
    """A seed is a line with the task as seen on the way."""
    url = "https://cdn.example/1.png"
    task = Task("1", status="SUCCESS", prompt="小猪", image_url=url)
    line = {
        "task_id": "1",
        "seed": "0",
        "source": "list",
        "status": "SUCCESS",
        "prompt": "小猪",
        "image_url": url,
        "error": None,
    }

    found = SeedOutcome("1", ImageSeed("1", "0", "list", task)).to_dict()

    assert line == found
    assert list(line) == list(found)


def test_a_line_without_a_seed_says_why() -> None:
    """An error has its class and its message, and the task is told where it was seen."""
    error = errors.TaskNotFoundError(task_id="1")
    failed = Task("1", status="FAILURE")

    unknown = SeedOutcome("1", error=error).to_dict()
    told = SeedOutcome("1", error=errors.TaskFailedError(task_id="1", task=failed)).to_dict()

    assert {"1", None} == {unknown.pop("task_id"), *list(unknown.values())[:-1]}
    assert {"type": "TaskNotFoundError", "message": str(error)} == unknown["error"]
    assert ("FAILURE", "TaskFailedError") == (told["status"], told["error"]["type"])


def test_a_line_tells_what_is_not_final() -> None:
    """Where asking again may give another answer, the error says so."""
    outcome = SeedOutcome("1", error=errors.ServerError(task_id="1", status_code=502))

    assert ("ServerError", False) == (
        outcome.to_dict()["error"]["type"],
        outcome.to_dict()["error"]["final"],
    )


def test_a_bad_outcome() -> None:
    """With an error there is no seed, and unwrap raises the error."""
    error = errors.TaskNotFoundError(task_id="1")
    outcome = SeedOutcome("1", error=error)
    with pytest.raises(errors.TaskNotFoundError) as caught:
        outcome.unwrap()

    assert ("1", None, error) == (outcome.task_id, outcome.seed, outcome.error)
    assert error is caught.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.TaskNotFoundError(task_id="1"), True),
        (errors.TaskFailedError(task_id="1", task=Task("1", status="FAILURE")), True),
        (errors.TaskCancelledError(task_id="1", task=Task("1", status="CANCEL")), True),
        (errors.SeedUnavailableError(task_id="1", task=DONE), True),
        (errors.SeedUnavailableError(task_id="1", task=WORKING), False),
        (errors.SeedUnavailableError(task_id="1", task=WORKING, code=4), False),
        (errors.SeedUnavailableError(task_id="1", code=4), False),
        (errors.SeedUnavailableError(task_id="1", code=5), False),
        (errors.SeedUnavailableError(task_id="1", code=9), False),
        (errors.SeedUnavailableError(task_id="1", task=DONE, code=4), True),
        (errors.SeedUnavailableError(task_id="1", task=DONE, code="9"), False),
        (errors.SeedUnavailableError(task_id="1", task=DONE, code=3, description="no"), True),
        (errors.SeedUnavailableError(task_id="1", code=3, description="未找到 seed"), True),
        (errors.SeedUnavailableError(task_id="1", code=3, description=NO_ACCOUNT), False),
        (
            errors.SeedUnavailableError(task_id="1", task=DONE, code=3, description=NO_ACCOUNT),
            False,
        ),
        (errors.TransportError("reset"), False),
        (errors.RequestTimeoutError("slow"), False),
        (errors.UnexpectedAnswerError("cut short"), False),
        (errors.ServerError(status_code=500), False),
        (errors.RateLimitError(status_code=429), False),
        (errors.AuthenticationError(status_code=401), False),
        (errors.PermissionDeniedError(status_code=403), False),
    ],
    ids=str,
)
def test_what_is_final(error: errors.MJError, expected: bool) -> None:  # noqa: FBT001
    """An outcome is final where asking again could not change it."""
    assert expected == SeedOutcome("1", error=error).final


@pytest.mark.parametrize(
    "outcome",
    [SeedOutcome("1", SEED), SeedOutcome("1", error=errors.TaskNotFoundError(task_id="1"))],
    ids=["good", "bad"],
)
def test_outcomes_travel(outcome: SeedOutcome) -> None:
    """Outcomes can be copied and pickled."""
    for other in (copy.copy(outcome), pickle.loads(pickle.dumps(outcome))):  # noqa: S301
        assert (outcome.task_id, outcome.seed) == (other.task_id, other.seed)
        assert str(outcome.error) == str(other.error)
        assert outcome.final == other.final


# --- of a wait ------------------------------------------------------------------------------------

FAILED = Task("1", status="FAILURE", fail_reason="banned")
FAILURE = errors.TaskFailedError(task_id="1", task=FAILED, elapsed=5.0, polls=2)


def test_a_task_that_has_succeeded() -> None:
    """With a task there is no error, and unwrap gives the task."""
    outcome = TaskOutcome("1", DONE)

    assert ("1", DONE, None) == (outcome.task_id, outcome.task, outcome.error)
    assert DONE is outcome.unwrap()


def test_a_task_that_has_not() -> None:
    """With an error there is no task but in the error, and unwrap raises it."""
    outcome = TaskOutcome("1", error=FAILURE)
    with pytest.raises(errors.TaskFailedError) as caught:
        outcome.unwrap()

    assert ("1", None, FAILURE) == (outcome.task_id, outcome.task, outcome.error)
    assert (FAILURE, FAILED) == (caught.value, caught.value.task)


def test_an_outcome_does_not_change() -> None:
    """It is a frozen value."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        TaskOutcome("1", DONE).task = None  # type: ignore[misc]

    assert TaskOutcome("1", DONE) == TaskOutcome("1", DONE)
    assert TaskOutcome("1", DONE) != TaskOutcome("2", DONE)


@pytest.mark.parametrize(
    "outcome",
    [
        TaskOutcome("1", DONE),
        TaskOutcome("1", error=FAILURE),
        TaskOutcome("1", error=errors.WaitTimeoutError(task_id="1", task=None)),
        TaskOutcome("1", error=errors.TransportError("reset", task_id="1")),
    ],
    ids=str,
)
def test_outcomes_of_waits_travel(outcome: TaskOutcome) -> None:
    """They can be copied and pickled, the task in the error too."""
    for other in (copy.copy(outcome), pickle.loads(pickle.dumps(outcome))):  # noqa: S301
        assert (outcome.task_id, outcome.task) == (other.task_id, other.task)
        assert (str(outcome.error), type(outcome.error)) == (str(other.error), type(other.error))
        assert getattr(outcome.error, "task", None) == getattr(other.error, "task", None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("FAILURE", errors.TaskFailedError),
        ("CANCEL", errors.TaskCancelledError),
        ("SUCCESS", None),
        ("MODAL", None),
        ("IN_PROGRESS", None),
        ("", None),
    ],
)
def test_which_end_is_a_failure(status: str, kind: type[errors.TaskError] | None) -> None:
    """FAILURE and CANCEL are, with the task, the time and the polls."""
    task = Task("1", status=status)
    failure = failure_of("1", task, elapsed=5.0, polls=2)

    assert kind is (None if failure is None else type(failure))
    assert failure is None or ("1", task, 5.0, 2) == (
        failure.task_id,
        failure.task,
        failure.elapsed,
        failure.polls,
    )


# --- on their way to the reader -------------------------------------------------------------------


@pytest.mark.anyio
async def test_outcomes_are_taken_in_the_order_of_put() -> None:
    """Each outcome is returned once, in the order of `put`, and None after the last one."""
    queue = OutcomeQueue[int](math.inf)
    for number in range(5):
        queue.put(number)
    queue.close()

    assert [0, 1, 2, 3, 4] == [await queue.get() for _ in range(5)]
    assert (None, None) == (await queue.get(), await queue.get())


@pytest.mark.anyio
async def test_a_reader_waits_for_the_next() -> None:
    """`get` waits for the next `put`, or until the queue is closed."""
    queue = OutcomeQueue[str](1)
    taken: list[str | None] = []

    async def read() -> None:
        while (one := await queue.get()) is not None:
            taken.append(one)
        taken.append("the end")

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            queue.put("one")
            await anyio.wait_all_tasks_blocked()
            assert ["one"] == taken
            queue.close()

    assert ["one", "the end"] == taken


@pytest.mark.anyio
async def test_a_cancelled_reader_loses_nothing() -> None:
    """An outcome that is put after a reader was cancelled is for the next reader."""
    queue = OutcomeQueue[str](1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.get()
    queue.put("one")

    assert scope.cancelled_caught
    assert "one" == await queue.get()


@pytest.mark.anyio
async def test_room_holds_back_those_who_get_more() -> None:
    """`wait_for_room` waits while the queue is full; `put` never does."""
    queue = OutcomeQueue[int](2)
    let_in: list[int] = []

    async def get(number: int) -> None:
        await queue.wait_for_room()
        let_in.append(number)

    with anyio.fail_after(2):
        async with anyio.create_task_group() as group:
            await get(0)
            for number in range(3):
                queue.put(number)
            group.start_soon(get, 1)
            await anyio.wait_all_tasks_blocked()
            assert [0] == let_in
            assert [0, 1] == [await queue.get(), await queue.get()]
            await anyio.wait_all_tasks_blocked()

    assert [0, 1] == let_in


@pytest.mark.anyio
async def test_without_a_limit_there_is_always_room() -> None:
    """Without a limit, `wait_for_room` never waits."""
    queue = OutcomeQueue[int](math.inf)
    for number in range(1000):
        queue.put(number)

    with anyio.fail_after(2):
        await queue.wait_for_room()


@pytest.mark.parametrize(
    ("code", "description", "final"),
    [
        (5, "do_request_failed", False),
        (9, "超时", False),
        (3, "无可用的账号实例", False),
        (3, "未找到 seed", True),
        (4, "该任务所属渠道已被禁用", True),
    ],
)
def test_a_finished_task_may_have_its_seed_later(
    code: int, description: str, *, final: bool
) -> None:
    """Time-outs and missing accounts pass; what the gateway does not have is final."""
    error = errors.SeedUnavailableError(
        task_id="1", task=Task("1", status="SUCCESS"), code=code, description=description
    )

    assert final == SeedOutcome("1", error=error).final
