"""The output file of `mj-async seeds`: whole lines, one writer, and a run can be resumed."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from importlib import import_module
from typing import Any, Literal, Self, TypeAlias

import attrs

from mj_async import errors

from ..output._terminal import OutputError
from ..output._text import to_json_line
from ._input import BINARY_FLAG, file_error

Mode: TypeAlias = Literal["new", "resume", "overwrite"]

_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY_FLAG
# A pipe, or another file without a disk, cannot be synced.
_NOT_SYNCABLE = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EROFS})
# No task is that long. A file with other content must not fill the memory.
_MAX_LINE_BYTES = 2**25
_OUTPUT_HINT = "give another --output"
# Far behind the last line: on Windows no other process can read locked bytes.
_LOCK_OFFSET = 2**40
_LOCKED_ERRNOS = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


@attrs.define
class SeedFile:
    """An output file that only this process may write.

    Its content stays as it is until `start_writing` is called.

    Args:
        path: The path as the user wrote it.
        mode: What to do if the file exists.
        file: The file descriptor.

    Attributes:
        done: The number of lines that were in the file.
        seedless: The number of those lines that have no seed.
        is_complete: True if the run has come to its end.
    """

    path: str
    mode: Mode
    file: int
    done: int = attrs.field(default=0, init=False)
    seedless: int = attrs.field(default=0, init=False)
    is_complete: bool = attrs.field(default=False, init=False)
    _is_regular: bool = attrs.field(init=False)
    _end: int = attrs.field(default=0, init=False)
    _synced: int = attrs.field(default=0, init=False)
    _needs_newline: bool = attrs.field(default=False, init=False)

    @_is_regular.default
    def _find_kind(self) -> bool:
        return stat.S_ISREG(os.fstat(self.file).st_mode)

    @classmethod
    def open(cls, path: str, mode: Mode) -> Self:
        """Open the file, and lock it.

        Raises:
            ConfigurationError: The file exists and `mode` is "new"; it cannot be written; another
                process is writing it; or it cannot be resumed.
        """
        only_new = os.O_EXCL if mode == "new" else 0
        try:
            opened = cls(path, mode, os.open(path, _OPEN_FLAGS | only_new, 0o666))
        except FileExistsError:
            hint = "give --resume to continue it, or --overwrite to replace it"
            raise errors.ConfigurationError(f"{path} exists; next: {hint}") from None
        except OSError as error:
            raise file_error(f"write {path}", error, _OUTPUT_HINT) from None
        problem = opened._find_problem()
        if problem:
            os.close(opened.file)
            raise errors.ConfigurationError(problem)
        return opened

    def _find_problem(self) -> str:
        if self._is_regular and not try_lock(self.file):
            return f"another process is writing {self.path}; next: wait for it, or {_OUTPUT_HINT}"
        if self.mode == "resume" and not self._is_regular:
            return f"cannot resume {self.path}: it is not a regular file; next: {_OUTPUT_HINT}"
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the file. Remove it if it is new and empty, or the next run would refuse it.

        Raises:
            OutputError: The last lines have not reached the disk.
        """
        try:
            self.sync()
        finally:
            if self.mode == "new" and not self._end and not self.is_complete:
                self._remove()
            os.close(self.file)

    def _remove(self) -> None:
        with suppress(OSError):
            # Another file may have that name by now.
            if os.path.samestat(os.stat(self.path), os.fstat(self.file)):  # noqa: PTH116
                os.unlink(self.path)  # noqa: PTH108

    def read_finished_ids(self, finished: set[str]) -> None:
        """Add the ids of all lines to a set. A truncated last line does not count.

        Raises:
            ConfigurationError: A line is not of `mj-async seeds`. The message has its number.
        """
        if self.mode != "resume":
            return
        try:
            with open(self.file, "rb", closefd=False) as lines:
                while line := lines.readline(_MAX_LINE_BYTES):
                    if not self._read_line(line, finished):
                        break
        except OSError as error:
            raise file_error(f"read {self.path}", error, _OUTPUT_HINT) from None

    def _read_line(self, line: bytes, finished: set[str]) -> bool:
        found = parse_seed_line(line)
        if found is None and _is_truncated(line):
            return False
        self.done += 1
        if found is None:
            problem = "it is not a line of mj-async seeds"
            raise errors.ConfigurationError(
                f"{self.path}, line {self.done}: {problem}; next: correct it, or {_OUTPUT_HINT}"
            )
        task_id, has_seed = found
        finished.add(task_id)
        self.seedless += not has_seed
        self._end += len(line)
        self._needs_newline = not line.endswith(b"\n")
        return True

    def start_writing(self) -> None:
        """Cut off a truncated last line, or the whole content if `mode` is "overwrite".

        Raises:
            OutputError: The file cannot be written.
        """
        if self._is_regular:
            try:
                os.ftruncate(self.file, self._end)
            except OSError as error:
                raise self._write_error(error) from None
        if self._needs_newline:
            self._write(b"\n")

    def write_line(self, value: Any) -> None:
        """Write a value as one line of JSON.

        Raises:
            OutputError: The line cannot be written. The file keeps only whole lines.
        """
        self._write(f"{to_json_line(value)}\n".encode())

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self.file, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self.file, self._end)
            raise self._write_error(error) from None
        self._end += len(data)

    def sync(self) -> None:
        """Write all lines to the disk, so that a loss of power does not lose them.

        Raises:
            OutputError: The disk has not taken them.
        """
        end = self._end
        if end == self._synced:
            return
        try:
            os.fsync(self.file)
        except OSError as error:
            if error.errno not in _NOT_SYNCABLE:
                raise self._write_error(error) from None
        self._synced = end

    def try_to_sync(self) -> OutputError | None:
        """Do the same as `sync`, but return the error."""
        try:
            self.sync()
        except OutputError as error:
            return error
        return None

    def _write_error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror}; its lines are kept")


def _is_truncated(line: bytes) -> bool:
    # The writer may have been killed in this line. After a loss of power there may be zeros. Any
    # other line is of another file, and must not be cut off.
    is_whole = line.endswith(b"\n") or len(line) == _MAX_LINE_BYTES
    return not is_whole and (line.startswith(b"{") or not line.strip(b"\0"))


def parse_seed_line(line: bytes) -> tuple[str, bool] | None:
    """PURE: return the id of a line, and True if it has a seed; None for any other line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # bytes that are not UTF-8 are a ValueError, too
        return None
    task_id = value.get("task_id") if isinstance(value, dict) else None
    if not isinstance(task_id, str) or not task_id:
        return None
    return task_id, value.get("error") is None


def try_lock(file: int) -> bool:
    """Lock an open file until this process ends.

    Returns:
        False if another process has the lock. True also if the system, or the file system (as
        with some network drives), has no locks.
    """
    for name, lock in (("fcntl", _lock_posix), ("msvcrt", _lock_windows)):
        with suppress(ImportError):
            module = import_module(name)
            try:
                lock(module, file)
            except OSError as error:
                return error.errno not in _LOCKED_ERRNOS
            return True
    return True


def _lock_posix(fcntl: Any, file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_windows(msvcrt: Any, file: int) -> None:
    os.lseek(file, _LOCK_OFFSET, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    finally:
        os.lseek(file, 0, os.SEEK_SET)
