"""How a command ends: its exit code, and one line in place of a traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from mj_async import errors

from ._advice import root_of, told
from ._terminal import OutputError, say

DONE, PARTLY, USAGE, GATEWAY = 0, 1, 2, 3

# The first class that fits; everything else is the gateway's trouble.
_CODES: tuple[tuple[type[errors.MJError], int], ...] = (
    (errors.ConfigurationError, USAGE),
    (errors.TaskNotFoundError, PARTLY),
    (errors.SeedUnavailableError, PARTLY),
    (errors.TaskError, PARTLY),
    (errors.MJError, GATEWAY),
)


def code_of(error: errors.MJError | None) -> int:
    """Give the exit code for what one id ended with."""
    root = None if error is None else root_of(error)
    return next((code for kind, code in _CODES if isinstance(root, kind)), DONE)


def code_of_all(codes: Iterable[int]) -> int:
    """Give the exit code for what all ids ended with.

    A gateway that was in trouble for some ids has left those without an answer; only one that
    was in trouble for every single one gave nothing usable.
    """
    found = set(codes)
    if found <= {DONE}:
        return DONE
    return GATEWAY if found == {GATEWAY} else PARTLY


def code_of_end(error: Exception | None, codes: Iterable[int]) -> int:
    """Give the exit code for a run of many ids.

    Args:
        error: What ended it before its time, or None.
        codes: Those of the ids.
    """
    if isinstance(error, errors.MJError):
        return code_of(error)
    return code_of_all(codes) if error is None else PARTLY


class _OneLine:
    """Ends the process with one line on stderr, where it would end with a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, errors.MJError | OutputError):
            say(told(error))
            sys.exit(code_of_end(error, ()))
        if isinstance(error, KeyboardInterrupt):
            # Everything is said and written; a further one would only spoil the exit code.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(work: Callable[[], int]) -> NoReturn:
    """Do a command's work, and end the process with its exit code.

    An interrupt ends it with 130, which cyclopts sees to.
    """
    with _OneLine():
        sys.exit(work())
