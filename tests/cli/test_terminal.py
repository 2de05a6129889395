"""What the command line looks like: on terminals wide and narrow, in pipes, when interrupted."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import pytest
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mj_async.cli.output._terminal import Terminal, echo_err
from mj_async.testing import FakeGateway

from ._commands import COMMAND, DONE, on_terminal, run, run_redirected, start

Serve = Callable[[FakeGateway], str]
NOW = round(time.time() * 1000)
SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"
FULL = "cannot write to standard output: No space left on device; "
NO_UNICODE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def gateway(serve: Serve) -> FakeGateway:
    """Serve finished tasks, one that never ends, and one with markup and escapes in its prompt."""
    gateway = FakeGateway()
    for number in range(10):
        gateway.add_task(f"173062180000000{number}", DONE, seed=str(number), submit_time=NOW)
    gateway.add_task("1730621800000010", [(0, "IN_PROGRESS", "40%")], submit_time=NOW)
    gateway.add_task("1730621800000011", DONE, seed="11", prompt="小猪 [bold]x[/] \x1b[31m\x9b")
    serve(gateway)
    return gateway


IDS = [f"17306218000000{number:02}" for number in range(12)]
STUCK = IDS[10]
OFTEN = ["--interval", "0.2"]


def interrupt_when(text: str) -> Callable[[str, int], None]:
    """Return a function that types ^C once, when the terminal has shown a text."""
    typed: list[str] = []

    def act(seen: str, terminal: int) -> None:
        if text in seen and not typed:
            typed.append("^C")
            os.write(terminal, b"\x03")

    return act


# --- wait -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_a_wait_is_a_live_table() -> None:
    """Finished tasks are rows above the table; ^C removes the table and prints the totals."""
    shown = on_terminal(
        "wait", *IDS, *OFTEN, columns=40, act=interrupt_when(f"{STUCK} IN_PROGRESS")
    )
    lines = [line.rstrip() for line in shown.text.splitlines()]

    assert 130 == shown.code
    assert any(line.split() == ["ID", "STATUS", "%", "TIME"] for line in lines)
    assert any(line.startswith(f"{STUCK} IN_PROGRESS  40%") for line in lines)
    assert all(len(line) <= 40 for line in lines if line.startswith("1730"))
    assert "11 of 12 ended: 11 SUCCESS" in shown.text
    said = "mj-async: interrupted: 11 of 12 ended: 11 SUCCESS; 1 under way: 1 IN_PROGRESS"
    assert said in shown.text
    assert shown.raw.rindex(SHOW_CURSOR) > shown.raw.rindex(HIDE_CURSOR)
    assert "Traceback" not in shown.text


def test_a_thousand_waits_fit_a_screen(serve: Serve, tmp_path: Path) -> None:
    """The table fits the terminal's height, and has the number of the other tasks."""
    gateway = FakeGateway()
    ids = [f"17306218{number:08}" for number in range(1000)]
    for task_id in ids:
        gateway.add_task(task_id, [(0, "IN_PROGRESS", "40%")], submit_time=NOW)
    serve(gateway)
    (tmp_path / "ids").write_text("\n".join(ids))
    act = interrupt_when("1000 IN_PROGRESS")
    shown = on_terminal("wait", "--from", str(tmp_path / "ids"), *OFTEN, rows=12, act=act)
    last = shown.text[shown.text.rindex("ID  ") :]

    assert 130 == shown.code
    assert "and 992 more" in last
    assert 8 == last.count("IN_PROGRESS  40%")
    assert "0 of 1000 ended; 1000 under way: 1000 IN_PROGRESS" in last


@pytest.mark.usefixtures("gateway")
def test_results_of_a_wait_can_be_piped_while_it_is_shown() -> None:
    """If only stderr is a terminal, results are on stdout and the table on the terminal."""
    reading, writing = os.pipe()
    shown = on_terminal("wait", *IDS, *OFTEN, "--timeout", "1", stdout=writing)
    os.close(writing)
    with os.fdopen(reading) as piped:
        rows = piped.read().splitlines()

    assert 1 == shown.code
    assert sorted(IDS) == sorted(row.split()[0] for row in rows)
    assert not any("\x1b" in row for row in rows)
    assert f"{STUCK} IN_PROGRESS  40%" in shown.text
    assert "SUCCESS     100%" not in shown.text


