"""One writer a file: a lock that ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from importlib import import_module
from typing import Any

# Beyond any line, for on Windows nobody else can read what is locked.
_FAR = 2**40
_HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


def lock(file: int) -> bool:
    """Lock an open file for this process.

    Returns:
        False where another process holds it. True where it is ours now, and where neither this
        system nor its file system (some of the network's) has locks.
    """
    for name, take in (("fcntl", _take_on_posix), ("msvcrt", _take_on_windows)):
        with suppress(ImportError):
            module = import_module(name)
            try:
                take(module, file)
            except OSError as error:
                return error.errno not in _HELD
            return True
    return True


def _take_on_posix(fcntl: Any, file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _take_on_windows(msvcrt: Any, file: int) -> None:
    os.lseek(file, _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    finally:
        os.lseek(file, 0, os.SEEK_SET)
