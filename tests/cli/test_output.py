"""The output of the command line: text, durations, exit codes, rows, and progress."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mj_async import Button, ImageSeed, SeedOutcome, Task, errors
from mj_async.cli.output._exit_codes import combine_exit_codes, exit_code_for, exit_code_of_run
from mj_async.cli.output._progress import ProgressTable, SeedProgress, outcome_label
from mj_async.cli.output._rows import task_details, task_row
from mj_async.cli.output._terminal import OutputError
from mj_async.cli.output._text import format_duration, sanitize, to_json_line

from ._commands import rendered

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AGO = timedelta(seconds=41)
DONE_TASK = Task("1", status="SUCCESS", image_url="https://cdn.example/1.png", prompt="小猪")
FAILED = Task("1", status="FAILURE", fail_reason="Banned")
RUNNING = Task("1", status="IN_PROGRESS", progress_text="40%", submit_time=NOW - AGO)


LATE = errors.WaitTimeoutError(task_id="1", task=RUNNING)

# --- text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("小猪 🔄", "小猪 🔄"),
        ("\x1b[31mred\x1b]0;title\x07", " [31mred ]0;title "),
        ("two\r\nlines\u2028three", "two lines three"),
        ("\x9b31m\x7f", " 31m "),
        ("right\u202eleft\u2066", "right left "),
        ("half \ud83d", "half  "),
    ],
)
def test_text_cannot_steer_a_terminal(text: str, cleaned: str) -> None:
    """Control characters become a space, and the text is one line."""
    assert cleaned == sanitize(text)


@given(st.text())
def test_json_reads_back_and_steers_nothing(text: str) -> None:
    """Any text of a gateway is one line of valid JSON in UTF-8."""
    written = to_json_line({"prompt": text})

    assert {"prompt": text} == json.loads(written.encode())
    assert written == sanitize(written)
    assert to_json_line({"prompt": text}, ascii_only=True).isascii()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0s"),
        (41.4, "41s"),
        (59.6, "1m00s"),
        (125, "2m05s"),
        (3599, "59m59s"),
        (11_520, "3h12m"),
        (446_400, "5d04h"),
    ],
)
def test_times_are_short(seconds: float, shown: str) -> None:
    """A time has at most six characters."""
    assert shown == format_duration(seconds)


# --- exit codes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (errors.TaskNotFoundError(task_id="1"), 1),
        (errors.SeedUnavailableError(task_id="1"), 1),
        (errors.TaskFailedError(task_id="1", task=FAILED), 1),
        (errors.TaskNeedsInputError(task_id="1", task=RUNNING), 1),
        (errors.WaitTimeoutError(task_id="1", task=None), 1),
        (errors.WaitTimeoutError(task_id="1", task=RUNNING, last_error=errors.ServerError()), 1),
        (errors.WaitTimeoutError(task_id="1", task=None, last_error=errors.ServerError()), 3),
        (errors.ConfigurationError("bad"), 2),
        (errors.AuthenticationError(), 3),
        (errors.PermissionDeniedError(), 3),
        (errors.RateLimitError(), 3),
        (errors.ServerError(), 3),
        (errors.UnsupportedError(), 3),
        (errors.APIError(), 3),
        (errors.TransportError("reset"), 3),
        (errors.RequestTimeoutError("late"), 3),
        (errors.UnexpectedAnswerError("html"), 3),
    ],
)
def test_each_error_has_its_code(error: errors.MJError | None, code: int) -> None:
    """1: the gateway has answered; 2: a mistake of the user; 3: a failure of the gateway."""
    assert code == exit_code_for(error)


@pytest.mark.parametrize(
    ("codes", "code"),
    [((), 0), ((0, 0), 0), ((0, 1), 1), ((1,), 1), ((0, 3), 1), ((1, 3), 1), ((3, 3), 3)],
)
def test_many_codes_make_one(codes: tuple[int, ...], code: int) -> None:
    """The exit code is 3 only if the gateway failed for every id."""
    assert code == combine_exit_codes(codes)


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1), (errors.ServerError(), 3), (errors.ConfigurationError("x"), 2), (OutputError(), 1)],
)
def test_what_ends_a_run_decides(error: Exception | None, code: int) -> None:
    """An error that ended the run decides; without one, the ids do."""
    assert code == exit_code_of_run(error, [0, 1])


# --- rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "error", "row"),
    [
        (DONE_TASK, None, "1 SUCCESS        -      - https://cdn.example/1.png"),
        (FAILED, None, "1 FAILURE        -      - Banned"),
        (RUNNING, None, "1 IN_PROGRESS  40%    41s"),
        (
            RUNNING,
            LATE,
            f"1 WaitTimeoutError  40%    41s {LATE}",
        ),
        (Task("1"), None, "1 -              -      -"),
        (Task("1", status="Waiting\tlong"), None, "1 Waiting_long    -      -"),
        (
            Task("1", status="SUCCESS", image_urls=("https://a.example",), submit_time=NOW),
            None,
            "1 SUCCESS        -      - https://a.example",
        ),
        (
            Task(
                "1", status="SUCCESS", video_url="https://v", submit_time=NOW - AGO, finish_time=NOW
            ),
            None,
            "1 SUCCESS        -    41s https://v",
        ),
    ],
)
def test_a_row_has_five_fields(task: Task, error: errors.MJError | None, row: str) -> None:
    """A row has id, status or error, progress, time, and a remark; unknown values are a dash."""
    assert row == task_row("1", task, error, NOW).plain


def test_details_leave_out_what_is_not_there() -> None:
    """A button without a label is its emoji; without both it is a question mark."""
    buttons = (Button(label="U1"), Button(emoji="🔄"), Button())
    lines = [line.plain for line in task_details(Task("1", status="SUCCESS", buttons=buttons))]

    assert ["id         1", "status     SUCCESS", "buttons    U1 🔄 ?"] == lines


# --- the table --------------------------------------------------------------------------------


def table_of(count: int) -> ProgressTable:
    """Return a table with that many unfinished ids, the first of them seen."""
    table = ProgressTable("ended", lambda: 1000)
    for number in range(count):
        table.update(f"17306218{number:08}", None)
    table.update("1730621800000000", RUNNING)
    table.finish("gone", "SUCCESS")
    return table


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (120, 50)])
def test_the_table_fits_its_terminal(width: int, height: int) -> None:
    """The table has the ids that fit, the number of the others, and totals."""
    lines = rendered(table_of(999), width, height)

    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    assert ["ID", "STATUS", "%", "TIME"] == lines[0].split()
    assert ["1730621800000000", "IN_PROGRESS", "40%"] == lines[1].split()[:3]
    assert lines[2].startswith("1730621800000001 not seen ")
    assert any(line.startswith("and 9") and "more" in line for line in lines)
    totals = "1 of 1000 ended: 1 SUCCESS; 999 under way: 998 not seen yet, 1 IN_PROGRESS"
    assert totals in " ".join(line.strip() for line in lines)


def test_long_ids_show_their_ends() -> None:
    """Long ids are cut at the start, because ids of one day begin alike."""
    table = ProgressTable("ended", lambda: 1)
    table.update("task_" + "0" * 40 + "17", None)
    lines = rendered(table, 40, 12)

    assert lines[1].startswith("..00000000000017 ")


def test_an_empty_board_is_its_totals() -> None:
    """An unknown number of ids is left out."""
    assert ["0 listed"] == rendered(ProgressTable("listed", lambda: None), 80, 24)


# --- seeds ------------------------------------------------------------------------------------


def seedless(**fields: object) -> SeedOutcome:
    """Return an outcome without a seed."""
    return SeedOutcome("1", error=errors.SeedUnavailableError(task_id="1", **fields))  # type: ignore[arg-type]


FOUND = SeedOutcome("1", ImageSeed("1", "0", "list", DONE_TASK))
UNKNOWN = SeedOutcome("1", error=errors.TaskNotFoundError(task_id="1"))


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (FOUND, "found"),
        (UNKNOWN, "unknown"),
        (SeedOutcome("1", error=errors.TaskFailedError(task_id="1", task=FAILED)), "failed"),
        (SeedOutcome("1", error=errors.TaskCancelledError(task_id="1", task=None)), "cancelled"),
        (seedless(task=DONE_TASK), "without a seed"),
        (seedless(task=RUNNING), "unfinished"),
        (seedless(task=DONE_TASK, code=5), "to ask again"),
        (seedless(), "to ask again"),
        (SeedOutcome("1", error=errors.ServerError(task_id="1")), "to ask again"),
    ],
)
def test_each_outcome_is_counted_under_a_word(outcome: SeedOutcome, word: str) -> None:
    """An outcome that is not final is counted as unfinished, or to ask again."""
    assert word == outcome_label(outcome)


def test_the_rate_is_that_of_the_last_two_minutes() -> None:
    """The rate forgets a pause after two minutes, and falls while no outcome comes."""
    now = [0.0]
    count = SeedProgress(lambda: 1390, lambda: now[0])

    def summary_at(time: float, done: int) -> str:
        now[0] = time
        for _ in range(done - count.done):
            count.add(FOUND)
        return count.summary().partition(":")[0]

    assert "0 of 1390, 0.0/s" == summary_at(0.0, 0)
    assert "220 of 1390, 2.0/s, 9m45s left" == summary_at(110.0, 220)
    assert "220 of 1390, 1.8/s, 10m39s left" == summary_at(120.0, 220)
    assert "1300 of 1390, 9.0/s, 10s left" == summary_at(230.0, 1300)
    assert "1300 of 1390, 0.0/s" == summary_at(900.0, 1300)


def test_a_duplicate_id_leaves_the_rate_alone() -> None:
    """A lower total does not reset the rate."""
    now, total = [0.0], [10]
    count = SeedProgress(lambda: total[0], lambda: now[0])
    count.add(FOUND)
    now[0] = 1.0
    count.summary()
    total[0] = 3

    assert "1 of 3, 1.0/s, 2s left: found 1" == count.summary()


def test_the_count_speaks() -> None:
    """The summary has progress, rate, time left and counts."""
    now = [0.0]
    count = SeedProgress(lambda: 4, lambda: now[0])

    assert "0 of 4, 0.0/s" == count.summary()
    count.add(FOUND)
    count.add(UNKNOWN)
    now[0] = 4.0
    assert "2 of 4, 0.5/s, 4s left: found 1, unknown 1" == count.summary()
    count.add(seedless())
    assert "3 ids in 4s: found 1, unknown 1, to ask again 1" == count.final_summary()
    assert (1, {0, 1}) == (count.not_final, count.exit_codes)


def test_the_count_does_not_guess() -> None:
    """Without a total there is no time left."""
    count = SeedProgress(lambda: None, lambda: 0.0)

    assert "0, 0.0/s" == count.summary()
