"""The gate that all processes with one gateway and key share. It keeps no connection to Redis."""

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

# The same as in AsyncMJClient and its own gate: two spellings of an address or a key must share
# one limit, and holds must have the same length.
from mj_async._credentials import Secret, find_base_url, find_key
from mj_async._http.gate import LONGEST_HOLD, MEMORY
from mj_async._http.retry import with_jitter

from .one_shot_redis import OneShotRedis
from .rate_limit_script import SCRIPT, SHA
from .slot_allocator import FIRST_HOLD, HORIZON, SlotAllocator, SlotGrant

# Seconds without a request to Redis after it has failed.
_PAUSE_AFTER_FAILURE = 1.0
_RATE = number("a finite number of requests a second above 0", gt(0))

_logger = logging.getLogger("mj_async")


class SharedGate:
    """A gate that all processes with one base_url and key share: their rate, and their holds.

    Pass it to each client: `AsyncMJClient(gate=SharedGate("redis://localhost:6379/0"))`. If one
    process gets a 429, all processes stop sending within 0.1 s. With a `rate`, all processes
    together send at most so many requests in any second, and each of them gets its turn.
    It needs the extra `mj_async[distributed]`, and Redis or Valkey, version 6 or later.

    There is nothing to enter or to close: it keeps no connection, task or subscription. It asks
    Redis only when requests come, at most about 15 times a second, once for all requests that
    wait; that takes a few milliseconds. Create one or more in each process: what they share is
    in Redis, under the SHA-256 of base_url and key. The base_url and the key are not sent to
    Redis. Do not use one gate in two event loops at the same time.

    While Redis cannot be reached, no request is sent: calls wait within their timeouts, and then
    raise a `RateLimitError` that names the reason. Waits and bulk lookups of seeds continue when
    Redis is back. The logger `mj_async` gets one warning.

    Args:
        redis_url: The address of Redis: `redis://`, `rediss://` for TLS, or `unix://`, with
            user, password and database number if needed.
        base_url: The gateway's address, as for `AsyncMJClient`; by default `MJ_BASE_URL`.
        api_key: The gateway's key; by default `MJ_API_KEY`. For a gateway without keys, any text
            that is the same in all processes.
        rate: Requests per second, of all processes together; 0.5 is one request in two seconds.
            None: only holds are shared. Set it slightly below the gateway's limit, and to the
            same value in all processes.
        burst: How many requests may be sent at once after a pause. It is at most the rate of one
            second, and a pause of the same length follows.

    Raises:
        ConfigurationError: An argument is invalid. On first use: Redis refuses the password, or
            cannot do what is needed.
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
        # This comes first, so that no traceback with locals shows the key or the password.
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
        raise TypeError("a SharedGate cannot be pickled; create one in each process")

    async def acquire(self, *, deadline: float | None) -> None:
        """Wait until one request may be sent.

        Args:
            deadline: A time of `anyio.current_time()`. It does not begin a sleep that would end
                later. None: no limit.

        Raises:
            RateLimitError: The request must wait longer than that, or Redis cannot be reached;
                `retry_after` is the time until the next attempt makes sense, in seconds.
            ConfigurationError: Redis refuses the password, or cannot do what is needed.
        """
        while (refusal := await self._try_acquire()) is not None:
            seconds = refusal.retry_after or 0.0
            if deadline is not None and anyio.current_time() + seconds > deadline:
                raise refusal
            await anyio.sleep(seconds)

    async def hold(self, seconds: float | None) -> None:
        """Hold back the next requests of all processes.

        Args:
            seconds: The Retry-After of a 429. None: the 429 had none; then the hold is 0.5 s,
                and doubles with each 429 that follows within a minute, up to one minute.

        Raises:
            ConfigurationError: Redis refuses the password, or cannot do what is needed, and
                has never worked.
        """
        self._allocator.hold(seconds, time.monotonic())
        # If the hold does not reach Redis now, the next request for slots carries it.
        while (
            self._allocator.pending_hold is not None
            and self._refuse_after_failure(time.monotonic()) is None
        ):
            await self._refresh_together()

    # --- the callers --------------------------------------------------------------------------

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
        if self._failure is None or now >= self._retry_at:
            return None
        if self._is_fatal(self._failure):
            raise copy(self._failure)
        return errors.RateLimitError(
            retry_after=with_jitter(self._retry_at - now),
            description=f"the shared gate is closed: {self._failure}",
        )

    def _is_fatal(self, failure: errors.MJError | None) -> bool:
        # A Redis that has worked once will work again: a bot must not die of its bad moments.
        return isinstance(failure, errors.ConfigurationError) and not self._was_usable

    # --- new grants ---------------------------------------------------------------------------

    async def _refresh_together(self) -> None:
        # Single flight: one caller asks Redis for all. If it is cancelled, another one asks.
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
        await checkpoint()  # the grant is also for callers that come at the same instant
        try:
            await self._refresh()
        except errors.MJError as error:
            self._record(error)
        else:
            self._record(None)

    def _record(self, failure: errors.MJError | None) -> None:
        has_changed = (self._failure is None) != (failure is None)
        if has_changed and not self._is_fatal(failure):
            what = f"is closed: {failure}" if failure else f"can reach {self._redis.address} again"
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
    """Return the name of the hash in Redis; it reveals neither the key nor the address."""
    digest = sha256(f"{base_url}\n{key.reveal_bare()}".encode()).hexdigest()
    return f"mj_async:gate:{digest}"


def _rate_refusal(seconds: float) -> errors.RateLimitError:
    return errors.RateLimitError(
        retry_after=seconds, description="the shared gate does not allow a request yet"
    )
