"""The file that `mj-async seeds` writes: whole lines, one writer, resumable."""

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

_READ_AND_WRITE = os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY_FLAG
# What has no disk behind it, such as a pipe, cannot be synced, and need not be.
_NOT_SYNCABLE = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EROFS})
# No task is that long, so that a file of something else is not read into memory.
_LONGEST_LINE = 2**25
_OUTPUT_HINT = "give another --output"


@attrs.define
class SeedFile:
    """An output file that this process alone may write.

    Its content stays as it is until `start_writing` is called.

    Args:
        path: As the user wrote it.
        mode: What is done where it exists.
        file: The open file's number.

    Attributes:
        done: How many lines were there.
        seedless: How many of those have no seed.
        is_complete: Whether the run has come to its end.
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
        """Open it, and lock it against others.

        Raises:
            ConfigurationError: It exists and `mode` is "new"; it cannot be written; another
                process is writing it; it is nothing that can be resumed.
        """
        only_new = os.O_EXCL if mode == "new" else 0
        try:
            opened = cls(path, mode, os.open(path, _READ_AND_WRITE | only_new, 0o666))
        except FileExistsError:
            problem = "exists: --resume goes on with it, --overwrite begins anew"
            raise errors.ConfigurationError(f"{path} {problem}") from None
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
        resumable = self._is_regular or self.mode != "resume"
        problem = f"cannot resume {self.path}: it is no regular file; next: {_OUTPUT_HINT}"
        return "" if resumable else problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it; one that was made in vain is removed, for it would be in the way.

        Raises:
            OutputError: What was written has not reached the disk.
        """
        try:
            self.sync()
        finally:
            if self.mode == "new" and not self._end and not self.is_complete:
                self._remove()
            os.close(self.file)

    def _remove(self) -> None:
        with suppress(OSError):
            # By now another file may have that name.
            if os.path.samestat(os.stat(self.path), os.fstat(self.file)):  # noqa: PTH116
                os.unlink(self.path)  # noqa: PTH108

    def read_finished_ids(self, done: set[str]) -> None:
        """Put the ids of all lines into a set; a torn last line does not count.

        Raises:
            ConfigurationError: A line is none of ours; its number is told.
        """
        if self.mode != "resume":
            return
        try:
            with open(self.file, "rb", closefd=False) as lines:
                while line := lines.readline(_LONGEST_LINE):
                    if not self._read_line(line, done):
                        break
        except OSError as error:
            raise file_error(f"read {self.path}", error, _OUTPUT_HINT) from None

    def _read_line(self, line: bytes, done: set[str]) -> bool:
        found = parse_seed_line(line)
        if found is None and _is_truncated(line):
            return False
        self.done += 1
        if found is None:
            problem = f"it is no line of mj-async seeds; next: mend that line, or {_OUTPUT_HINT}"
            raise errors.ConfigurationError(f"{self.path}, line {self.done}: {problem}")
        task_id, has_seed = found
        done.add(task_id)
        self.seedless += not has_seed
        self._end += len(line)
        self._needs_newline = not line.endswith(b"\n")
        return True

    def start_writing(self) -> None:
        """Cut off what is not to stay: a torn line, or with `mode` "overwrite" everything.

        Raises:
            OutputError: It cannot be written.
        """
        if self._is_regular:
            try:
                os.ftruncate(self.file, self._end)
            except OSError as error:
                raise self._write_error(error) from None
        if self._needs_newline:
            self._write(b"\n")

    def write_line(self, value: Any) -> None:
        """Write one line.

        Raises:
            OutputError: It cannot be written; only whole lines are kept.
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
        """See to it that what was written survives a loss of power.

        Raises:
            OutputError: It has not reached the disk.
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
        """Do the same, and give the error."""
        try:
            self.sync()
        except OutputError as error:
            return error
        return None

    def _write_error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror}; its lines are kept")


def _is_truncated(line: bytes) -> bool:
    """Whether a process that wrote our lines may have been killed in this one.

    A loss of power leaves zeros, too. A file of something else is not to be cut.
    """
    ended = line.endswith(b"\n") or len(line) == _LONGEST_LINE
    return not ended and (line.startswith(b"{") or not line.strip(b"\0"))


def parse_seed_line(line: bytes) -> tuple[str, bool] | None:
    """Give the id that a line is about, and whether it has a seed; None for no line of ours."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # no UTF-8 is a ValueError, too
        return None
    task_id = value.get("task_id") if isinstance(value, dict) else None
    if not isinstance(task_id, str) or not task_id:
        return None
    return task_id, value.get("error") is None


# Beyond any line, for on Windows nobody else can read what is locked.
_LOCK_OFFSET = 2**40
_LOCKED_ERRNOS = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


def try_lock(file: int) -> bool:
    """Lock an open file for this process.

    Returns:
        False where another process holds it. True where it is ours now, and where neither this
        system nor its file system (some of the network's) has locks.
    """
    for name, take in (("fcntl", _lock_posix), ("msvcrt", _lock_windows)):
        with suppress(ImportError):
            module = import_module(name)
            try:
                take(module, file)
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
