"""PURE parts of the command line: text, times, codes, rows, boards, counts, lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mj_async import Button, ImageSeed, SeedOutcome, Task, errors
from mj_async.cli._app import redact_option_values
from mj_async.cli.commands._seeds import output_mode, resume_command
from mj_async.cli.files._seed_file import parse_seed_line
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
    """Control characters of all kinds become a space, and everything stays in one line."""
    assert cleaned == sanitize(text)


@given(st.text())
def test_json_reads_back_and_steers_nothing(text: str) -> None:
    """Whatever a gateway says is one line of valid JSON, which UTF-8 can carry."""
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


def test_a_key_given_as_an_option_is_not_repeated() -> None:
    """A complaint names the option, and leaves its value out."""
    said = redact_option_values(
        "Unknown option: --api-key=sk-1.", ["fetch", "--api-key=sk-1", "a=b"]
    )

    assert "Unknown option: --api-key." == said


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
    """1: the gateway has answered; 2: our user's mistake; 3: the gateway's trouble."""
    assert code == exit_code_for(error)


@pytest.mark.parametrize(
    ("codes", "code"),
    [((), 0), ((0, 0), 0), ((0, 1), 1), ((1,), 1), ((0, 3), 1), ((1, 3), 1), ((3, 3), 3)],
)
def test_many_codes_make_one(codes: tuple[int, ...], code: int) -> None:
    """3 is only for a gateway that has given nothing usable for any id."""
    assert code == combine_exit_codes(codes)


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1), (errors.ServerError(), 3), (errors.ConfigurationError("x"), 2), (OutputError(), 1)],
)
def test_what_ends_a_run_decides(error: Exception | None, code: int) -> None:
    """Where nothing ended it, its ids decide."""
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
    """Id, status or error, progress, time, and a remark; a dash is in place of what is unknown."""
    assert row == task_row("1", task, error, NOW).plain


def test_details_leave_out_what_is_not_there() -> None:
    """A button without a label shows its face; one without either a question mark."""
    buttons = (Button(label="U1"), Button(emoji="🔄"), Button())
    lines = [line.plain for line in task_details(Task("1", status="SUCCESS", buttons=buttons))]

    assert ["id         1", "status     SUCCESS", "buttons    U1 🔄 ?"] == lines


# --- the table --------------------------------------------------------------------------------


def crowd(count: int) -> ProgressTable:
    """Make a table with so many unfinished ids, the first of them seen."""
    table = ProgressTable("ended", lambda: 1000)
    for number in range(count):
        table.update(f"17306218{number:08}", None)
    table.update("1730621800000000", RUNNING)
    table.finish("gone", "SUCCESS")
    return table


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (120, 50)])
def test_the_board_fits_its_terminal(width: int, height: int) -> None:
    """Of a thousand ids those are shown that fit; how many more there are, and totals, are told."""
    lines = rendered(crowd(999), width, height)

    assert len(lines) < height
    assert all(len(line) <= width for line in lines)
    assert ["ID", "STATUS", "%", "TIME"] == lines[0].split()
    assert ["1730621800000000", "IN_PROGRESS", "40%"] == lines[1].split()[:3]
    assert lines[2].startswith("1730621800000001 not seen ")
    assert any(line.startswith("and 9") and "more" in line for line in lines)
    totals = "1 of 1000 ended: 1 SUCCESS; 999 under way: 998 not seen yet, 1 IN_PROGRESS"
    assert totals in " ".join(line.strip() for line in lines)


def test_long_ids_show_their_ends() -> None:
    """Ids that were given on one day begin alike."""
    table = ProgressTable("ended", lambda: 1)
    table.update("task_" + "0" * 40 + "17", None)
    lines = rendered(table, 40, 12)

    assert lines[1].startswith("..00000000000017 ")


def test_an_empty_board_is_its_totals() -> None:
    """Where the number of ids is not known it is not told."""
    assert ["0 listed"] == rendered(ProgressTable("listed", lambda: None), 80, 24)


# --- seeds ------------------------------------------------------------------------------------


def seedless(**fields: object) -> SeedOutcome:
    """Make an outcome whose error says that there is no seed."""
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
    """What is not final is told apart: the task is unfinished, or the gateway was in trouble."""
    assert word == outcome_label(outcome)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (to_json_line(FOUND.to_dict()).encode(), ("1", True)),
        (to_json_line(UNKNOWN.to_dict()).encode(), ("1", False)),
        (b'{"task_id": "2"}\r\n', ("2", True)),
        (b"", None),
        (b"1\n", None),
        (b'{"task_id": 1}\n', None),
        (b'{"task_id": ""}\n', None),
        (b'{"seed": "1"}\n', None),
        (b'{"task_id": "1", "prompt": "\xe5', None),
        (b"[" * 100_000, None),
    ],
)
def test_a_line_tells_its_id(line: bytes, found: tuple[str, bool] | None) -> None:
    """And whether it has a seed; whatever is no object with an id is none of our lines."""
    assert found == parse_seed_line(line)


def test_the_rate_is_that_of_the_last_two_minutes() -> None:
    """A pause is forgotten after a while, and the rate falls while no outcome comes."""
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
    """It lowers the number of ids, and nothing is forgotten."""
    now, total = [0.0], [10]
    count = SeedProgress(lambda: total[0], lambda: now[0])
    count.add(FOUND)
    now[0] = 1.0
    count.summary()
    total[0] = 3

    assert "1 of 3, 1.0/s, 2s left: found 1" == count.summary()


def test_the_count_speaks() -> None:
    """It tells how far it has come, how quickly, how long it will take, and what came out."""
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
    """Where nobody knows how many ids will come, no end is told."""
    count = SeedProgress(lambda: None, lambda: 0.0)

    assert "0, 0.0/s" == count.summary()


@pytest.mark.parametrize(
    ("output", "resume", "overwrite", "mode"),
    [
        (None, False, False, "new"),
        (Path("x"), False, False, "new"),
        (Path("x"), True, False, "resume"),
        (Path("x"), False, True, "overwrite"),
    ],
)
def test_options_make_a_mode(
    output: Path | None,
    resume: bool,  # noqa: FBT001
    overwrite: bool,  # noqa: FBT001
    mode: str,
) -> None:
    """Without an option an output must be new."""
    assert mode == output_mode(output, resume=resume, overwrite=overwrite)


@pytest.mark.parametrize(
    ("output", "resume", "overwrite", "said"),
    [
        (None, True, False, "--resume needs --output FILE"),
        (None, False, True, "--overwrite needs --output FILE"),
        (Path("x"), True, True, "give --resume or --overwrite, not both"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    output: Path | None,
    resume: bool,  # noqa: FBT001
    overwrite: bool,  # noqa: FBT001
    said: str,
) -> None:
    """And an option for an output needs one."""
    with pytest.raises(errors.ConfigurationError, match=said):
        output_mode(output, resume=resume, overwrite=overwrite)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["seeds", "1"], "mj-async seeds --resume 1"),
        (
            ["seeds", "--overwrite", "--from", "my ids", "--output", "o"],
            "mj-async seeds --resume --from 'my ids' --output o",
        ),
        (["seeds", "--resume", "--", "-x"], "mj-async seeds --resume -- -x"),
        (
            ["seeds", "--from", "-"],
            "mj-async seeds --resume --from - (the same ids on standard input)",
        ),
        (
            ["seeds", "--from=-"],
            "mj-async seeds --resume --from=- (the same ids on standard input)",
        ),
        (["seeds", *map(str, range(1000))], "the same command with --resume"),
    ],
)
def test_a_run_tells_how_to_go_on(arguments: list[str], line: str) -> None:
    """The command line can be copied; one that would fill the screen is not told."""
    assert line == resume_command(arguments)
