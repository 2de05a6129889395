"""Sending: the only holder of an `httpx.AsyncClient`. It is handed the reading function."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs
import httpx

from .. import errors
from .._protocol.requests import label, request_kwargs
from .adapter import HTTP_ERRORS, NO_TIMEOUTS, map_http_error, read_response
from .instrumentation import Attempt, Counts, Log
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

# Where a gate refuses, and does not say for how long: it must not be asked without a pause.
_MOMENT = 0.1


@attrs.frozen(kw_only=True)
class RequestOptions:
    """How one request is to be sent.

    Args:
        limit: The most bytes that the body may have, packed and unpacked.
        slow: Whether it is a seed: it may take a minute, and holds at most half the slots.
        held_until: How long the gate may hold it back, as a time of the clock.
        patient: Whether it may be held back for longer than `max_retry_after`, as waits are.
        attempt: Which try it is a part of.
    """

    limit: int
    slow: bool = False
    held_until: float = math.inf
    patient: bool = False
    attempt: Attempt = attrs.field(factory=Attempt)


class Session:
    """Requests of one client: slots, deadlines, the cap on bodies, retries.

    Args:
        settings: The client's.
        clock: Its time.
        lifecycle: Whether it may be used, and until when.
        gate: Asked before every request, and told of every 429.
        http_client: What sends.
        transport: Its transport, if both are to be closed by `aclose()`; None: they are the
            caller's.

    Attributes:
        counts: What has been sent.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # its parts
        self,
        settings: Settings,
        clock: Clock,
        lifecycle: Lifecycle,
        gate: Gate,
        http_client: httpx.AsyncClient,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lifecycle = lifecycle
        self._http_client = http_client
        self._transport = transport
        # A caller's client names itself; ours has to, for some firewalls refuse the nameless.
        agent = {"User-Agent": _agent()} if transport else {}
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **agent}
        most = settings.max_connections
        self._slots = anyio.Semaphore(most, fast_acquire=True)
        self._seed_slots = anyio.Semaphore(max(1, most // 2), fast_acquire=True)
        self._gate = gate
        self._budget = RetryBudget(settings.retry.budget)
        self._log = Log(settings.key, clock)
        self.counts = Counts()

    @property
    def connections(self) -> int:
        """How many connections are open now; 0 where they are the caller's."""
        return self._transport.count if isinstance(self._transport, ConnectionPool) else 0

    async def aclose(self) -> None:
        """End what is under way and close the connections; a caller's http_client stays open."""
        connections_are_ours = self._lifecycle.close()
        if self._transport and connections_are_ours:
            await self._http_client.aclose()

    async def attempt(
        self,
        request: APIRequest,
        scheme: Scheme,
        read: Callable[[APIResponse], T],
        options: RequestOptions,
    ) -> T:
        """Send a request once and read its answer.

        Args:
            request: What to ask.
            scheme: How the key is sent.
            read: Makes a model or an error of the answer.
            options: How it is sent.

        Returns:
            What `read` made of it.

        Raises:
            ClientStateError: The client cannot be used, or was closed meanwhile.
            RateLimitError: The gate is held for longer than the turn allows.
            TransportError: No answer came back, or not in time.
            MJError: What `read` raised.
        """
        self._lifecycle.check()
        while True:
            try:
                if options.slow:
                    async with self._seed_slots, self._slots:
                        return await self._pass_gate(request, scheme, read, options)
                async with self._slots:
                    return await self._pass_gate(request, scheme, read, options)
            except errors.RateLimitError as held:
                if not is_held(held):  # but the gateway's own word
                    raise
                held.task_id = request.task_id
                # Outside of the slots, lest whoever is held back keeps them from others.
                await self.wait_out(held, options)

    async def wait_out(self, held: errors.RateLimitError, options: RequestOptions) -> None:
        """Sleep until the gate opens.

        Raises:
            RateLimitError: That would take longer than the turn allows.
        """
        asked = held.retry_after or 0.0
        seconds = asked if asked > 0 else _MOMENT
        # The gate stretches what it was told by up to a tenth.
        longest = math.inf if options.patient else 1.1 * self._settings.retry.max_retry_after
        if seconds > longest or self._clock.now() + seconds > options.held_until:
            raise held
        await self._clock.sleep(seconds)

    async def _pass_gate(
        self,
        request: APIRequest,
        scheme: Scheme,
        read: Callable[[APIResponse], T],
        options: RequestOptions,
    ) -> T:
        self._lifecycle.check_open()  # it may have been closed in the queue
        await self._acquire()
        response = await self._send_in_time(request, scheme, options)
        try:
            result = read(response)
        except errors.RateLimitError as error:
            await self._gate.hold(error.retry_after)
            raise
        self._budget.deposit()
        return result

    async def _acquire(self) -> None:
        try:
            await self._gate.acquire(deadline=-math.inf)  # at once, or not at all
        except errors.RateLimitError as refusal:
            refusal.status_code = None  # whatever a gate says, nothing was sent
            raise

    async def _send_in_time(
        self, request: APIRequest, scheme: Scheme, options: RequestOptions
    ) -> APIResponse:
        option = "seed_timeout" if options.slow else "request_timeout"
        seconds: float = getattr(self._settings, option)
        with self._lifecycle.move_on_at(self._clock.deadline_in(seconds)):
            return await self._send(request, scheme, options)
        self._lifecycle.check()
        raise errors.RequestTimeoutError(
            f"no answer within {option}={seconds:g} s", task_id=request.task_id
        )

    async def _send(
        self, request: APIRequest, scheme: Scheme, options: RequestOptions
    ) -> APIResponse:
        if self._http_client.is_closed:  # by its owner
            raise errors.ClientStateError("the http_client of this client has been closed")
        # The key has no name here, so that no traceback with locals can show it.
        http_request = self._http_client.build_request(
            **request_kwargs(
                request, self._settings.base_url, scheme, self._settings.key, self._headers
            ),
            extensions=NO_TIMEOUTS,
        )
        self.counts.add(request, options.attempt)
        if not self._log.wants_requests:
            return await self._swap(http_request, request, options.limit)
        with self._log.request(
            label(request, self._settings.base_url, self._settings.key), options.attempt.number
        ) as line:
            response = await self._swap(http_request, request, options.limit)
            line.status = response.status
        return response

    async def _swap(
        self, http_request: httpx.Request, request: APIRequest, limit: int
    ) -> APIResponse:
        try:
            http_response = await self._http_client.send(
                http_request, stream=True, auth=None, follow_redirects=False
            )
            try:
                response = await read_response(
                    http_response, request, self._settings.key, limit, self._clock.wall_time()
                )
            finally:
                await http_response.aclose()
        except HTTP_ERRORS as error:
            fault = map_http_error(error, request, self._settings.base_url, self._settings.key)
        else:
            if len(response.body) > limit:  # it was cut there, packed or not
                raise response.with_key_redacted().unexpected("too large")
            return response.decompressed(limit).with_key_redacted()
        # Outside the except block, and without a cause: both hold the request with its key.
        raise fault

    async def wait_for(self, event: anyio.Event, seconds: float | None) -> None:
        """Wait for an event, for so many seconds at most; None: until it comes."""
        with self._clock.move_on_at(self._clock.deadline_in(seconds)):
            await event.wait()

    async def call(
        self,
        name: str,
        attempt: Callable[[float, Attempt], Awaitable[T]],
        *,
        timeout: float | None,
        pause: float = 0.0,
    ) -> T:
        """Try until it works, is not worth another try, or the time is over.

        Args:
            name: The call, for the log.
            attempt: One try; it is given the time until which the gate may hold it back, and
                what its requests are parts of.
            timeout: Seconds for all tries and the sleeps between them; None: no limit.
            pause: The least seconds between a time-out and the next try.

        Returns:
            What the attempt returned.

        Raises:
            MJError: The last attempt's error.
            RequestTimeoutError: The time was over in the first attempt.
        """
        self._lifecycle.check_open()
        failures: list[errors.MJError] = []
        deadline = math.inf if timeout is None else self._clock.now() + timeout
        with self._lifecycle.move_on_at(None if timeout is None else deadline):
            return await self._try_until(name, attempt, failures, deadline, pause)
        self._lifecycle.check()
        if failures:
            raise failures[-1]
        raise errors.RequestTimeoutError(f"no answer within timeout={timeout:g} s")

    async def _try_until(
        self,
        name: str,
        attempt: Callable[[float, Attempt], Awaitable[T]],
        failures: list[errors.MJError],
        deadline: float,
        pause: float,
    ) -> T:
        policy = self._settings.retry
        while True:
            try:
                return await attempt(deadline, Attempt(number=len(failures) + 1))
            except errors.MJError as error:
                if is_held(error):  # for longer than this call can wait; nothing was sent
                    raise failures[-1] if failures else error from None
                failures.append(error)
            delay = delay_before_retry(policy, failures[-1], len(failures), pause=pause)
            if delay is None or self._clock.now() + delay > deadline or not self._budget.withdraw():
                raise failures[-1]
            self._log.retry(name, len(failures), policy.attempts, delay, failures[-1])
            await self._clock.sleep(delay)


@cache  # reading it takes as long as a request
def _agent() -> str:
    return f"mj_async/{version('mj_async')}"


def is_held(error: Exception) -> bool:
    """Whether our own gate refused, so that nothing was sent."""
    return isinstance(error, errors.RateLimitError) and error.status_code is None
