"""What a user gave, checked once and before any I/O: ids and single options.

Pure. Every complaint says what is wrong and what would do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import ConfigurationError

# Ids in the wild have 16 to 20 digits, or look like `task_1234567890`.
_LONGEST_ID = 256
_USUAL_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Far beyond any use, and safe to add to a clock; NaN and infinity are not below it.
_ENDLESS = 1e12
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) < _ENDLESS


def above_zero(value: Any) -> str | None:
    fine = _is_number(value) and value > 0
    return None if fine else "must be a finite number of seconds above 0"


def zero_or_more(value: Any) -> str | None:
    return None if _is_number(value) and value >= 0 else "must be a finite number, 0 or more"


def one_or_more(value: Any) -> str | None:
    return None if _is_number(value) and value >= 1 else "must be a finite number, 1 or more"


def share(value: Any) -> str | None:
    return None if _is_number(value) and 0 <= value < 1 else "must be from 0 to below 1"


def count(value: Any) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if fine else "must be a whole number, 1 or more"


def flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be True or False"


def none_or(problem: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else problem(value)


def one_of(*choices: str) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        fine = isinstance(value, str) and value in choices
        return None if fine else f"must be one of {', '.join(map(repr, choices))}"

    return problem


def check_timeout(timeout: float | None) -> None:
    """Refuse a call's timeout that is no number of seconds.

    Raises:
        ConfigurationError: It is not None and not a finite number above 0.
    """
    check_option("timeout", timeout, none_or(above_zero))


def check_instance(name: str, value: object, kind: Any) -> None:
    """Refuse an option of another class, or of none of several.

    Raises:
        ConfigurationError: It is none of that class.
    """
    if not isinstance(value, kind):
        given = type(value).__name__
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(one.__name__ for one in kinds)
        raise ConfigurationError(f"{name} must be of the class {names}, not {given}")


def check_count(name: str, value: int) -> None:
    """Refuse an option that is not a whole number of at least one.

    Raises:
        ConfigurationError: It is not.
    """
    check_option(name, value, count)


def check_option(name: str, value: Any, problem: Callable[[Any], str | None]) -> None:
    """Raise what is wrong with an option, if anything is.

    Raises:
        ConfigurationError: Something is.
    """
    wrong = problem(value)
    if wrong is not None:
        raise ConfigurationError(f"{name} {wrong}, not {value!r}")


# --- ids --------------------------------------------------------------------------------------


def check_id(task_id: object) -> str:
    """Refuse what cannot be one segment of a path; ids are opaque otherwise.

    Args:
        task_id: What the user gave.

    Returns:
        The same.

    Raises:
        ConfigurationError: It is no str, is empty, too long, a dot or two, has a slash, a
            control character or white space around it. An empty id would give somebody's
            failed task on new-api (gateways page, "One task").
    """
    if not isinstance(task_id, str):
        raise ConfigurationError(
            f"a task id must be a str, not {type(task_id).__name__}: numbers lose leading zeros"
        )
    problem = None if _USUAL_ID.fullmatch(task_id) else _id_problem(task_id)
    if problem is not None:
        raise ConfigurationError(f"the task id {task_id[:40]!r} {problem}")
    return task_id


def _id_problem(task_id: str) -> str | None:
    if not task_id.strip():
        return "is empty"
    if len(task_id) > _LONGEST_ID:
        return f"is longer than {_LONGEST_ID} characters"
    if task_id in (".", ".."):
        return "is a step in a path"
    if "/" in task_id or "\\" in task_id:
        return "has a slash"
    if not task_id.isprintable() and _has_control(task_id):
        return "has a control character; was a line break read with it?"
    return "has white space around it" if task_id != task_id.strip() else None


def _has_control(text: str) -> bool:
    return not _UNPRINTABLE.isdisjoint(map(unicodedata.category, text))


def check_ids(task_ids: Iterable[str]) -> list[str]:
    """Refuse what is no list of ids; give the distinct ones in the order given.

    Raises:
        ConfigurationError: It is a single str, cannot be iterated, or one id is bad.
    """
    if isinstance(task_ids, str | bytes | Mapping):
        kind = type(task_ids).__name__
        raise ConfigurationError(f"task_ids must be a list of ids, not one {kind}: wrap it in [ ]")
    try:
        given = list(task_ids)
    except TypeError:
        kind = type(task_ids).__name__
        raise ConfigurationError(f"task_ids must be a list of ids, not {kind}") from None
    return list(dict.fromkeys(map(check_id, given)))
