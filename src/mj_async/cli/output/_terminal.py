"""Where output goes: results on stdout, everything else on stderr, live on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TextIO

import anyio
import attrs
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ._text import as_json, clean

_REDRAW_EVERY = 0.25
_SPEAK_EVERY = 5.0
ELSEWHERE = "next: make room, or send it elsewhere"


class OutputError(Exception):
    """Raised when results cannot be written; without a message where nobody reads them."""


class View(Protocol):
    """What shows how far a command has come."""

    def draw(self, width: int, height: int) -> RenderableType:
        """Draw it for a terminal of that size."""

    def speak(self) -> str:
        """Tell it in one line."""


def say(text: str) -> None:
    """Tell the user something on stderr; nothing for an empty text."""
    if text:
        write_aside(f"mj-async: {clean(text)}")


def write_aside(line: str) -> None:
    """Write a line on stderr, if anybody listens there."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        mute(sys.stderr)


def mute(stream: TextIO) -> None:
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

    is_live: bool
    shows_results: bool
    _stdout: TextIO | None
    _results: Console
    _display: Console

    def __init__(self) -> None:
        self._stdout = sys.stdout
        self._results, aside = _make_console(sys.stdout), _make_console(sys.stderr)
        self.shows_results = _is_terminal(sys.stdout)
        # A dumb terminal cannot be redrawn.
        self.is_live = _is_terminal(sys.stderr) and aside.is_interactive
        # Where both are one terminal, one console has to know of all that is written to it.
        self._display = self._results if self.shows_results else aside

    def put(self, line: Text | str) -> None:
        """Write one result, above what is drawn live.

        Raises:
            OutputError: It cannot be written.
        """
        text = line if isinstance(line, Text) else Text(clean(line))
        self._write(lambda stdout: self._put(stdout, text))

    def put_table(self, table: Table) -> None:
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
            mute(self._stdout)
            unread = isinstance(error, BrokenPipeError)
            problem = f"cannot write to standard output: {error.strerror}"
            raise OutputError("" if unread else f"{problem}; {ELSEWHERE}") from None

    def _put(self, stdout: TextIO, line: Text) -> None:
        if self.shows_results:
            self._results.print(line, soft_wrap=True)
        else:
            stdout.write(f"{line.plain}\n")
            stdout.flush()

    def put_row(self, line: Text) -> None:
        """Write one result as a row: on a terminal, as much of it as fits into one line.

        Raises:
            OutputError: It cannot be written.
        """
        if self.shows_results:
            line.truncate(self._results.width, overflow="crop")
        self.put(line)

    def put_json(self, value: Any) -> None:
        """Write one result as a line of JSON.

        Raises:
            OutputError: It cannot be written.
        """
        encoding = getattr(self._stdout, "encoding", None) or "ascii"
        ascii_only = encoding.replace("-", "").lower() != "utf8"
        self.put(as_json(value, ascii_only=ascii_only))

    async def show(self, view: View, *, speak_every: float = _SPEAK_EVERY) -> None:
        """Show how far a command has come, until it is cancelled.

        Args:
            view: What shows it.
            speak_every: Seconds between two lines where stderr is no terminal.
        """
        if self.is_live:
            with suppress(OSError):  # the terminal has gone away, and the command goes on
                await self._draw(view)
        while True:
            await anyio.sleep(speak_every)
            write_aside(view.speak())

    async def _draw(self, view: View) -> None:
        def drawn() -> RenderableType:
            return view.draw(*self._display.size)

        with Live(
            get_renderable=drawn,
            console=self._display,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        ) as live:
            await _every(_REDRAW_EVERY, live.refresh)


async def _every(seconds: float, do: Callable[[], object]) -> None:
    while True:
        do()
        await anyio.sleep(seconds)
