"""Requests of one client: retries, slots, the gate and deadlines."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import anyio
import attrs
import httpx

from .. import errors
from .._protocol.requests import label
from .adapter import HTTPXAdapter
from .gate import BackoffGate
from .instrumentation import Counts, log_request, log_retry, logger, outcome_of
from .pool import ConnectionPool
from .retry import RetryBudget, delay_before_retry

if TYPE_CHECKING:
    from .._clock import Clock
    from .._config import Settings
    from .._lifecycle import Lifecycle
    from .._protocol.requests import APIRequest, Scheme
    from .._protocol.response import APIResponse
    from .gate import Gate

T = TypeVar("T")


PassGate: TypeAlias = "Callable[[], Awaitable[None]]"
# Given the task's id, when the request began and how to pass the gate, returns the context in which
# it is sent; that swallows a refusal if there is another header to try (`_gateway/auth.py`).
Authenticate: TypeAlias = (
    "Callable[[str | None, float, PassGate], AbstractAsyncContextManager[Scheme, bool | None]]"
)


@attrs.define(eq=False)
class Call:
    """One call of the client: one deadline for its requests, each of which is retried.

    Args:
        timeout: Seconds; None: no limit.
        deadline: The time of the clock at its end.

    Attributes:
        last_error: The last error after which a request was sent again.
    """

    timeout: float | None
    deadline: float
    last_error: errors.MJError | None = attrs.field(default=None, init=False)


@attrs.frozen(kw_only=True)
class RequestOptions:
    """How one request is sent.

    Args:
        limit: The most bytes that the body may have, packed and unpacked.
        is_seed: It may take a minute, and holds at most half of the slots.
        call: The call that it is a part of. None: it is sent once, and held at the gate for as
            long as it takes, as waits and bulk seed lookups want it.
        attempt: Its number, from 1.
    """

    limit: int
    is_seed: bool = False
    call: Call | None = None
    attempt: int = 1


@attrs.define(kw_only=True, eq=False)
class Session:
    """Sends the requests of one client.

    Args:
        http_client: Ours or the caller's.
        transport: Its transport if both are ours, to be closed by `aclose()`; else None.

    Attributes:
        counts: What has been sent.
    """

    _settings: Settings
    _clock: Clock
    _lifecycle: Lifecycle
    _gate: Gate
    _authenticate: Authenticate
    _http_client: httpx.AsyncClient
    _transport: httpx.AsyncBaseTransport | None
    counts: Counts = attrs.field(factory=Counts, init=False)
    _adapter: HTTPXAdapter = attrs.field(init=False)
    _slots: anyio.Semaphore = attrs.field(init=False)
    _seed_slots: anyio.Semaphore = attrs.field(init=False)
    _budget: RetryBudget = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        settings, most = self._settings, self._settings.max_connections
        # A caller's client names itself; ours has to, for some firewalls refuse the nameless.
        agent = {} if self._transport is None else {"User-Agent": _agent()}
        self._adapter = HTTPXAdapter(
            http_client=self._http_client,
            base_url=settings.base_url,
            key=settings.key,
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", **agent},
            clock=self._clock,
        )
        self._slots = anyio.Semaphore(most, fast_acquire=True)
        self._seed_slots = anyio.Semaphore(max(1, most // 2), fast_acquire=True)
        self._budget = RetryBudget(settings.retry.budget)

    @property
    def connections(self) -> int:
        """The number of open connections; 0 where they are the caller's."""
        return self._transport.count if isinstance(self._transport, ConnectionPool) else 0

    async def aclose(self) -> None:
        """Cancel what is under way and close the connections; a caller's http_client stays open."""
        connections_are_ours = self._lifecycle.close()
        if self._transport is not None and connections_are_ours:
            await self._http_client.aclose()

    @contextmanager
    def call(self, timeout: float | None) -> Iterator[Call]:
        """Return a call that is cut at its timeout; raise `error_of` it then."""
        self._lifecycle.check_open()  # in a forked child no scope can be entered
        deadline = self._clock.deadline_in(timeout)
        with self._lifecycle.move_on_at(deadline):
            yield Call(timeout, math.inf if deadline is None else deadline)

    def error_of(self, call: Call, task_id: str | None = None) -> errors.MJError:
        """Return the error of a call that was cut: its last real one, else a time-out."""
        self._lifecycle.check()  # it was cut because the client was closed
        return call.last_error or errors.RequestTimeoutError(
            f"no answer within timeout={call.timeout:g} s", task_id=task_id
        )

    async def request(
        self, request: APIRequest, parse: Callable[[APIResponse], T], options: RequestOptions
    ) -> T:
        """Send a request, and again as long as that may help; return what `parse` makes of it.

        Raises:
            ClientStateError: The client cannot be used, or was closed meanwhile.
            RateLimitError: The gate is held for longer than the call allows.
            MJError: No answer came back in time, or the error that `parse` raised.
        """
        self._lifecycle.check()
        while True:
            try:
                return await self._attempt(request, parse, options)
            except errors.MJError as error:
                failure = error
            options = await self.sleep_before_retry(failure, request, options)

    async def sleep_before_retry(
        self, error: errors.MJError, request: APIRequest, options: RequestOptions
    ) -> RequestOptions:
        """Sleep until the next attempt and return its options; raise an error if there is none."""
        call, policy = options.call, self._settings.retry
        if isinstance(error, errors.RateLimitError) and error.status_code is None:  # the gate's
            error.task_id = request.task_id
            raise (call and call.last_error) or error
        if call is None:
            raise error
        delay = delay_before_retry(policy, error, options.attempt, is_seed=options.is_seed)
        is_late = delay is not None and self._clock.now() + delay > call.deadline
        if delay is None or is_late or not self._budget.withdraw():
            raise error
        call.last_error = error
        if logger.isEnabledFor(logging.INFO):
            name = label(request, self._settings.base_url, self._settings.key)
            attempt = f"{options.attempt} of {policy.attempts}"
            log_retry(name, error, delay, attempt, self._settings.key)
        await self._clock.sleep(delay)
        return attrs.evolve(options, attempt=options.attempt + 1)

    async def _attempt(
        self, request: APIRequest, parse: Callable[[APIResponse], T], options: RequestOptions
    ) -> T:
        """Send a request once, or once more for each header that may carry the key."""
        began, is_retry = self._clock.now(), options.attempt > 1
        if isinstance(self._gate, BackoffGate):  # at once, and not behind waits in the slots
            await self._pass_gate(self._gate.check, options.call)
        async with self._seed_slots if options.is_seed else nullcontext(), self._slots:
            pass_gate = partial(self._pass_gate, self._gate.acquire, options.call)
            while True:
                async with self._authenticate(request.task_id, began, pass_gate) as scheme:
                    self.counts.retries += is_retry
                    is_retry = False  # but another header
                    response = await self._send(request, scheme, options)
                    try:
                        result = parse(response)
                    except errors.RateLimitError as error:
                        await self._gate.hold(error.retry_after)
                        raise
                    self._budget.deposit()
                    if options.call is not None:
                        options.call.last_error = None
                    return result

    async def _pass_gate(self, acquire: Callable[..., Awaitable[None]], call: Call | None) -> None:
        """Wait until the request may be sent, inside the slot: a closed gate is closed for all."""
        deadline = None
        if call is not None:
            left = call.deadline - self._clock.now()
            # A gate stretches `max_retry_after` by a tenth, and knows the event loop's time only.
            longest = 1.1 * self._settings.retry.max_retry_after
            deadline = anyio.current_time() + min(left, longest)
        try:
            await acquire(deadline=deadline)
        except errors.RateLimitError as refusal:
            refusal.status_code = None  # whatever a gate says, nothing was sent
            raise

    async def _send(
        self, request: APIRequest, scheme: Scheme, options: RequestOptions
    ) -> APIResponse:
        """Send a request and read its answer, before the deadline of one attempt."""
        self._lifecycle.check_open()  # it may have been closed in the queue
        if self._http_client.is_closed:  # by its owner
            raise errors.ClientStateError("the http_client of this client has been closed")
        self.counts.requests += 1
        self.counts.batches += request.task_id is None
        option = "seed_timeout" if options.is_seed else "request_timeout"
        seconds: float = getattr(self._settings, option)
        began, outcome = self._clock.now(), "cut off"
        with self._lifecycle.move_on_at(began + seconds):
            try:
                response = await self._adapter.send(request, scheme, options.limit)
            except Exception as error:
                outcome = outcome_of(error)
                raise
            else:
                outcome = str(response.status)
                return response
            finally:
                if logger.isEnabledFor(logging.DEBUG):
                    name = label(request, self._settings.base_url, self._settings.key)
                    lasted = self._clock.now() - began
                    log_request(name, outcome, lasted, options.attempt, self._settings.key)
        self._lifecycle.check()
        raise errors.RequestTimeoutError(
            f"no answer within {option}={seconds:g} s", task_id=request.task_id
        )


@cache  # reading it takes as long as a request
def _agent() -> str:
    return f"mj_async/{version('mj_async')}"
