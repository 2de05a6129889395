"""What a user may set: the dialect, the polling, the retries. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import attrs

from . import _checks, _credentials

AuthScheme: TypeAlias = Literal["auto", "bearer", "raw", "mj-api-secret", "none"]
IdsEncoding: TypeAlias = Literal["auto", "json", "multipart"]
SeedForm: TypeAlias = Literal["auto", "path", "multipart"]


def _checked(problem: Callable[[Any], str | None]) -> Any:
    def check(_owner: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        _checks.check_option(attribute.name, value, problem)

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
        validator=_checked(_checks.one_of("auto", "bearer", "raw", "mj-api-secret", "none")),
    )
    ids: IdsEncoding = attrs.field(
        default="auto", validator=_checked(_checks.one_of("auto", "json", "multipart"))
    )
    seed: SeedForm = attrs.field(
        default="auto", validator=_checked(_checks.one_of("auto", "path", "multipart"))
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

    interval: float = attrs.field(default=3.0, validator=_checked(_checks.above_zero))
    factor: float = attrs.field(default=1.3, validator=_checked(_checks.one_or_more))
    max_interval: float = attrs.field(default=10.0, validator=_checked(_checks.above_zero))
    jitter: float = attrs.field(default=0.15, validator=_checked(_checks.share))
    missing_grace: float = attrs.field(default=10.0, validator=_checked(_checks.zero_or_more))
    stall_timeout: float | None = attrs.field(
        default=None, validator=_checked(_checks.none_or(_checks.above_zero))
    )
    max_consecutive_errors: int = attrs.field(default=30, validator=_checked(_checks.count))


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

    attempts: int = attrs.field(default=3, validator=_checked(_checks.count))
    first_delay: float = attrs.field(default=0.5, validator=_checked(_checks.zero_or_more))
    max_delay: float = attrs.field(default=8.0, validator=_checked(_checks.zero_or_more))
    max_retry_after: float = attrs.field(default=120.0, validator=_checked(_checks.zero_or_more))
    budget: float = attrs.field(default=100, validator=_checked(_checks.zero_or_more))


def _of(kind: type) -> Any:
    def check(_owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
        _checks.check_instance(attribute.name, value, kind)

    return check


@attrs.frozen(kw_only=True)
class Settings:
    """What a client was made with, checked."""

    base_url: str
    key: _credentials.Secret
    dialect: Dialect = attrs.field(validator=_of(Dialect))
    polling: Polling = attrs.field(validator=_of(Polling))
    retry: RetryPolicy = attrs.field(validator=_of(RetryPolicy))
    request_timeout: float = attrs.field(validator=_checked(_checks.above_zero))
    seed_timeout: float = attrs.field(validator=_checked(_checks.above_zero))
    max_connections: int = attrs.field(validator=_checked(_checks.count))
