"""The command `mj-async`, run as a user runs it: in a process, in a pipe, on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from rich.console import RenderableType

COMMAND = [sys.executable, "-c", "from mj_async.cli import main; main()"]
DONE = [(0, "SUCCESS", "100%")]
# What moves the cursor, colours, hides: all that is not text.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@attrs.frozen
class Ended:
    """How a command ended.

    Args:
        code: Its exit code.
        out: What it wrote on stdout.
        err: What it wrote on stderr.
    """

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Its stdout, read as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def rendered(view: RenderableType, width: int = 80, height: int = 24) -> list[str]:
    """Return the lines of something rendered for a terminal of that size."""
    from rich.console import Console  # the examples' tests run without the extra `cli`

    console = Console(width=width, height=height, file=StringIO())
    with console.capture() as captured:
        console.print(view)
    return captured.get().splitlines()


def run(*arguments: str, given: str | None = None, **environment: str) -> Ended:
    """Run the command in a process of its own, its output piped."""
    ended = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=given,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run_redirected(redirection: str, *arguments: str) -> Ended:
    """Run the command with a redirection of the shell, such as `>&-`."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    environment = {**os.environ, "PYTHONWARNINGS": "error", **options.pop("environment", {})}
    return subprocess.Popen([*COMMAND, *arguments], text=True, env=environment, **options)


@attrs.frozen
class Shown:
    """The output of a command on a terminal.

    Args:
        code: The command's exit code.
        raw: All of it.
    """

    code: int
    raw: str

    @property
    def text(self) -> str:
        """The output without escape sequences. A line that is written over counts as a line."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")


def on_terminal(
    *arguments: str,
    columns: int = 80,
    rows: int = 24,
    act: Callable[[str, int], object] = lambda _seen, _terminal: None,
    stdout: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Shown:
    """Run the command on a terminal of that size.

    Args:
        arguments: The command's.
        columns: The terminal's width.
        rows: The terminal's height.
        act: Called with the text seen so far, and with the terminal to write to.
        stdout: Where stdout goes instead.
        environment: What is set beside the test's own.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "PYTHONWARNINGS": "error", **(environment or {})},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that ^C works
    )
    os.close(theirs)
    raw = _read_all(ours, act)
    return Shown(process.wait(timeout=30), raw)


def _read_all(terminal: int, act: Callable[[str, int], object]) -> str:
    seen, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                seen += os.read(terminal, 65_536)
            except OSError:  # the other end is closed
                break
        act(_ESCAPES.sub("", seen.decode("utf-8", "replace")), terminal)
    os.close(terminal)
    return seen.decode()
