"""The options of a client: dialect, polling and retries, and the checks of all arguments. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias, get_args

import attrs
from attrs.validators import and_, ge, gt, in_, instance_of, lt, not_, optional

from . import _credentials
from .errors import ConfigurationError

# Ids in the wild have 16 to 20 digits, or look like `task_1234567890`.
_LONGEST_ID = 256
_USUAL_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Far beyond any use, and safe to add to a clock; NaN and infinity are not below it.
_ENDLESS = 1e12
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})

Validator: TypeAlias = Callable[[Any, Any, Any], None]
AuthScheme: TypeAlias = Literal["auto", "bearer", "raw", "mj-api-secret", "none"]
IdsEncoding: TypeAlias = Literal["auto", "json", "multipart"]
SeedForm: TypeAlias = Literal["auto", "path", "multipart"]


# --- validators of attrs ----------------------------------------------------------------------


def _option(wanted: str, *checks: Validator) -> Validator:
    """Return a validator whose error names the option, the values it may have, and what it got."""
    check = and_(*checks)

    def validate(owner: object, attribute: Any, value: Any) -> None:
        try:
            check(owner, attribute, value)
        except TypeError:  # of another class: its repr may be long, or hold a key
            given = type(value).__name__
        except ValueError:
            given = repr(value)
        else:
            return
        raise ConfigurationError(f"{attribute.name} must be {wanted}, not {given}")

    return validate


def number(wanted: str, *limits: Validator) -> Validator:
    """Return a validator for numbers; a limit below them refuses NaN, and infinity is too large."""
    return _option(
        wanted, instance_of((int, float)), not_(instance_of(bool)), *limits, lt(_ENDLESS)
    )


def _one_of(kind: Any) -> Validator:
    choices = get_args(kind)
    return _option(f"one of {', '.join(map(repr, choices))}", instance_of(str), in_(choices))


def _instance(*kinds: Any) -> Validator:
    return _option(f"of the class {' or '.join(k.__name__ for k in kinds)}", instance_of(kinds))


above_zero = number("a finite number of seconds above 0", gt(0))
zero_or_more = number("a finite number, 0 or more", ge(0))
_one_or_more = number("a finite number, 1 or more", ge(1))
_share = number("from 0 to below 1", ge(0), lt(1))
_count = _option("a whole number, 1 or more", instance_of(int), not_(instance_of(bool)), ge(1))
none_or = optional
_timeout: Validator = optional(above_zero)
_TIMEOUT = SimpleNamespace(name="timeout")


def check_option(name: str, value: Any, validator: Validator) -> None:
    """Raise a ConfigurationError if the value of an argument is not valid."""
    validator(None, SimpleNamespace(name=name), value)


def check_timeout(timeout: float | None) -> None:
    """Raise a ConfigurationError if a call's timeout is not None and no number of seconds."""
    _timeout(None, _TIMEOUT, timeout)


def check_instance(name: str, value: object, *kinds: Any) -> None:
    """Raise a ConfigurationError if the value is of none of the classes."""
    check_option(name, value, _instance(*kinds))


def check_count(name: str, value: int) -> None:
    """Raise a ConfigurationError if the value is no whole number of at least one."""
    check_option(name, value, _count)


# --- ids --------------------------------------------------------------------------------------


def check_id(task_id: object) -> str:
    """Return the id, which must be one segment of a path; ids are opaque otherwise.

    Raises:
        ConfigurationError: It cannot be one. new-api answers an empty id with a failed task of
            another user (gateways page, "One task").
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
    if not _UNPRINTABLE.isdisjoint(map(unicodedata.category, task_id)):
        return "has a control character; was a line break read with it?"
    return "has white space around it" if task_id != task_id.strip() else None


def check_ids(task_ids: Iterable[str]) -> list[str]:
    """Return the distinct ids in the order given.

    Raises:
        ConfigurationError: They are a single str, cannot be iterated, or an id is bad.
    """
    if isinstance(task_ids, str | bytes | Mapping) or not isinstance(task_ids, Iterable):
        kind = type(task_ids).__name__
        raise ConfigurationError(f"task_ids must be a list of ids, not {kind}: wrap it in [ ]")
    return list(dict.fromkeys(map(check_id, task_ids)))


# --- options ----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Dialect:
    """How a gateway expects its requests; "auto" finds out and remembers.

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

    auth: AuthScheme = attrs.field(default="auto", validator=_one_of(AuthScheme))
    ids: IdsEncoding = attrs.field(default="auto", validator=_one_of(IdsEncoding))
    seed: SeedForm = attrs.field(default="auto", validator=_one_of(SeedForm))


DOCUMENTED = Dialect(auth="bearer", ids="multipart", seed="multipart")
"""The dialect that sends exactly what the published documents show."""


@attrs.frozen(kw_only=True)
class Polling:
    """When a wait sends its polls, and how many errors it tolerates. All times are in seconds.

    Args:
        interval: From the start of the first poll to the start of the second. Gateways
            refresh a task every 15 s (new-api) or a few seconds; below 3 is waste.
        factor: By which each interval is longer than the one before.
        max_interval: The longest that it grows to; an `interval` above it stays as it is.
        jitter: The share by which an interval may be shorter or longer, at random.
        missing_grace: How long an id may be unknown: a gateway's replica may lag behind.
        stall_timeout: How long status and progress may stand still; None: without limit.
        max_consecutive_errors: How many failed polls in a row end the wait.

    Raises:
        ConfigurationError: A value is out of range.
    """

    interval: float = attrs.field(default=3.0, validator=above_zero)
    factor: float = attrs.field(default=1.3, validator=_one_or_more)
    max_interval: float = attrs.field(default=10.0, validator=above_zero)
    jitter: float = attrs.field(default=0.15, validator=_share)
    missing_grace: float = attrs.field(default=10.0, validator=zero_or_more)
    stall_timeout: float | None = attrs.field(default=None, validator=none_or(above_zero))
    max_consecutive_errors: int = attrs.field(default=30, validator=_count)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often a request is tried, and how long it waits in between. Times are in seconds.

    The delay before try `n + 1` is drawn evenly from 0 to `first_delay * 2 ** (n - 1)`, at most
    `max_delay`; a `Retry-After` wins over it.

    Args:
        attempts: How many tries each request of a call has, the first one counted. A call may
            need several requests, such as the second form of `image-seed`; its timeout ends
            them all.
        first_delay: The longest delay before the second try.
        max_delay: The longest delay before any try.
        max_retry_after: A `Retry-After` above this is raised at once, not waited for.
        budget: How many retries a client has, all calls together: one takes 1, a success gives
            0.2 back, and below 1 nothing is retried. So a dead gateway costs one request a
            call, not three.

    Raises:
        ConfigurationError: A value is out of range.
    """

    attempts: int = attrs.field(default=3, validator=_count)
    first_delay: float = attrs.field(default=0.5, validator=zero_or_more)
    max_delay: float = attrs.field(default=8.0, validator=zero_or_more)
    max_retry_after: float = attrs.field(default=120.0, validator=zero_or_more)
    budget: float = attrs.field(default=100, validator=zero_or_more)


@attrs.frozen(kw_only=True)
class Settings:
    """The checked arguments of a client."""

    base_url: str
    key: _credentials.Secret
    dialect: Dialect = attrs.field(validator=_instance(Dialect))
    polling: Polling = attrs.field(validator=_instance(Polling))
    retry: RetryPolicy = attrs.field(validator=_instance(RetryPolicy))
    request_timeout: float = attrs.field(validator=above_zero)
    seed_timeout: float = attrs.field(validator=above_zero)
    max_connections: int = attrs.field(validator=_count)
