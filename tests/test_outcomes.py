"""What became of one id of many: a seed or an error, final or not."""

from __future__ import annotations

import copy
import pickle

import pytest

from mj_async import ImageSeed, SeedOutcome, Task, errors
from mj_async._outcomes import TaskOutcome

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


def test_the_outcome_of_a_wait() -> None:
    """It gives its task, or raises its error."""
    failed = TaskOutcome("1", error=errors.TaskNotFoundError(task_id="1"))

    assert DONE is TaskOutcome("1", DONE).unwrap()
    with pytest.raises(errors.TaskNotFoundError):
        failed.unwrap()
