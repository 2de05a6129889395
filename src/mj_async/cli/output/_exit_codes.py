"""PURE: the exit code of a command."""

from __future__ import annotations

from collections.abc import Iterable

from mj_async import errors

from ._hints import root_cause

DONE, INCOMPLETE, USAGE_ERROR, GATEWAY_ERROR = 0, 1, 2, 3

# The first class that matches. All other errors are failures of the gateway.
_CODES: tuple[tuple[type[errors.MJError], int], ...] = (
    (errors.ConfigurationError, USAGE_ERROR),
    (errors.TaskNotFoundError, INCOMPLETE),
    (errors.SeedUnavailableError, INCOMPLETE),
    (errors.TaskError, INCOMPLETE),
    (errors.MJError, GATEWAY_ERROR),
)


def exit_code_for(error: errors.MJError | None) -> int:
    """Return the exit code for the error of one id; 0 for None."""
    root = None if error is None else root_cause(error)
    return next((code for kind, code in _CODES if isinstance(root, kind)), DONE)


def combine_exit_codes(codes: Iterable[int]) -> int:
    """Return the exit code for the exit codes of all ids.

    It is 3 only if the gateway failed for every id. If it failed for some, the result is
    incomplete.
    """
    found = set(codes)
    if found <= {DONE}:
        return DONE
    return GATEWAY_ERROR if found == {GATEWAY_ERROR} else INCOMPLETE


def exit_code_of_run(error: Exception | None, codes: Iterable[int]) -> int:
    """Return the exit code of a run."""
    if isinstance(error, errors.MJError):
        return exit_code_for(error)
    return combine_exit_codes(codes) if error is None else INCOMPLETE
