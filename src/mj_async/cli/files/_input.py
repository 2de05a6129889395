"""What is read: open files, pipes and standard input, and one sentence for what goes wrong."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress

import anyio
import attrs

from mj_async import errors

_CHUNK = 65_536
_HINT = "give a file of ids to --from"
_STANDARD_INPUT = 0
# Windows would end a file at its first ^Z, and change its line breaks.
BINARY_FLAG: int = getattr(os, "O_BINARY", 0)


def file_error(what: str, error: OSError, step: str) -> errors.ConfigurationError:
    """Make the error for a file that cannot be used, such as `cannot read ids.txt: …`.

    Args:
        what: What cannot be done.
        error: Why.
        step: What to do next.
    """
    return errors.ConfigurationError(f"cannot {what}: {error.strerror or error}; next: {step}")


@attrs.define
class Input:
    """An open file, pipe or terminal.

    Args:
        name: What the user calls it.
        file: Its number.
        is_owned: Whether we have opened it; standard input belongs to whoever started us.
    """

    name: str
    file: int
    is_owned: bool

    @classmethod
    def open(cls, source: str) -> Input:
        """Open a path, or standard input for "-".

        Raises:
            ConfigurationError: It cannot be read, is closed, or is a directory.
        """
        if source == "-":
            if sys.__stdin__ is None:  # else we would read what has got its number since
                raise errors.ConfigurationError(
                    "cannot read standard input: it is closed; next: give --from FILE"
                )
            return cls("standard input", _STANDARD_INPUT, is_owned=False)
        if os.path.isdir(source):  # noqa: PTH112  # a path as the user wrote it
            problem = "it is a directory"
            raise errors.ConfigurationError(f"cannot read {source}: {problem}; next: {_HINT}")
        try:
            return cls(source, os.open(source, os.O_RDONLY | BINARY_FLAG), is_owned=True)
        except OSError as error:
            raise file_error(f"read {source}", error, _HINT) from None

    def close(self) -> None:
        """Close what we have opened."""
        if self.is_owned:
            os.close(self.file)

    @property
    def is_rereadable(self) -> bool:
        """Whether it is a regular file of ours."""
        return self.is_owned and stat.S_ISREG(os.fstat(self.file).st_mode)

    def rewind(self) -> None:
        """Begin at its beginning again."""
        os.lseek(self.file, 0, os.SEEK_SET)

    def read(self) -> bytes:
        """Read what there is; nothing at the end.

        Raises:
            ConfigurationError: It cannot be read.
        """
        try:
            return os.read(self.file, _CHUNK)
        except OSError as error:
            raise file_error(f"read {self.name}", error, _HINT) from None

    def chunks(self) -> Iterator[bytes]:
        """Read it all; the last chunk, and only that, is empty.

        Raises:
            ConfigurationError: It cannot be read.
        """
        chunk = b"?"
        while chunk:
            chunk = self.read()
            yield chunk

    def is_same_file(self, other: int) -> bool:
        """Whether another open file is the same."""
        return os.path.samestat(os.fstat(self.file), os.fstat(other))

    async def read_async(self) -> bytes:
        """Read what there will be, and let others run until then where that is possible.

        Raises:
            ConfigurationError: It cannot be read.
        """
        with suppress(OSError):  # files, and on Windows pipes, cannot be waited for
            await anyio.wait_readable(self.file)
        return self.read()