# --- list and fetch ---------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_a_list_ends_with_what_is_unfinished() -> None:
    """On a terminal unfinished tasks are the last rows, above the totals; each row is one line."""
    shown = on_terminal("list", STUCK, *IDS, columns=60)
    lines = [line.rstrip() for line in shown.text.splitlines() if line.strip()]

    assert 0 == shown.code
    assert lines[-2].startswith(f"{STUCK} IN_PROGRESS  40%")
    assert "mj-async: 12 of 12 listed: 11 SUCCESS, 1 IN_PROGRESS" == lines[-1]
    assert any(line.startswith(f"{IDS[0]} SUCCESS     100%") for line in lines)
    assert all(len(line) <= 60 for line in lines)
    assert "\x1b[32mSUCCESS" in shown.raw


@pytest.mark.usefixtures("gateway")
def test_no_color_is_respected() -> None:
    """NO_COLOR removes the colours only."""
    shown = on_terminal("list", *IDS, environment={"NO_COLOR": "1"})

    assert 0 == shown.code
    assert "\x1b[32m" not in shown.raw
    assert f"{IDS[0]} SUCCESS" in shown.text


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "--json"]])
def test_nothing_of_a_gateways_reaches_the_terminal_raw(arguments: list[str]) -> None:
    """Neither escape sequences nor markup in a prompt have an effect."""
    shown = on_terminal(*arguments, IDS[11])

    assert 0 == shown.code
    assert "小猪 [bold]x[/]" in shown.raw
    assert "\x1b[31m" not in shown.raw
    assert "\x9b" not in shown.raw
    if arguments != ["fetch"]:  # a line of JSON stays one line, however narrow the terminal is
        (line,) = [line for line in shown.text.splitlines() if line.startswith("{")]
        assert "小猪 [bold]x[/] \x1b[31m\x9b" == json.loads(line)["prompt"]


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("command", ["fetch", "wait"])
def test_a_terminal_without_unicode_is_enough(command: str) -> None:
    """Characters that the terminal lacks are written as escapes."""
    shown = on_terminal(command, IDS[11], columns=40, environment=NO_UNICODE)

    assert 0 == shown.code
    assert shown.raw.isascii()


@pytest.mark.usefixtures("gateway")
def test_json_in_a_pipe_without_unicode_is_json() -> None:
    """JSON for ASCII has the escapes of JSON, and not those of Python."""
    ended = run("seeds", IDS[11], **NO_UNICODE)

    assert ended.out.isascii()
    assert "小猪 [bold]x[/] \x1b[31m\x9b" == ended.lines[0]["prompt"]


# --- seeds ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(("columns", "unicode"), [(80, {}), (40, NO_UNICODE)])
def test_seeds_have_a_bar(tmp_path: Path, columns: int, unicode: dict[str, str]) -> None:
    """The terminal shows a bar, the progress, the rate and counts, and the totals at the end."""
    pipe = tmp_path / "ids"
    pipe.write_text("\n".join(IDS))
    output = ["--output", str(tmp_path / "seeds")]
    shown = on_terminal("seeds", "--from", str(pipe), *output, columns=columns, environment=unicode)

    assert 1 == shown.code
    assert ("━━━━" if not unicode else "----") in shown.text
    assert "0/12 0.0/s" in shown.text
    assert "mj-async: 12 ids in 0s: found 11, unfinished 1" in shown.text.replace("\n", " ")
    assert 11 == (tmp_path / "seeds").read_bytes().count(b"\n")


def interrupted_seeds(tmp_path: Path, when: str, fed: int, *output: str) -> tuple[int, str]:
    """Interrupt a run on a terminal whose ids come from an open pipe."""
    os.mkfifo(tmp_path / "pipe")
    feeding = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(feeding, b"".join(b"%d\n" % number for number in range(fed)))
    arguments = ["--from", str(tmp_path / "pipe"), *output]
    shown = on_terminal("seeds", *arguments, act=interrupt_when(when))
    os.close(feeding)
    assert shown.raw.rindex(SHOW_CURSOR) > shown.raw.rindex(HIDE_CURSOR)
    assert "Traceback" not in shown.text
    return shown.code, shown.text.replace("\n", "")


