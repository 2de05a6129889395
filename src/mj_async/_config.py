"""What a user may set: the dialect, the polling, the retries. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from . import _credentials
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


AuthScheme: TypeAlias = Literal["auto", "bearer", "raw", "mj-api-secret", "none"]
IdsEncoding: TypeAlias = Literal["auto", "json", "multipart"]
SeedForm: TypeAlias = Literal["auto", "path", "multipart"]


def _checked(problem: Callable[[Any], str | None]) -> Any:
    def check(_owner: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        check_option(attribute.name, value, problem)

    return check


@attrs.frozen(kw_only=True)
class Dialect:
    """Which of the gateways' habits are spoken; "auto" finds out and remembers.

    Args:
        auth: How the key is sent: "bearer" and "raw" in `Authorization`, "mj-api-secret" in
            a header of that name, "none" not at all. "auto" tries those three in the order
            bearer, mj-api-secret, raw until the first is accepted.
        ids: How `list_tasks` sends ids: as "json", as every gateway's source reads them, or
            as "multipart", as the published documents show.
        seed: How a seed is asked for: by "path", as every gateway's source reads it, or as
            "multipart" form on `/mj/task//image-seed`, as the published documents show.

    Raises:
        ConfigurationError: A value is not one of these.
    """

    auth: AuthScheme = attrs.field(
        default="auto",
        validator=_checked(one_of("auto", "bearer", "raw", "mj-api-secret", "none")),
    )
    ids: IdsEncoding = attrs.field(
        default="auto", validator=_checked(one_of("auto", "json", "multipart"))
    )
    seed: SeedForm = attrs.field(
        default="auto", validator=_checked(one_of("auto", "path", "multipart"))
    )


DOCUMENTED = Dialect(auth="bearer", ids="multipart", seed="multipart")
"""The dialect that sends exactly what the published documents show."""


@attrs.frozen(kw_only=True)
class Polling:
    """When a wait asks, and what it puts up with. All times are in seconds.

    Args:
        interval: From the start of the first poll to the start of the second. Gateways
            refresh a task every 15 s (new-api) or a few seconds; below 3 is waste.
        factor: By which each interval is longer than the one before.
        max_interval: The longest that it grows to; an `interval` above it stays as it is.
        jitter: The share by which an interval may be shorter or longer, at random.
        missing_grace: How long an id may be unknown: a gateway's replica may lag behind.
        stall_timeout: How long status and progress may stand still; None: for ever.
        max_consecutive_errors: How many failed polls in a row end the wait.

    Raises:
        ConfigurationError: A value is out of range.
    """

    interval: float = attrs.field(default=3.0, validator=_checked(above_zero))
    factor: float = attrs.field(default=1.3, validator=_checked(one_or_more))
    max_interval: float = attrs.field(default=10.0, validator=_checked(above_zero))
    jitter: float = attrs.field(default=0.15, validator=_checked(share))
    missing_grace: float = attrs.field(default=10.0, validator=_checked(zero_or_more))
    stall_timeout: float | None = attrs.field(default=None, validator=_checked(none_or(above_zero)))
    max_consecutive_errors: int = attrs.field(default=30, validator=_checked(count))


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often a call is tried, and how long it waits in between. Times are in seconds.

    The delay before try `n + 1` is drawn evenly from 0 to `first_delay * 2 ** (n - 1)`, at most
    `max_delay`; a `Retry-After` wins over it.

    Args:
        attempts: How many tries a call has, the first one counted.
        first_delay: The longest delay before the second try.
        max_delay: The longest delay before any try.
        max_retry_after: A `Retry-After` above this is raised at once, not waited for.
        budget: How many retries a client has, all calls together: one takes 1, a success gives
            0.2 back, and below 1 nothing is retried. A dead gateway so costs one request a
            call and not three.

    Raises:
        ConfigurationError: A value is out of range.
    """

    attempts: int = attrs.field(default=3, validator=_checked(count))
    first_delay: float = attrs.field(default=0.5, validator=_checked(zero_or_more))
    max_delay: float = attrs.field(default=8.0, validator=_checked(zero_or_more))
    max_retry_after: float = attrs.field(default=120.0, validator=_checked(zero_or_more))
    budget: float = attrs.field(default=100, validator=_checked(zero_or_more))


def _of(kind: type) -> Any:
    def check(_owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
        check_instance(attribute.name, value, kind)

    return check


@attrs.frozen(kw_only=True)
class Settings:
    """What a client was made with, checked."""

    base_url: str
    key: _credentials.Secret
    dialect: Dialect = attrs.field(validator=_of(Dialect))
    polling: Polling = attrs.field(validator=_of(Polling))
    retry: RetryPolicy = attrs.field(validator=_of(RetryPolicy))
    request_timeout: float = attrs.field(validator=_checked(above_zero))
    seed_timeout: float = attrs.field(validator=_checked(above_zero))
    max_connections: int = attrs.field(validator=_checked(count))
