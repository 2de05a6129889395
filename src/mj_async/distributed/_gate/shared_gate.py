"""The gate that the processes of one gateway and key share; each look at Redis is by itself."""

from __future__ import annotations

import logging
import math
import os
import time
from copy import copy
from hashlib import sha256

import anyio
from anyio.lowlevel import checkpoint

from mj_async import errors
from mj_async._config import above_zero, check_count, check_option, none_or

# What AsyncMJClient and its own gate use: both gates must take the same key and address for the
# same, and hold as long.
from mj_async._credentials import Secret, find_base_url, find_key
from mj_async._http.gate import LONGEST_HOLD, MEMORY
from mj_async._http.retry import with_jitter

from .one_shot_redis import BriefRedis
from .rate_limit_script import SCRIPT, SHA
from .slot_allocator import FIRST_HOLD, HORIZON, Allotment, Look

# How long Redis is left alone after a failure.
_PAUSE = 1.0

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
        key, api_key = api_key, None
        secret, problem = find_key(key, "auto", os.environ)
        self._redis, redis_url, key = BriefRedis(redis_url), "", None
        if problem is not None:
            raise errors.ConfigurationError(problem)
        address = find_base_url(base_url, os.environ)
        check_option("rate", rate, none_or(_rate_problem))
        check_count("burst", burst)
        self._allotment = Allotment(rate, burst)
        self._name = name_of(address, secret)
        self._base_url = address
        self._looking: anyio.Event | None = None
        self._waiting = 0
        self._trouble: errors.MJError | None = None
        self._away_until = -math.inf
        self._has_worked = False

    def __repr__(self) -> str:
        rate = self._allotment.rate
        limit = "" if rate is None else f", rate={rate:g}"
        return f"<SharedGate({self._base_url!r} by Redis at {self._redis.place}{limit})>"

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
        while (refusal := await self._ask()) is not None:
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
        self._allotment.hold(seconds, time.monotonic())
        # What cannot be told now is told at the next look.
        while self._allotment.news is not None and self._pause(time.monotonic()) is None:
            await self._look_or_wait()

    # --- what a caller is told --------------------------------------------------------------

    async def _ask(self) -> errors.RateLimitError | None:
        again = False
        while True:
            now = time.monotonic()
            pause = self._pause(now)
            if pause is not None:
                return pause
            seconds = self._allotment.ask(now, again=again)
            if seconds is not None:
                return _not_yet(seconds) if seconds else None
            await self._look_or_wait()
            again = True

    def _pause(self, now: float) -> errors.RateLimitError | None:
        """Leave Redis alone for a moment after it has failed.

        Raises:
            ConfigurationError: It is of no use, and never was.
        """
        if self._trouble is None or now >= self._away_until:
            return None
        if self._is_raised(self._trouble):
            raise copy(self._trouble)
        return errors.RateLimitError(
            retry_after=with_jitter(self._away_until - now),
            description=f"the shared gate is closed: {self._trouble}",
        )

    def _is_raised(self, trouble: errors.MJError | None) -> bool:
        """Whether it is the caller's fault; what has worked once will work again."""
        return isinstance(trouble, errors.ConfigurationError) and not self._has_worked

    # --- looking at Redis -------------------------------------------------------------------

    async def _look_or_wait(self) -> None:
        """Look, or wait for whoever does; if he is cancelled, one of the others does it."""
        looking = self._looking
        self._waiting += 1
        try:
            if looking is not None:
                await looking.wait()
                return
            self._looking = anyio.Event()
            try:
                await self._look_once()
            finally:
                self._looking.set()
                self._looking = None
        finally:
            self._waiting -= 1

    async def _look_once(self) -> None:
        await checkpoint()  # whoever comes at the same instant is looked for, too
        try:
            await self._look()
        except errors.MJError as error:
            self._note(error)
        else:
            self._note(None)

    def _note(self, trouble: errors.MJError | None) -> None:
        has_changed = (self._trouble is None) != (trouble is None)
        if has_changed and not self._is_raised(trouble):
            what = f"is closed: {trouble}" if trouble else f"can ask {self._redis.place} again"
            _logger.warning("the shared gate %s", what)
        self._trouble = trouble
        self._has_worked = self._has_worked or trouble is None
        self._away_until = time.monotonic() + _PAUSE

    async def _look(self) -> None:
        allotment, now = self._allotment, time.monotonic()
        news, wanted = allotment.news, allotment.wanted(self._waiting, now)
        arguments: list[float | str] = [
            allotment.interval,
            allotment.most_at_once,
            HORIZON,
            allotment.farthest(now),
            wanted,
            allotment.take_news(now),
            with_jitter(1.0),
            FIRST_HOLD,
            LONGEST_HOLD,
            MEMORY,
        ]
        held, first, at_once, paced = await self._redis.run(SCRIPT, SHA, self._name, arguments)
        look = Look(held / 1e6, first / 1e6, at_once, paced)
        allotment.take_in(look, wanted, time.monotonic())
        allotment.told(news)


def name_of(base_url: str, key: Secret) -> str:
    """PURE: name the hash in Redis, by nothing that gives away the key or the address."""
    digest = sha256(f"{base_url}\n{key.reveal_bare()}".encode()).hexdigest()
    return f"mj_async:gate:{digest}"


def _not_yet(seconds: float) -> errors.RateLimitError:
    return errors.RateLimitError(
        retry_after=seconds, description="the shared gate says that it is not yet time"
    )


def _rate_problem(value: object) -> str | None:
    fine = above_zero(value) is None
    return None if fine else "must be a finite number of requests a second above 0"