def test_an_interrupted_run_tells_how_to_go_on(gateway: FakeGateway, tmp_path: Path) -> None:
    """^C prints the counts and a command line to continue, and written lines stay."""
    for number in range(100):
        gateway.add_task(str(number), DONE, seed="5")
    output = tmp_path / "seeds"
    code, text = interrupted_seeds(tmp_path, "found 100", 100, "--output", str(output))

    assert 130 == code
    assert "mj-async: interrupted: 100 ids in " in text
    line = f"to continue: mj-async seeds --resume --from {tmp_path / 'pipe'} --output {output}"
    assert line in text
    assert 100 == output.read_bytes().count(b"\n")


@pytest.mark.usefixtures("gateway")
def test_a_run_that_is_interrupted_at_once_leaves_nothing(tmp_path: Path) -> None:
    """An interrupted run without results leaves no file."""
    output = tmp_path / "seeds"
    code, text = interrupted_seeds(tmp_path, "nothing yet", 0, "--output", str(output))

    assert (130, False) == (code, output.exists())
    assert "mj-async: interrupted: 0 ids in " in text


def cpu_of(process_id: int) -> int:
    """Return the CPU time of a process in ticks."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_an_interrupt_before_anything_has_begun_is_quiet(tmp_path: Path) -> None:
    """^C ends the command while it opens a pipe without a writer."""
    os.mkfifo(tmp_path / "pipe")
    with start(
        "seeds",
        "--from",
        str(tmp_path / "pipe"),
        "--auth",
        "none",
        stderr=PIPE,
        environment={"MJ_BASE_URL": "http://127.0.0.1:1"},
    ) as process:
        spent = -1
        while spent != (spent := cpu_of(process.pid)):  # until it only waits
            time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert (130, "") == (process.returncode, said)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("gap", [0.0, 0.05])
def test_an_impatient_interrupt_is_one(tmp_path: Path, gap: float) -> None:
    """Several ^C end the command like one, without a traceback."""
    arguments = [*OFTEN, "--json", *IDS]
    with start("wait", *arguments, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        for _ in range(11):
            process.stdout.readline()
        for _ in range(4):
            process.send_signal(signal.SIGINT)
            time.sleep(gap)
        _, said = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert said.startswith("mj-async: interrupted: 11 of 12 ended")
    assert 1 == said.count("\n")


@pytest.mark.parametrize(
    "shell",
    [[], ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"]],
    ids=["service", "in a script's background, which ignores Ctrl-C"],
)
@pytest.mark.usefixtures("gateway")
def test_a_service_is_stopped_in_order(shell: list[str]) -> None:
    """SIGTERM, which stops services and containers, is an interrupt like any other."""
    command = [*shell, *COMMAND, "wait", *OFTEN, "--json", *IDS]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(11):
            process.stdout.readline()
        process.terminate()
        _, said = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert said.startswith("mj-async: interrupted: 11 of 12 ended")


@pytest.mark.usefixtures("gateway")
def test_an_ignored_interrupt_is_ignored(tmp_path: Path) -> None:
    """A command that ignores SIGINT, as after nohup, goes on."""
    os.mkfifo(tmp_path / "pipe")
    feeding = os.open(tmp_path / "pipe", os.O_RDWR)
    command = ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", *COMMAND, "seeds"]
    options = ["--from", str(tmp_path / "pipe"), "--output", str(tmp_path / "seeds")]
    with subprocess.Popen([*command, *options], stderr=DEVNULL) as process:
        while not (tmp_path / "seeds").exists():
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        os.write(feeding, f"{IDS[0]}\n".encode())
        os.close(feeding)
        assert 0 == process.wait(30)


CANCELLED = """
import asyncio, os, signal
from mj_async.cli.output._run import run_async

async def work():
    if {by_signal}:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)
    raise asyncio.CancelledError

signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    run_async(work)
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("by_signal", "name"), [("True", "KeyboardInterrupt"), ("False", "CancelledError")]
)
def test_only_a_signal_is_an_interrupt(by_signal: str, name: str) -> None:
    """A cancellation for another reason is not taken for an interrupt."""
    command = [sys.executable, "-c", CANCELLED.format(by_signal=by_signal)]

    assert (
        f"{name}\n"
        == subprocess.run(command, check=True, stdout=PIPE, text=True, timeout=60).stdout
    )


