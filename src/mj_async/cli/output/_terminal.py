"""Where output goes: results on stdout, everything else on stderr, live on a terminal."""

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
OUTPUT_HINT = "next: make room, or send it elsewhere"


class OutputError(Exception):
    """Raised when results cannot be written; without a message where nobody reads them."""


class ProgressView(Protocol):
    """The progress of a command, for terminals and as text."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render it for a terminal."""

    def summary(self) -> str:
        """Return it as one line."""


def echo_err(text: str) -> None:
    """Tell the user something on stderr; nothing for an empty text."""
    if text:
        write_err_line(f"mj-async: {sanitize(text)}")


def write_err_line(line: str) -> None:
    """Write a line on stderr, if anybody listens there."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        discard_output(sys.stderr)


def discard_output(stream: TextIO) -> None:
    """Let what is still in the stream's buffer go nowhere, or the interpreter's end complains."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _make_console(stream: TextIO | None) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False)


@attrs.define(init=False)
class Terminal:
    """The two streams of this process, as they are when it is made."""

    is_interactive: bool
    stdout_is_terminal: bool
    _stdout: TextIO | None
    _results: Console
    _display: Console

    def __init__(self) -> None:
        self._stdout = sys.stdout
        self._results, aside = _make_console(sys.stdout), _make_console(sys.stderr)
        self.stdout_is_terminal = _is_terminal(sys.stdout)
        # A dumb terminal cannot be redrawn.
        self.is_interactive = _is_terminal(sys.stderr) and aside.is_interactive
        # Where both are one terminal, one console has to know of all that is written to it.
        self._display = self._results if self.stdout_is_terminal else aside

    def print_line(self, line: Text | str) -> None:
        """Write one result, above what is drawn live.

        Raises:
            OutputError: It cannot be written.
        """
        text = line if isinstance(line, Text) else Text(sanitize(line))
        self._write(lambda stdout: self._put(stdout, text))

    def print_table(self, table: Table) -> None:
        """Write one result as a table, which is for terminals.

        Raises:
            OutputError: It cannot be written.
        """
        self._write(lambda _: self._results.print(table))

    def _write(self, put: Callable[[TextIO], object]) -> None:
        if self._stdout is None:
            raise OutputError("standard output is closed; next: send it somewhere, as with > FILE")
        try:
            put(self._stdout)
        except OSError as error:
            discard_output(self._stdout)
            unread = isinstance(error, BrokenPipeError)
            problem = f"cannot write to standard output: {error.strerror}"
            raise OutputError("" if unread else f"{problem}; {OUTPUT_HINT}") from None

    def _put(self, stdout: TextIO, line: Text) -> None:
        if self.stdout_is_terminal:
            self._results.print(line, soft_wrap=True)
        else:
            stdout.write(f"{line.plain}\n")
            stdout.flush()

    def print_row(self, line: Text) -> None:
        """Write one result as a row: on a terminal, as much of it as fits into one line.

        Raises:
            OutputError: It cannot be written.
        """
        if self.stdout_is_terminal:
            line.truncate(self._results.width, overflow="crop")
        self.print_line(line)

    def print_json(self, value: Any) -> None:
        """Write one result as a line of JSON.

        Raises:
            OutputError: It cannot be written.
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
            with suppress(OSError):  # the terminal has gone away, and the command goes on
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
