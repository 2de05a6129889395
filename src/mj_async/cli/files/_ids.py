"""The task ids of a command, from arguments and a file: each once, read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import attrs

from mj_async import errors

from ..output._terminal import echo_err
from ._input import Input

# An id has at most 256 characters, but a comment may have more.
_MAX_LINE_BYTES = 65_536
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.define
class IdParser:
    """An incremental parser of ids, one a line, without blank lines and those that begin with #."""

    name: str
    check: Callable[[str], object]
    _line_number: int = attrs.field(default=0, init=False)
    _rest: bytes = attrs.field(default=b"", init=False)

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the ids of the lines that this chunk completes; b"" completes the last line.

        Raises:
            ConfigurationError: A line is not an id. The message has the number of the line.
        """
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop() if chunk else b""
        for line in lines:
            yield from self._parse(line)
        if len(self._rest) > _MAX_LINE_BYTES:
            yield from self._parse(self._rest)

    def _parse(self, line: bytes) -> tuple[str, ...]:
        self._line_number += 1
        line = line.removeprefix(_BYTE_ORDER_MARK) if self._line_number == 1 else line
        if len(line) > _MAX_LINE_BYTES:
            raise self._error(f"it is longer than {_MAX_LINE_BYTES} bytes")
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise self._error("it is not UTF-8 text") from None
        if not text or text.startswith("#"):
            return ()
        try:
            self.check(text)
        except errors.ConfigurationError as error:
            raise self._error(str(error)) from None
        return (text,)

    def _error(self, problem: str) -> errors.ConfigurationError:
        where = f"{self.name}, line {self._line_number}"
        return errors.ConfigurationError(
            f"{where}: {problem}; next: correct that line, or begin it with #"
        )


class Ids:
    """An async iterator over the ids of the arguments, then over those of a file.

    A regular file is parsed once when this is made, so that a bad line is found before the first
    request, and again during the iteration, so that only `seen` grows with the input. A pipe can
    be read only once, during the iteration.

    Args:
        given: The ids of the arguments.
        source: A path, "-" for standard input, or None.
        check: Raises `ConfigurationError` if its argument cannot be an id.

    Attributes:
        seen: The ids that are skipped: those of this iteration so far, and those that the caller
            has put in.
        total: The number of ids, or None while a pipe is being read. It falls when an id is
            skipped.
        problem: The error of a bad line that was found during the iteration, or None. It has been
            printed. The iteration ends at that line.

    Raises:
        ConfigurationError: There are no ids, or they cannot be read, or one of them is bad.
    """

    def __init__(
        self, given: Sequence[str], source: str | None, check: Callable[[str], object]
    ) -> None:
        if not given and source is None:
            raise errors.ConfigurationError("no ids: give some, or --from FILE, or --from -")
        for task_id in given:
            check(task_id)
        self.seen: set[str] = set()
        self.total: int | None = len(given)
        self.problem: errors.ConfigurationError | None = None
        self._ready: Iterator[str] = iter(given)
        self._input = None if source is None else Input.open(source)
        if self._input is not None:
            self._parser = IdParser(self._input.name, check)
            self._check_and_count(self._input)

    def _check_and_count(self, opened: Input) -> None:
        if not opened.is_rereadable:
            self.total = None
            return
        parser = IdParser(opened.name, self._parser.check)
        count = sum(1 for chunk in opened.chunks() for _ in parser.feed(chunk))
        self.total = (self.total or 0) + count
        opened.rewind()

    def is_same_file(self, file: int) -> bool:
        """Return True if this file descriptor is of the file that the ids are in."""
        return self._input is not None and self._input.is_same_file(file)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Return the next id that is not in `seen`, and put it in."""
        try:
            return await self._next()
        except errors.ConfigurationError as error:
            self.problem = error
            echo_err(str(error))
            self._close()
            raise StopAsyncIteration from None

    async def _next(self) -> str:
        while True:
            for task_id in self._ready:
                if task_id not in self.seen:
                    self.seen.add(task_id)
                    return task_id
                if self.total is not None:
                    self.total -= 1
            await self._read_chunk()

    async def _read_chunk(self) -> None:
        if self._input is None:
            raise StopAsyncIteration
        chunk = await self._input.read_async()
        self._ready = self._parser.feed(chunk)
        if not chunk:
            self._close()

    def _close(self) -> None:
        if self._input is not None:
            self._input.close()
            self._input = None