HANGING = """
import os, time
os.fsync = lambda file: (print("syncing", flush=True), time.sleep(30))
from mj_async.cli import main
main()
"""


def test_an_end_that_hangs_can_be_cut_off(gateway: FakeGateway, tmp_path: Path) -> None:
    """If the disk does not answer, ^C after some seconds ends the command at once."""
    for number in range(100):
        gateway.add_task(str(number), DONE, seed="5")
    os.mkfifo(tmp_path / "pipe")
    feeding = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(feeding, b"".join(b"%d\n" % number for number in range(100)))
    arguments = ["--from", str(tmp_path / "pipe"), "--output", str(tmp_path / "seeds")]
    command = [sys.executable, "-c", HANGING, "seeds", *arguments]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert "syncing\n" == process.stdout.readline()
        while (tmp_path / "seeds").read_bytes().count(b"\n") < 100:  # a busy machine takes longer
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(2.2)
        assert process.poll() is None
        while process.poll() is None:  # the first one may have been seen late
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
        _, said = process.communicate(timeout=10)
    os.close(feeding)

    assert (130, "") == (process.returncode, said)
    assert 100 == (tmp_path / "seeds").read_bytes().count(b"\n")


# --- no terminal ------------------------------------------------------------------------------


class Speaker:
    """A view that counts its summaries."""

    def __init__(self) -> None:
        self.spoken = 0

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """Render the size of the terminal."""
        yield Text(f"{console.width} x {console.height}")

    def summary(self) -> str:
        """Return a numbered line."""
        self.spoken += 1
        return f"line {self.spoken}"


def test_elsewhere_a_line_is_written_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain lines, some seconds apart, go to stderr."""

    async def show() -> None:
        with anyio.move_on_after(0.25):
            await Terminal().show_progress(Speaker(), summary_interval=0.1)

    anyio.run(show)

    assert ("", "line 1\nline 2\n") == capsys.readouterr()


@pytest.mark.usefixtures("gateway")
def test_a_dumb_terminal_is_not_redrawn() -> None:
    """A dumb terminal gets rows and totals, and no escape sequences."""
    shown = on_terminal("wait", *IDS[:3], *OFTEN, environment={"TERM": "dumb"})

    assert (0, False) == (shown.code, "\x1b" in shown.raw)
    assert "mj-async: 3 of 3 ended: 3 SUCCESS" in shown.text


# --- streams that are not there ---------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize(
    ("command", "redirect", "code", "said"),
    [
        ("list", ">&-", 1, "mj-async: standard output is closed; next: "),
        ("list", ">/dev/full", 1, f"mj-async: {FULL}"),
        ("wait", ">/dev/full", 1, f"mj-async: {FULL}"),
        ("seeds", ">/dev/full", 1, f"mj-async: {FULL}"),
        ("list", "2>&-", 0, ""),
        ("list", "2>/dev/full", 0, ""),
    ],
)
def test_streams_may_be_missing_or_full(command: str, redirect: str, code: int, said: str) -> None:
    """A result that cannot be written is exit 1; a message that cannot be written is no error."""
    often = OFTEN if command == "wait" else []
    ended = run_redirected(redirect, command, *IDS[:2], *often)

    assert code == ended.code
    assert ended.err.startswith(said)
    assert "Traceback" not in ended.err


@pytest.mark.usefixtures("gateway")
def test_a_terminal_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    """A run with an output file goes on without its terminal, as with nohup."""
    pipe, output = tmp_path / "pipe", tmp_path / "seeds"
    os.mkfifo(pipe)
    feeding = os.open(pipe, os.O_RDWR)
    ours, theirs = pty.openpty()
    arguments = ["--from", str(pipe), "--output", str(output)]
    with start("seeds", *arguments, stderr=theirs, stdin=DEVNULL) as process:
        os.close(theirs)
        assert os.read(ours, 100)
        os.close(ours)
        time.sleep(0.6)  # it is redrawn in the meantime
        os.write(feeding, "".join(f"{task_id}\n" for task_id in IDS[:10]).encode())
        os.close(feeding)
        assert 0 == process.wait(30)

    assert 10 == output.read_bytes().count(b"\n")


def test_nothing_is_said_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty message is no line, and any other is one line."""
    echo_err("")
    echo_err("two\nlines")

    assert "mj-async: two lines\n" == capsys.readouterr().err
