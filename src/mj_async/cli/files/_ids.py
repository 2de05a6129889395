"""The ids that a command was given: read as late as possible, and each one once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import attrs

from mj_async import errors

from ..output._terminal import echo_err
from ._input import Input

# An id has 256 characters at most; a comment may have more.
_LONGEST_LINE = 65_536
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.define
class IdParser:
    """Ids one a line; blank lines and those that begin with # are skipped.

    Args:
        name: What is read, for a complaint.
        check: Raises `ConfigurationError` for what cannot be an id.
    """

    name: str
    check: Callable[[str], object]
    _number: int = attrs.field(default=0, init=False)
    _rest: bytes = attrs.field(default=b"", init=False)

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Give the ids of the lines that this chunk completes; an empty one completes the last.

        Raises:
            ConfigurationError: A line is no id; its number is told.
        """
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop() if chunk else b""
        for line in lines:
            yield from self._read(line)
        if len(self._rest) > _LONGEST_LINE:
            yield from self._read(self._rest)

    def _read(self, line: bytes) -> tuple[str, ...]:
        self._number += 1
        line = line.removeprefix(_BYTE_ORDER_MARK) if self._number == 1 else line
        if len(line) > _LONGEST_LINE:
            raise self._line_error(f"it is longer than {_LONGEST_LINE} bytes")
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise self._line_error("it is no UTF-8 text") from None
        if not text or text.startswith("#"):
            return ()
        try:
            self.check(text)
        except errors.ConfigurationError as error:
            raise self._line_error(str(error)) from None
        return (text,)

    def _line_error(self, problem: str) -> errors.ConfigurationError:
        where = f"{self.name}, line {self._number}"
        return errors.ConfigurationError(
            f"{where}: {problem}; next: correct that line, or begin it with #"
        )


class Ids:
    """The ids among the arguments, then those of a file, to iterate asynchronously.

    A regular file is looked through when this is made, so that a bad line in it is found before
    the first request; it is then read again, so that only `seen` grows with the input. What cannot
    be read twice, such as a pipe, is read as the ids are asked for.

    Args:
        given: The ids among the arguments.
        source: A path, "-" for standard input, or None.
        check: Raises `ConfigurationError` for what cannot be an id.

    Attributes:
        seen: What is not given (again); what is done already is put in beforehand.
        total: How many there are, or None where only the end will tell. What `seen` holds back
            is taken off when it is met.
        problem: What is wrong with a line that was read late, or None. It was told when it was
            read; no ids come after it, but those before it are not given up.

    Raises:
        ConfigurationError: There are none, or they cannot be read, or one of them is bad.
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
            self._reader = IdParser(self._input.name, check)
            self._check_and_count(self._input)

    def _check_and_count(self, opened: Input) -> None:
        if not opened.is_rereadable:
            self.total = None
            return
        reader = IdParser(opened.name, self._reader.check)
        count = sum(1 for chunk in opened.chunks() for _ in reader.feed(chunk))
        self.total = (self.total or 0) + count
        opened.rewind()

    def is_same_file(self, file: int) -> bool:
        """Whether an open file is the one that the ids are read from."""
        return self._input is not None and self._input.is_same_file(file)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Give the next id that has not been seen."""
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
        self._ready = self._reader.feed(chunk)
        if not chunk:
            self._close()

    def _close(self) -> None:
        if self._input is not None:
            self._input.close()
            self._input = None
