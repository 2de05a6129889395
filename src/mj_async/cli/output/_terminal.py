"""The output streams: results on stdout, messages and progress on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TextIO

import anyio
import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ._text import sanitize, to_json_line

_REDRAW_INTERVAL = 0.25
_SUMMARY_INTERVAL = 5.0
OUTPUT_HINT = "next: free some space, or redirect the output"


class OutputError(Exception):
    """Raised if results cannot be written; without a message if their reader has ended."""


class ProgressView(Protocol):
    """The progress of a command, for terminals and as text."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render it for a terminal."""

    def summary(self) -> str:
        """Return it as one line."""


def echo_err(text: str) -> None:
    """Write a message on stderr, but no empty one."""
    if text:
        write_err_line(f"mj-async: {sanitize(text)}")


def write_err_line(line: str) -> None:
    """Write a line on stderr, if stderr is open."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)


def discard_output(stream: TextIO) -> None:
    """Discard the stream's buffer. Python would fail again at exit when it flushes it."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _make_console(stream: TextIO | None) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False)


@attrs.define(init=False)
class Terminal:
    """stdout and stderr, as they are when this is made.

    Attributes:
        is_interactive: True if progress can be redrawn in place on stderr.
        stdout_is_terminal: True if stdout is a terminal.
    """

    is_interactive: bool
    stdout_is_terminal: bool
    _stdout: TextIO | None
    _results: Console
    _display: Console

    def __init__(self) -> None:
        self._stdout = sys.stdout
        self._results, messages = _make_console(sys.stdout), _make_console(sys.stderr)
        self.stdout_is_terminal = _is_terminal(sys.stdout)
        # A dumb terminal cannot be redrawn.
        self.is_interactive = _is_terminal(sys.stderr) and messages.is_interactive
        # If both are the same terminal, one console must write to it, or a redraw eats results.
        self._display = self._results if self.stdout_is_terminal else messages

    def print_line(self, line: Text | str) -> None:
        """Write a result as one line, above the progress.

        Raises:
            OutputError: stdout is closed or full.
        """
        text = line if isinstance(line, Text) else Text(sanitize(line))
        self._write(lambda stdout: self._write_text(stdout, text))

    def print_table(self, table: Table) -> None:
        """Write a result as a table, for terminals.

        Raises:
            OutputError: stdout is closed or full.
        """
        self._write(lambda _: self._results.print(table))

    def _write(self, write: Callable[[TextIO], object]) -> None:
        if self._stdout is None:
            raise OutputError(
                "standard output is closed; next: redirect it, for example with > FILE"
            )
        try:
            write(self._stdout)
        except OSError as error:
            discard_output(self._stdout)
            if isinstance(error, BrokenPipeError):
                raise OutputError from None
            problem = f"cannot write to standard output: {error.strerror}"
            raise OutputError(f"{problem}; {OUTPUT_HINT}") from None

    def _write_text(self, stdout: TextIO, line: Text) -> None:
        if self.stdout_is_terminal:
            self._results.print(line, soft_wrap=True)
        else:
            stdout.write(f"{line.plain}\n")
            stdout.flush()

    def print_row(self, line: Text) -> None:
        """Write a result as one line; a terminal shows as much of it as fits.

        Raises:
            OutputError: stdout is closed or full.
        """
        if self.stdout_is_terminal:
            line.truncate(self._results.width, overflow="crop")
        self.print_line(line)

    def print_json(self, value: Any) -> None:
        """Write a result as one line of JSON.

        Raises:
            OutputError: stdout is closed or full.
        """
        encoding = getattr(self._stdout, "encoding", None) or "ascii"
        ascii_only = encoding.replace("-", "").lower() != "utf8"
        self.print_line(to_json_line(value, ascii_only=ascii_only))

    async def show_progress(
        self, view: ProgressView, *, summary_interval: float = _SUMMARY_INTERVAL
    ) -> None:
        """Show the progress of a command until this is cancelled.

        Args:
            view: The progress; redrawn in place on a terminal.
            summary_interval: Seconds between two lines where stderr is no terminal.
        """
        if self.is_interactive:
            with suppress(OSError):  # the terminal is gone, and the command goes on
                await self._redraw(view)
        while True:
            await anyio.sleep(summary_interval)
            write_err_line(view.summary())

    async def _redraw(self, view: ProgressView) -> None:
        # No auto_refresh: its thread would read what the event loop is changing.
        with Live(
            view, console=self._display, auto_refresh=False, transient=True, redirect_stdout=False
        ) as live:
            while True:
                live.refresh()
                await anyio.sleep(_REDRAW_INTERVAL)
