"""Sending: the only holder of an `httpx.AsyncClient`. It is handed the reading function."""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs
import httpx

from . import errors
from ._ask import authorization
from ._gate import Budget, HoldingGate
from ._reply import Reply
from ._retry import delay_before_retry, read_retry_after

if TYPE_CHECKING:
    from ._ask import Ask, Scheme
    from ._clock import Clock
    from ._life import Life
    from ._settings import Settings

T = TypeVar("T")

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip"}
# httpx counts the time of each read, by which a drip never ends; the attempt's deadline does.
_NO_TIMEOUTS = {"timeout": httpx.Timeout(None).as_dict()}
# What httpx and the layers below it raise for an exchange that failed.
_TRANSPORT_FAULTS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    OSError,
    UnicodeError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
)


@attrs.frozen(kw_only=True)
class Turn:
    """How one request is to be sent.

    Args:
        limit: The most bytes that the body may have, packed and unpacked.
        slow: Whether it is a seed: it may take a minute, and holds at most half the slots.
        held_until: How long the gate may hold it back, as a time of the clock.
        patient: Whether it may be held back for longer than `max_retry_after`, as waits are.
    """

    limit: int
    slow: bool = False
    held_until: float = math.inf
    patient: bool = False


class Exchange:
    """Requests of one client: slots, deadlines, the cap on bodies, retries.

    Args:
        settings: The client's.
        clock: Its time.
        life: Whether it may be used, and until when.
        http_client: What sends; closed by `aclose()` only if `owned`.
        owned: Whether we made it.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        life: Life,
        http_client: httpx.AsyncClient,
        *,
        owned: bool,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._life = life
        self._http_client = http_client
        self._owned = owned
        # A caller's client names itself; ours has to, for some firewalls refuse the nameless.
        self._headers = {**_HEADERS, **_name_ourselves()} if owned else _HEADERS
        most = settings.max_connections
        self._slots = anyio.Semaphore(most, fast_acquire=True)
        self._seed_slots = anyio.Semaphore(max(1, most // 2), fast_acquire=True)
        self._gate = HoldingGate(clock, settings.retry.first_delay)
        self._budget = Budget(settings.retry.budget)

    async def aclose(self) -> None:
        """End what is under way and close the connections; a caller's http_client stays open."""
        connections_are_ours = self._life.close()
        if self._owned and connections_are_ours:
            await self._http_client.aclose()

    async def attempt(self, ask: Ask, scheme: Scheme, read: Callable[[Reply], T], turn: Turn) -> T:
        """Send a request once and read its answer.

        Args:
            ask: What to ask.
            scheme: How the key is sent.
            read: Makes a model or an error of the answer.
            turn: How it is sent.

        Returns:
            What `read` made of it.

        Raises:
            ClientStateError: The client cannot be used, or was closed meanwhile.
            RateLimitError: The gate is held for longer than the turn allows.
            TransportError: No answer came back, or not in time.
            MJError: What `read` raised.
        """
        self._life.check()
        while True:
            try:
                if turn.slow:
                    async with self._seed_slots, self._slots:
                        return await self._pass_gate(ask, scheme, read, turn)
                async with self._slots:
                    return await self._pass_gate(ask, scheme, read, turn)
            except errors.RateLimitError as held:
                if not _is_held(held):  # but the gateway's own word
                    raise
                held.task_id = ask.task_id
                # Outside of the slots, lest whoever is held back keeps them from others.
                await self.wait_out(held, turn)

    async def wait_out(self, held: errors.RateLimitError, turn: Turn) -> None:
        """Sleep until the gate opens.

        Raises:
            RateLimitError: That would take longer than the turn allows.
        """
        seconds = held.retry_after or 0.0
        # The gate stretches what it was told by up to a tenth.
        longest = math.inf if turn.patient else 1.1 * self._settings.retry.max_retry_after
        if seconds > longest or self._clock.now() + seconds > turn.held_until:
            raise held
        await self._clock.sleep(seconds)

    async def _pass_gate(
        self, ask: Ask, scheme: Scheme, read: Callable[[Reply], T], turn: Turn
    ) -> T:
        self._life.check_open()  # it may have been closed in the queue
        await self._gate.acquire(deadline=-math.inf)  # at once, or not at all
        reply = await self._send_in_time(ask, scheme, turn)
        try:
            result = read(reply)
        except errors.RateLimitError as error:
            await self._gate.hold(error.retry_after)
            raise
        self._budget.give_back()
        return result

    async def _send_in_time(self, ask: Ask, scheme: Scheme, turn: Turn) -> Reply:
        option = "seed_timeout" if turn.slow else "request_timeout"
        seconds: float = getattr(self._settings, option)
        with self._life.cut(self._clock.at(seconds)):
            return await self._send(ask, scheme, turn.limit)
        self._life.check()
        raise errors.RequestTimeoutError(
            f"no answer within {option}={seconds:g} s", task_id=ask.task_id
        )

    def _request(self, ask: Ask, scheme: Scheme) -> httpx.Request:
        # A caller's client has headers, cookies and parameters to add; ours has none, and to
        # merge nothing takes a tenth of a request's time.
        build = httpx.Request if self._owned else self._http_client.build_request
        # The key has no name here, so that no traceback with locals can show it.
        return build(
            ask.method,
            self._settings.base_url + ask.path,
            headers={
                **self._headers,
                **authorization(scheme, self._settings.key),
                **({} if ask.json_body is None else {"Content-Type": "application/json"}),
            },
            content=ask.json_body,
            # httpx makes the boundary, and the Content-Type that names it.
            files=[("ids", (None, task_id)) for task_id in ask.form] or None,
            extensions=_NO_TIMEOUTS,
        )

    async def _send(self, ask: Ask, scheme: Scheme, limit: int) -> Reply:
        if self._http_client.is_closed:  # by its owner
            raise errors.ClientStateError("the http_client of this client has been closed")
        request = self._request(ask, scheme)
        try:
            response = await self._http_client.send(
                request, stream=True, auth=None, follow_redirects=False
            )
            try:
                reply = await self._read(response, ask, limit)
            finally:
                await response.aclose()
        except _TRANSPORT_FAULTS as error:
            fault = self._describe(error, ask)
        else:
            if len(reply.body) > limit:  # it was cut there, packed or not
                raise reply.without_key().unexpected("too large")
            return reply.unpacked(limit).without_key()
        # Outside the except block, and without a cause: both hold the request with its key.
        raise fault

    async def _read(self, response: httpx.Response, ask: Ask, limit: int) -> Reply:
        headers = response.headers
        if response.is_stream_consumed:  # by respx, MockTransport or a hook of the caller's
            body = response.content
            headers = httpx.Headers({**headers, "content-encoding": "identity"})
        else:
            body = await _read_capped(response, limit)
        return Reply(
            body=body,
            status=response.status_code,
            headers=headers,
            task_id=ask.task_id,
            key=self._settings.key,
            retry_after=self._retry_after(response),
        )

    def _retry_after(self, response: httpx.Response) -> float | None:
        if response.is_success:
            return None
        return read_retry_after(response.headers, self._clock.wall_time())

    def _describe(self, error: Exception, ask: Ask) -> errors.TransportError:
        untrusted = _is_untrusted(error)
        refused_by_proxy = isinstance(error, httpx.ProxyError) and "407" in str(error)
        text = self._settings.key.conceal(str(error))
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        advice = "; the gateway's certificate is not trusted" if untrusted else ""
        host = httpx.URL(self._settings.base_url).netloc.decode()
        return errors.TransportError(
            f"{ask.method} {ask.path} of {host} failed ({said}){advice}",
            task_id=ask.task_id,
            temporary=not (untrusted or refused_by_proxy),
        )

    async def wait_for(self, event: anyio.Event, seconds: float | None) -> None:
        """Wait for an event, for so many seconds at most; None: until it comes."""
        with self._clock.cut(self._clock.at(seconds)):
            await event.wait()

    async def call(
        self,
        attempt: Callable[[float], Awaitable[T]],
        *,
        timeout: float | None,
        pause: float = 0.0,
    ) -> T:
        """Try until it works, is not worth another try, or the time is over.

        Args:
            attempt: One try; it is given the time until which the gate may hold it back.
            timeout: Seconds for all tries and the sleeps between them; None: no limit.
            pause: The least seconds between a time-out and the next try.

        Returns:
            What the attempt returned.

        Raises:
            MJError: The last attempt's error.
            RequestTimeoutError: The time was over in the first attempt.
        """
        self._life.check_open()
        failures: list[errors.MJError] = []
        deadline = math.inf if timeout is None else self._clock.now() + timeout
        with self._life.cut(None if timeout is None else deadline):
            return await self._try_until(attempt, failures, deadline, pause)
        self._life.check()
        if failures:
            raise failures[-1]
        raise errors.RequestTimeoutError(f"no answer within timeout={timeout:g} s")

    async def _try_until(
        self,
        attempt: Callable[[float], Awaitable[T]],
        failures: list[errors.MJError],
        deadline: float,
        pause: float,
    ) -> T:
        policy = self._settings.retry
        while True:
            try:
                return await attempt(deadline)
            except errors.MJError as error:
                if _is_held(error):  # for longer than this call can wait; nothing was sent
                    raise failures[-1] if failures else error from None
                failures.append(error)
            delay = delay_before_retry(policy, failures[-1], len(failures), pause=pause)
            if delay is None or self._clock.now() + delay > deadline or not self._budget.take():
                raise failures[-1]
            await self._clock.sleep(delay)


def _name_ourselves() -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415  # it makes `import mj_async` slower

    return {"User-Agent": f"mj_async/{version('mj_async')}"}


def _is_held(error: errors.MJError) -> bool:
    """Whether our own gate refused, so that nothing was sent."""
    return isinstance(error, errors.RateLimitError) and error.status_code is None


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether a bad certificate is behind it; under trio the error itself does not say so."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return error is not None


async def _read_capped(response: httpx.Response, limit: int) -> bytes:
    """Read the body as it is on the wire, and one byte more than the limit at most."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk[: limit + 1 - len(body)]
            if len(body) > limit:
                # Reading on from what is closed raises, and so ends the generators below this
                # one; left in the middle, trio would complain about each.
                await response.aclose()
    except httpx.HTTPError:
        if len(body) <= limit:
            raise
    return bytes(body)
