"""Sending: the only holder of an `httpx.AsyncClient`. It is handed the reading function."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx

from . import errors
from ._ask import authorization
from ._reply import Reply
from ._retry import delay_before_retry, read_retry_after

if TYPE_CHECKING:
    from ._ask import Ask, Scheme
    from ._clock import Clock
    from ._settings import Settings

T = TypeVar("T")

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip"}
# What httpx and the layers below it raise for an exchange that failed.
_TRANSPORT_FAULTS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    OSError,
    UnicodeError,
)


class Exchange:
    """Requests of one client: slots, deadlines, the cap on bodies, retries.

    Args:
        settings: The client's.
        clock: Its time.
        http_client: What sends; closed by `aclose()` only if `owned`.
        owned: Whether we made it.
    """

    def __init__(
        self, settings: Settings, clock: Clock, http_client: httpx.AsyncClient, *, owned: bool
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._http_client = http_client
        self._owned = owned
        self._closed = False
        self._slots = anyio.Semaphore(settings.max_connections, fast_acquire=True)
        self._seed_slots = anyio.Semaphore(max(1, settings.max_connections // 2), fast_acquire=True)

    async def aclose(self) -> None:
        """Close; a caller's http_client stays open."""
        self._closed = True
        if self._owned:
            await self._http_client.aclose()

    def check_open(self) -> None:
        """Refuse to go on after `aclose()`.

        Raises:
            ClientStateError: The client is closed.
        """
        if self._closed:
            raise errors.ClientStateError("this client is closed; make another one")

    async def attempt(
        self, ask: Ask, scheme: Scheme, read: Callable[[Reply], T], *, limit: int
    ) -> T:
        """Send a request once and read its answer.

        Args:
            ask: What to ask.
            scheme: How the key is sent.
            read: Makes a model or an error of the answer.
            limit: The most bytes that the body may have, packed and unpacked.

        Returns:
            What `read` made of it.

        Raises:
            TransportError: No answer came back, or not in time.
            MJError: What `read` raised.
        """
        self.check_open()
        async with self._slots:
            return read(await self._send_in_time(ask, scheme, limit, "request_timeout"))

    async def slow_attempt(
        self, ask: Ask, scheme: Scheme, read: Callable[[Reply], T], *, limit: int
    ) -> T:
        """Do the same for a seed: it may take a minute, and holds at most half the slots."""
        self.check_open()
        async with self._seed_slots, self._slots:
            return read(await self._send_in_time(ask, scheme, limit, "seed_timeout"))

    async def _send_in_time(self, ask: Ask, scheme: Scheme, limit: int, option: str) -> Reply:
        seconds: float = getattr(self._settings, option)
        with self._clock.cut(self._clock.at(seconds)):
            return await self._send(ask, scheme, limit)
        raise errors.RequestTimeoutError(
            f"no answer within {option}={seconds:g} s", task_id=ask.task_id
        )

    def _request(self, ask: Ask, scheme: Scheme) -> httpx.Request:
        # The key has no name here, so that no traceback with locals can show it.
        return self._http_client.build_request(
            ask.method,
            self._settings.base_url + ask.path,
            headers={
                **_HEADERS,
                **authorization(scheme, self._settings.key),
                **({} if ask.json_body is None else {"Content-Type": "application/json"}),
            },
            content=ask.json_body,
            # httpx makes the boundary, and the Content-Type that names it.
            files=[("ids", (None, task_id)) for task_id in ask.form] or None,
            timeout=None,
        )

    async def _send(self, ask: Ask, scheme: Scheme, limit: int) -> Reply:
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
            return reply.unpacked(limit)
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
            retry_after=read_retry_after(headers, self._clock.wall_time()),
        )

    def _describe(self, error: Exception, ask: Ask) -> errors.TransportError:
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        text = self._settings.key.conceal(str(error))
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        advice = "; the gateway's certificate is not trusted" if untrusted else ""
        return errors.TransportError(
            f"{ask.method} {ask.path} failed ({said}){advice}",
            task_id=ask.task_id,
            temporary=not untrusted,
        )

    async def call(
        self, attempt: Callable[[], Awaitable[T]], *, timeout: float | None, pause: float = 0.0
    ) -> T:
        """Try until it works, is not worth another try, or the time is over.

        Args:
            attempt: One try.
            timeout: Seconds for all tries and the sleeps between them; None: no limit.
            pause: The least seconds between a time-out and the next try.

        Returns:
            What the attempt returned.

        Raises:
            MJError: The last attempt's error.
            RequestTimeoutError: The time was over in the first attempt.
        """
        failures: list[errors.MJError] = []
        deadline = self._clock.at(timeout)
        with self._clock.cut(deadline):
            return await self._try_until(attempt, failures, deadline, pause)
        if failures:
            raise failures[-1]
        raise errors.RequestTimeoutError(f"no answer within timeout={timeout:g} s")

    async def _try_until(
        self,
        attempt: Callable[[], Awaitable[T]],
        failures: list[errors.MJError],
        deadline: float | None,
        pause: float,
    ) -> T:
        while True:
            try:
                return await attempt()
            except errors.MJError as error:
                failures.append(error)
            delay = delay_before_retry(
                self._settings.retry, failures[-1], len(failures), pause=pause
            )
            if delay is None or (deadline is not None and self._clock.now() + delay > deadline):
                raise failures[-1]
            await self._clock.sleep(delay)


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


def make_http_client(
    max_connections: int, *, proxy: str | None, trust_env: bool, verify: bool | ssl.SSLContext
) -> httpx.AsyncClient:
    """Make the client's own `httpx.AsyncClient`.

    Raises:
        ConfigurationError: httpx cannot work with the proxy, or with `verify`.
    """
    # Kept connections outlive the longest poll interval, and not the 75 s that proxies keep them.
    limits = httpx.Limits(max_connections=max_connections, keepalive_expiry=60.0)
    problem = ""
    try:
        return httpx.AsyncClient(limits=limits, proxy=proxy, trust_env=trust_env, verify=verify)
    except (httpx.InvalidURL, ImportError, ValueError, OSError, TypeError) as error:
        problem = type(error).__name__
    raise errors.ConfigurationError(
        f"proxy or verify, of the arguments or the environment, cannot be used ({problem})"
    )
