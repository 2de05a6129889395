"""The command `mj-async`, run as a user runs it."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest
from rich.console import Console

from mj_async.cli import main
from mj_async.cli._version import versions
from mj_async.cli.commands._demo import Demo

COMMAND = [sys.executable, "-c", "from mj_async.cli import main; main()"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, its output piped."""
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
    )


def test_the_demo_runs_through() -> None:
    """It fetches, lists, waits, and finds all seeds; piped, it is plain text and exits with 0.

    On a narrow terminal without Unicode there is no other character, and no heading is cut.
    """
    narrow = {"COLUMNS": "40", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = run("demo", **narrow)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "\x1b" not in ended.stdout
    assert ended.stdout.isascii()
    for line in (
        "fetch one task: SUCCESS, 9 buttons",
        "list 50 tasks: 50 found, 1 unknown",
        "  IN_PROGRESS 46%",
        "wait for a task: SUCCESS after 4 s",
        "look up its seed: 3141592653",
        "look up all seeds: 221 of 221 found",
        "What was done",
        "Requests",
    ):
        assert line in ended.stdout


def test_the_demo_is_live_on_a_terminal() -> None:
    """On a terminal there is a progress line, and no plain lines."""
    console = Console(force_terminal=True, width=80, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with console.file:
        anyio.run(Demo(console).run)
    shown = console.export_text()

    assert "221/221" in shown
    assert "IN_PROGRESS 46%" not in shown


def test_the_version_is_told() -> None:
    """`--version` prints the versions of mj_async, Python, httpx and orjson, a line each."""
    ended = run("--version", COLUMNS="40")

    assert [
        f"mj_async {version('mj_async')}",
        f"Python {platform.python_version()} (CPython)",
        f"httpx {version('httpx')}",
        f"orjson {version('orjson')}",
    ] == ended.stdout.splitlines()


def test_without_orjson_the_version_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without orjson, `--version` names Python's json."""
    monkeypatch.setitem(sys.modules, "orjson", None)

    assert "json of Python (no orjson)" == versions().splitlines()[-1]


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra, the command names the missing packages and exits with 2."""
    monkeypatch.setitem(sys.modules, "cyclopts", None)

    with pytest.raises(SystemExit) as ended:
        main()

    assert 2 == ended.value.code
    expected = "mj-async needs cyclopts: python -m pip install 'mj_async[cli]'"
    assert expected in capsys.readouterr().err


def test_an_interrupt_ends_with_130() -> None:
    """Ctrl-C ends the command with the code that shells expect, and without a traceback."""
    with subprocess.Popen([*COMMAND, "demo"], stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout is not None
        assert "A fake gateway listens on" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert (130, "") == (process.returncode, said)


def test_an_interrupt_while_it_is_loaded_ends_with_130(tmp_path: Path) -> None:
    """Ctrl-C during the imports ends the command without a traceback as well."""
    (tmp_path / "cyclopts.py").write_text("raise KeyboardInterrupt")
    ended = run("--version", PYTHONPATH=str(tmp_path))

    assert (130, "", "") == (ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize("command", ["demo", "--help"])
def test_a_full_disk_is_one_line(command: str) -> None:
    """A full disk is one line on stderr, and no traceback."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        ended = subprocess.run(
            [*COMMAND, command], check=False, stdout=full, stderr=PIPE, text=True, timeout=60
        )

    assert 1 == ended.returncode
    assert ended.stderr.startswith("mj-async: cannot write to standard output: No space left")
    assert 1 == ended.stderr.count("\n")


def test_a_gateway_needs_an_output() -> None:
    """A closed stdout is one line on stderr."""
    line = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "gateway"]
    ended = subprocess.run(line, check=False, stderr=PIPE, text=True, timeout=60)

    assert 1 == ended.returncode
    assert ended.stderr.startswith("mj-async: standard output is closed")
    assert 1 == ended.stderr.count("\n")
