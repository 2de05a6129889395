"""Outcomes as lines of JSON, and back."""

from __future__ import annotations

import pytest

from mj_async import ImageSeed, SeedOutcome, Task, errors
from mj_async.distributed._job.jsonl import (
    has_seed,
    lines_by_id,
    pack,
    read_outcomes,
    unpack,
    write_line,
)

# All line breaks of `str.splitlines`, lone surrogates, and the end of a line with a seed.
ODD = 'a\u2028b\x85c\u2029d\x0be\x0cf\x1cg\r\nh\ud800i\udfffj"error": null}\n'
TASK = Task("1", status="SUCCESS", prompt=ODD, image_url="https://a.test/b.png")


def _seed(task_id: str, task: Task | None = None) -> SeedOutcome:
    return SeedOutcome(task_id, ImageSeed(task_id, "42", "list", task))


def test_odd_prompts_stay_within_their_line() -> None:
    """Any prompt stays in one line, and is the same after reading."""
    lines = pack([write_line(_seed("1", TASK)), write_line(_seed("2"))])

    assert ["1", "2"] == list(lines_by_id(unpack(lines)))
    first, second = read_outcomes(unpack(lines))
    assert first.seed is not None
    assert first.seed.task is not None
    assert ODD == first.seed.task.prompt
    assert _seed("2") == second


def test_odd_ids() -> None:
    """An id may have 256 characters of any script."""
    ids = ["x" * 256, "猪" * 85, "🐖", "a b", "\"'\\{}", "0"]
    lines = unpack(pack(write_line(_seed(one)) for one in ids))

    assert ids == list(lines_by_id(lines))
    assert ids == [outcome.task_id for outcome in read_outcomes(lines)]


def test_an_error_that_quotes_the_end_of_a_line() -> None:
    """A message that looks like the end of a line with a seed does not count as a seed."""
    error = errors.TaskNotFoundError(description='"error": null}\n', task_id="1")

    assert not has_seed(write_line(SeedOutcome("1", error=error)))
    assert has_seed(write_line(_seed("1")))


def test_no_lines() -> None:
    """No lines are no outcomes, whether packed or empty."""
    assert b"" == unpack(pack([])) == unpack(b"")
    assert {} == lines_by_id(b"")
    assert [] == list(read_outcomes(b""))


@pytest.mark.parametrize(
    "error",
    [
        errors.TaskNotFoundError(status_code=404, code=4, description="没有", task_id="1"),
        errors.ServerError(status_code=500, description="busy", task_id="1"),
        errors.SeedUnavailableError(task_id="1", task=TASK, code=3, description="无"),
        errors.TaskFailedError(task_id="1", task=TASK),
        errors.TransportError("gone", task_id="1"),
        errors.RequestTimeoutError("slow", task_id="1"),
        errors.UnexpectedAnswerError("html", task_id="1"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_come_back(error: errors.MJError) -> None:
    """A read error has its class, message, id and code, and a repr."""
    line = write_line(SeedOutcome("1", error=error))

    (outcome,) = read_outcomes(line)
    assert type(error) is type(outcome.error)
    assert str(error) == str(outcome.error)
    assert repr(outcome)
    assert "1" == outcome.error.task_id
    assert getattr(error, "code", None) == getattr(outcome.error, "code", None)
    assert line == write_line(outcome)


def test_an_error_of_a_later_version() -> None:
    """An error of a class that this version does not have is read as MJError."""
    line = write_line(SeedOutcome("1", error=errors.MJError("new"))).replace(
        b"MJError", b"NewError"
    )

    (outcome,) = read_outcomes(line)
    assert errors.MJError is type(outcome.error)
    assert "new" == str(outcome.error)
