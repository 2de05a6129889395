"""PURE: the exit code of a command."""

from __future__ import annotations

from collections.abc import Iterable

from mj_async import errors

from ._hints import root_cause

DONE, INCOMPLETE, USAGE_ERROR, GATEWAY_ERROR = 0, 1, 2, 3

# The first class that fits; everything else is the gateway's trouble.
_CODES: tuple[tuple[type[errors.MJError], int], ...] = (
    (errors.ConfigurationError, USAGE_ERROR),
    (errors.TaskNotFoundError, INCOMPLETE),
    (errors.SeedUnavailableError, INCOMPLETE),
    (errors.TaskError, INCOMPLETE),
    (errors.MJError, GATEWAY_ERROR),
)


def exit_code_for(error: errors.MJError | None) -> int:
    """Give the exit code for what one id ended with."""
    root = None if error is None else root_cause(error)
    return next((code for kind, code in _CODES if isinstance(root, kind)), DONE)


def combine_exit_codes(codes: Iterable[int]) -> int:
    """Give the exit code for what all ids ended with.

    A gateway that was in trouble for some ids has left those without an answer; only one that
    was in trouble for every single one gave nothing usable.
    """
    found = set(codes)
    if found <= {DONE}:
        return DONE
    return GATEWAY_ERROR if found == {GATEWAY_ERROR} else INCOMPLETE


def exit_code_of_run(error: Exception | None, codes: Iterable[int]) -> int:
    """Give the exit code for a run of many ids.

    Args:
        error: What ended it before its time, or None.
        codes: Those of the ids.
    """
    if isinstance(error, errors.MJError):
        return exit_code_for(error)
    return combine_exit_codes(codes) if error is None else INCOMPLETE
