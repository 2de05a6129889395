"""The gate that the processes of one gateway and key share; each look at Redis is by itself."""

from __future__ import annotations

import logging
import math
import time
from copy import copy
from hashlib import sha256

import anyio
from anyio.lowlevel import checkpoint
from attrs.validators import gt

from mj_async import errors
from mj_async._config import check_count, check_option, none_or, number

# What AsyncMJClient and its own gate use: both gates must take the same key and address for the
# same, and hold as long.
from mj_async._credentials import Secret, find_base_url, find_key
from mj_async._http.gate import LONGEST_HOLD, MEMORY
from mj_async._http.retry import with_jitter

from .one_shot_redis import OneShotRedis
from .rate_limit_script import SCRIPT, SHA
from .slot_allocator import FIRST_HOLD, HORIZON, SlotAllocator, SlotGrant

# How long Redis is left alone after a failure.
_PAUSE_AFTER_FAILURE = 1.0
_RATE = number("a finite number of requests a second above 0", gt(0))

_logger = logging.getLogger("mj_async")


class SharedGate:
    """A gate that all processes of one base_url and key share: their rate, and their holds.

    Give it to each client: `AsyncMJClient(gate=SharedGate("redis://localhost:6379/0"))`. A 429
    that one process gets holds back all of them, within a tenth of a second. With a `rate`,
    they send no more than that in any second, all together, and take turns when they are many.
    It needs the extra `mj_async[distributed]`, and a Redis or Valkey from version 6 on.

    There is nothing to enter and nothing to close: no connection, task or subscription is kept.
    Redis is looked at when requests come, at most some fifteen times a second, for as many of
    them as come meanwhile; a look takes a few milliseconds. Make one in each process, or
    several: what they share is in Redis, under the SHA-256 of base_url and key. Neither is
    sent there. Do not use one in two event loops at the same time.

    While Redis is away nothing is sent: calls wait for it within their timeouts, and then end
    with a `RateLimitError` that says so; waits and runs of seeds go on when it is back. The
    logger `mj_async` is told once, as a warning.

    Args:
        redis_url: The address of Redis: `redis://`, `rediss://` for TLS, or `unix://`, with its
            user, password and number of the database if it has those.
        base_url: The gateway's, as `AsyncMJClient` takes it; else that of `MJ_BASE_URL`.
        api_key: The gateway's key; else that of `MJ_API_KEY`. Where a gateway takes none, any
            word that all processes have in common.
        rate: Requests a second, of all processes together; None: only holds are shared. Set it
            somewhat below what the gateway allows; 0.5 is one request in two seconds. All
            processes should have the same.
        burst: How many requests may be sent at once after a pause, and never more than a
            second's worth; as long a pause follows.

    Raises:
        ConfigurationError: An argument cannot be used. When it is first asked: Redis refuses
            the password, or is of no use.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        rate: float | None = None,
        burst: int = 50,
    ) -> None:
        # First of all, so that no traceback with locals shows the key or the password.
        secret, api_key = Secret(api_key), None
        self._redis, redis_url = OneShotRedis(redis_url), ""
        secret = find_key(secret, "auto")
        address = find_base_url(base_url)
        check_option("rate", rate, none_or(_RATE))
        check_count("burst", burst)
        self._allocator = SlotAllocator(rate, burst)
        self._redis_key = redis_key(address, secret)
        self._base_url = address
        self._refresh_ended: anyio.Event | None = None
        self._waiting = 0
        self._failure: errors.MJError | None = None
        self._retry_at = -math.inf
        self._was_usable = False

    def __repr__(self) -> str:
        rate = self._allocator.rate
        limit = "" if rate is None else f", rate={rate:g}"
        return f"<SharedGate({self._base_url!r} by Redis at {self._redis.address}{limit})>"

    def __reduce__(self) -> str:
        raise TypeError("a SharedGate is not pickled; make one in each process")

    async def acquire(self, *, deadline: float | None) -> None:
        """Wait until one request may be sent, and return.

        Args:
            deadline: A time of `anyio.current_time()`; a sleep that would pass it is not
                begun. None: any sleep is.

        Raises:
            RateLimitError: It would be later than that, or Redis cannot be reached;
                `retry_after` says when to ask again.
            ConfigurationError: Redis refuses the password, or is of no use.
        """
        while (refusal := await self._try_acquire()) is not None:
            seconds = refusal.retry_after or 0.0
            if deadline is not None and anyio.current_time() + seconds > deadline:
                raise refusal
            await anyio.sleep(seconds)

    async def hold(self, seconds: float | None) -> None:
        """Hold back the requests to come, of all processes.

        Args:
            seconds: The Retry-After of a 429, or None where it had none: then the hold is 0.5 s,
                and doubles with each 429 that follows within a minute, up to a minute.

        Raises:
            ConfigurationError: Redis refuses the password, or is of no use, and always did.
        """
        self._allocator.hold(seconds, time.monotonic())
        # What cannot be told now is told at the next look.
        while (
            self._allocator.pending_hold is not None
            and self._refuse_after_failure(time.monotonic()) is None
        ):
            await self._refresh_together()

    # --- what a caller is told --------------------------------------------------------------

    async def _try_acquire(self) -> errors.RateLimitError | None:
        retried = False
        while True:
            now = time.monotonic()
            refusal = self._refuse_after_failure(now)
            if refusal is not None:
                return refusal
            seconds = self._allocator.try_acquire(now, retried=retried)
            if seconds is not None:
                return _rate_refusal(seconds) if seconds else None
            await self._refresh_together()
            retried = True

    def _refuse_after_failure(self, now: float) -> errors.RateLimitError | None:
        """Leave Redis alone for a moment after it has failed.

        Raises:
            ConfigurationError: It is of no use, and never was.
        """
        if self._failure is None or now >= self._retry_at:
            return None
        if self._is_fatal(self._failure):
            raise copy(self._failure)
        return errors.RateLimitError(
            retry_after=with_jitter(self._retry_at - now),
            description=f"the shared gate is closed: {self._failure}",
        )

    def _is_fatal(self, failure: errors.MJError | None) -> bool:
        """Whether it is the caller's fault; what has worked once will work again."""
        return isinstance(failure, errors.ConfigurationError) and not self._was_usable

    # --- looking at Redis -------------------------------------------------------------------

    async def _refresh_together(self) -> None:
        """Look, or wait for whoever does; if he is cancelled, one of the others does it."""
        refresh_ended = self._refresh_ended
        self._waiting += 1
        try:
            if refresh_ended is not None:
                await refresh_ended.wait()
                return
            self._refresh_ended = anyio.Event()
            try:
                await self._refresh_and_record()
            finally:
                self._refresh_ended.set()
                self._refresh_ended = None
        finally:
            self._waiting -= 1

    async def _refresh_and_record(self) -> None:
        await checkpoint()  # whoever comes at the same instant is looked for, too
        try:
            await self._refresh()
        except errors.MJError as error:
            self._record(error)
        else:
            self._record(None)

    def _record(self, failure: errors.MJError | None) -> None:
        has_changed = (self._failure is None) != (failure is None)
        if has_changed and not self._is_fatal(failure):
            what = f"is closed: {failure}" if failure else f"can ask {self._redis.address} again"
            _logger.warning("the shared gate %s", what)
        self._failure = failure
        self._was_usable = self._was_usable or failure is None
        self._retry_at = time.monotonic() + _PAUSE_AFTER_FAILURE

    async def _refresh(self) -> None:
        allocator, now = self._allocator, time.monotonic()
        pending_hold, wanted = allocator.pending_hold, allocator.slots_wanted(self._waiting, now)
        arguments: list[float | str] = [
            allocator.interval,
            allocator.burst_limit,
            HORIZON,
            allocator.single_slot_horizon(now),
            wanted,
            allocator.hold_argument(now),
            with_jitter(1.0),
            FIRST_HOLD,
            LONGEST_HOLD,
            MEMORY,
        ]
        held, first, immediate, paced = await self._redis.run_script(
            SCRIPT, SHA, self._redis_key, arguments
        )
        grant = SlotGrant(held / 1e6, first / 1e6, immediate, paced)
        allocator.apply_grant(grant, wanted, time.monotonic())
        allocator.confirm_hold(pending_hold)


def redis_key(base_url: str, key: Secret) -> str:
    """PURE: name the hash in Redis, by nothing that gives away the key or the address."""
    digest = sha256(f"{base_url}\n{key.reveal_bare()}".encode()).hexdigest()
    return f"mj_async:gate:{digest}"


def _rate_refusal(seconds: float) -> errors.RateLimitError:
    return errors.RateLimitError(
        retry_after=seconds, description="the shared gate says that it is not yet time"
    )
