"""PURE: bytes to ids, and a complaint with the line's number for what is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from mj_async import errors

# An id has 256 characters at most; a comment may have more.
_LONGEST_LINE = 65_536
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.define
class IdReader:
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
            raise self._refusal(f"it is longer than {_LONGEST_LINE} bytes")
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise self._refusal("it is no UTF-8 text") from None
        if not text or text.startswith("#"):
            return ()
        try:
            self.check(text)
        except errors.ConfigurationError as error:
            raise self._refusal(str(error)) from None
        return (text,)

    def _refusal(self, problem: str) -> errors.ConfigurationError:
        where = f"{self.name}, line {self._number}"
        return errors.ConfigurationError(
            f"{where}: {problem}; next: correct that line, or begin it with #"
        )
