"""Reading files, pipes and standard input, with errors for people."""

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
# Without it Windows ends a file at its first ^Z, and changes its line breaks.
BINARY_FLAG: int = getattr(os, "O_BINARY", 0)


def file_error(action: str, error: OSError, hint: str) -> errors.ConfigurationError:
    """Return an error such as `cannot read ids.txt: …; next: …`.

    Args:
        action: The action that failed, such as `read ids.txt`.
        error: The reason.
        hint: What to do next.
    """
    return errors.ConfigurationError(f"cannot {action}: {error.strerror or error}; next: {hint}")


@attrs.define
class Input:
    """An open file, pipe or terminal.

    Args:
        name: Its name in errors.
        file: Its file descriptor.
        is_owned: True if this process opened it, and not the one that started this process.
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
            # If standard input was closed at the start, its number may belong to another file.
            if sys.__stdin__ is None:
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
        """Close it, but not standard input."""
        if self.is_owned:
            os.close(self.file)

    @property
    def is_rereadable(self) -> bool:
        """True if it is a regular file that this process opened."""
        return self.is_owned and stat.S_ISREG(os.fstat(self.file).st_mode)

    def rewind(self) -> None:
        """Continue to read at the beginning of the file."""
        os.lseek(self.file, 0, os.SEEK_SET)

    def read(self) -> bytes:
        """Read a chunk; b"" at the end.

        Raises:
            ConfigurationError: It cannot be read.
        """
        try:
            return os.read(self.file, _CHUNK)
        except OSError as error:
            raise file_error(f"read {self.name}", error, _HINT) from None

    def chunks(self) -> Iterator[bytes]:
        """Yield all chunks; the last one is b"".

        Raises:
            ConfigurationError: It cannot be read.
        """
        chunk = b"?"
        while chunk:
            chunk = self.read()
            yield chunk

    def is_same_file(self, other: int) -> bool:
        """Return True if this file descriptor is of the same file."""
        return os.path.samestat(os.fstat(self.file), os.fstat(other))

    async def read_async(self) -> bytes:
        """Read a chunk, and let other tasks run until there is one.

        Raises:
            ConfigurationError: It cannot be read.
        """
        with suppress(OSError):  # regular files, and pipes on Windows, are always ready
            await anyio.wait_readable(self.file)
        return self.read()
