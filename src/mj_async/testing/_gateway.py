"""FakeGateway, the public class."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
import httpx

from .._client import AsyncMJClient
from .._config import check_count, check_instance, check_option, zero_or_more
from ..errors import ConfigurationError
from ._clock import GatewayClock, Mode
from ._dialects import DIALECTS
from ._models import (
    DEFAULT_TIMELINE,
    STARTED_AT,
    FakeRequest,
    FakeResponse,
    FakeTask,
    Timeline,
    check_timeline,
)
from ._responder import Responder
from ._responses import ResponseName
from ._transports import Server, Transport
from ._webhooks import Outbox, Webhooks

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST_PORT = 65_535

DialectName: TypeAlias = Literal["newapi", "onehub", "java", "csharp", "documented"]


class FakeGateway:
    """A gateway for tests, in the dialect of a real one.

    Its responses are literal JSON from the page about gateways. A program can use it in three
    ways. `client()` works in process, on a virtual clock: a wait of ten minutes takes no time.
    `transport` works in process, on the time of the event loop. `serve()` uses real TCP, in real
    time.

    Args:
        dialect: The gateway that it imitates.
        api_key: The key that it accepts.
        started_at: The time of day when it is created, in Unix seconds. Its tasks are submitted
            at this time or later.

    Raises:
        ConfigurationError: There is no such dialect.
    """

    def __init__(
        self,
        dialect: DialectName = "newapi",
        *,
        api_key: str = "sk-fake-gateway-key",
        started_at: float = STARTED_AT,
    ) -> None:
        if dialect not in DIALECTS:
            known = ", ".join(map(repr, DIALECTS))
            raise ConfigurationError(f"dialect must be one of {known}, not {dialect!r}")
        self._dialect = dialect
        self._api_key = api_key
        self._clock = GatewayClock(started_at)
        self._tasks: dict[str, FakeTask] = {}
        self._responder = Responder(DIALECTS[dialect], api_key, self._tasks)
        self._requests: list[FakeRequest] = []
        self._failures: list[FakeResponse] = []
        self._outbox = Outbox(self._clock, self._responder)
        self._served_at: str | None = None
        self._lock = threading.Lock()  # serve() responds in another thread

    def __repr__(self) -> str:
        return f"<FakeGateway({self._dialect!r}, tasks={len(self._tasks)})>"

    @property
    def api_key(self) -> str:
        """The key that it accepts."""
        return self._api_key

    @property
    def base_url(self) -> str:
        """Its address, which is real while `serve()` is entered, and else does not exist."""
        return self._served_at or "https://fake-gateway.test"

    @property
    def now(self) -> float:
        """Seconds since it was created, on the clock that it follows."""
        return self._clock.now()

    @property
    def requests(self) -> Sequence[FakeRequest]:
        """The requests that it has received, in order."""
        return tuple(self._requests)

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """A transport for `httpx.AsyncClient(transport=…)` that leads to this gateway.

        From then on, `now` follows `anyio.current_time()`.
        """
        self._follow("loop")
        return Transport(self._respond_locked)

    def client(self, **options: Any) -> AsyncMJClient:
        """Return a client that uses the gateway in process, on its virtual clock.

        When all clients of the gateway sleep, the clock jumps to the next sleep or deadline.

        Args:
            options: The options of `AsyncMJClient`, except `http_client`. By default, `api_key`
                and `base_url` are those of the gateway.

        Returns:
            The client. It must be closed like any other.

        Raises:
            ConfigurationError: An option is invalid.
        """
        if "http_client" in options:
            raise ConfigurationError("use gateway.transport in your own http_client instead")
        self._follow("virtual")
        given = {"api_key": self._api_key, "base_url": self.base_url, **options}
        return AsyncMJClient._on_clock(self._clock, Transport(self._respond_locked), **given)

    def serve(self, *, port: int = 0) -> Server:
        """Serve on real TCP, on loopback: `async with gateway.serve() as base_url`.

        It needs the extra `mj_async[gateway]`. It runs in another thread, so it also works with
        trio.

        Args:
            port: The port; 0: any free port.

        Returns:
            The server. Enter it to start it.

        Raises:
            ConfigurationError: The number is not that of a port.
            OSError: When entered: the port is in use, or not permitted.
        """
        if not 0 <= port <= _LAST_PORT:
            raise ConfigurationError(f"port must be from 0 to {_LAST_PORT}, not {port}")
        return Server(self._respond_locked, self._set_address, port)

    def webhooks(self, http_client: httpx.AsyncClient | None = None) -> Webhooks:
        """Send webhooks: `async with gateway.webhooks() as sent`, in the tests of a receiver.

        While it is entered, it posts each change of status or progress of a task with a
        `notify_hook` to that address, as JSON and without the key, as gateways do (see
        "Webhooks" on the page about gateways). It sends each change once, at its time on the
        gateway's clock, one after the other and in order. The Java dialect also sends a webhook
        that equals the one before. Changes from before it was entered are sent at once. It never
        sends a webhook again: an answer other than 2xx is only recorded, and so is no answer.

        Webhooks do not move the clock; sleeps of clients and `advance` do. The clock stands still
        while a receiver answers, for up to two real seconds.

        Enter and leave it in the same task. When left, it first sends what is due.

        Args:
            http_client: The client that sends them, for example with `httpx.ASGITransport(app)`;
                it is not closed. None: a client over TCP.

        Returns:
            A context manager of a list of `FakeWebhook`, which grows. When left, it raises what
            the receiver has raised through the client, except errors of httpx.
        """
        return Webhooks(self._outbox, self._clock, http_client)

    async def advance(self, seconds: float) -> None:
        """Move `now` forward; sleepers wake at their times, in order.

        Several tasks may do so at the same time: each call returns at its own time.

        Args:
            seconds: How far, in seconds.

        Raises:
            ConfigurationError: It is negative, or not a finite number.
        """
        check_option("seconds", seconds, zero_or_more)
        await self._clock.advance(seconds)

    def add_task(
        self,
        id: str,  # noqa: A002  # as in Task
        timeline: Timeline = DEFAULT_TIMELINE,
        seed: str | None = None,
        seed_asks: int = 1,
        notify_hook: str | None = None,
        **fields: Any,
    ) -> None:
        """Add a task, or replace it.

        Args:
            id: Its id.
            timeline: Its (seconds from now, status, progress), in order.
            seed: Its seed. Image-seed returns it when the task has succeeded.
            seed_asks: At which request image-seed returns it. Before, the gateway answers that it
                had no time, as gateways do if their own request takes longer.
            notify_hook: Where `webhooks()` posts its changes: an address, or a path if the client
                that sends them has a `base_url`.
            fields: Further keys of its JSON, named as in JSON or as in `Task`. Pictures, videos
                and buttons appear with SUCCESS, `fail_reason` appears with FAILURE.

        Raises:
            ConfigurationError: The id is not a str, or the timeline is empty or not in order.
        """
        check_instance("id", id, str)
        check_timeline(timeline)
        task = FakeTask(
            id=id,
            added_at=self.now,
            added_on=self._clock.wall_time(),
            timeline=tuple(timeline),
            seed=seed,
            seed_asks=seed_asks,
            notify_hook=notify_hook,
            fields=fields,
        )
        if id in self._tasks:
            self._outbox.drop(id)
        with self._lock:
            self._tasks[id] = task
            self._responder.forget(id)
        self._outbox.add(task)

    def fail_next(
        self,
        n: int = 1,
        status: int = 500,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        like: ResponseName | None = None,
    ) -> None:
        """Answer the next requests with a failure, whatever they ask for.

        Args:
            n: How many requests.
            status: The HTTP status.
            headers: The headers, such as `{"retry-after": "5"}`.
            body: The body.
            like: The name of a response of this dialect, in place of status and body:
                "key" (refused), "quota" (used up), "forbidden", "rate limit", "overloaded",
                "server error", "refused" (C#: with status 200), "page" (HTML with status 200);
                for seeds "no time", "no account", "no private channel", "channel disabled"; and
                from a proxy before the gateway "bad gateway", "unavailable". See the page about
                gateways.

        Raises:
            ConfigurationError: The response cannot be sent; or this dialect has no response of
                this name; or there is a name and a status or body.
        """
        check_count("n", n)
        check_instance("body", body, bytes)
        if not 100 <= status <= 599:
            raise ConfigurationError(f"status must be from 100 to 599, not {status}")
        for name, value in (headers or {}).items():
            check_instance(f"the header {name}", value, str)
        response = FakeResponse(status, body)
        if like is not None:
            response = self._find_response(like, alone=response == FakeResponse(500))
        response = attrs.evolve(response, headers={**response.headers, **(headers or {})})
        self._failures.extend([response] * n)

    def _find_response(self, name: ResponseName, *, alone: bool) -> FakeResponse:
        if not alone:
            raise ConfigurationError(f"like={name!r} already has a status and a body")
        responses = DIALECTS[self._dialect].responses
        if name not in responses:
            known = ", ".join(map(repr, sorted(responses)))
            raise ConfigurationError(
                f"a {self._dialect} gateway has the responses {known}; not {name!r}"
            )
        return responses[name]

    def _follow(self, mode: Mode) -> None:
        self._clock.follow(mode)
        self._outbox.notify()

    def _set_address(self, base_url: str | None) -> None:
        self._served_at = base_url
        self._follow("still" if base_url is None else "real")

    def _respond_locked(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> FakeResponse:
        with self._lock:
            return self._respond(method, target, headers, body)

    def _respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> FakeResponse:
        self._clock.note_activity()
        request = FakeRequest(method, target, headers, body, self.now)
        self._requests.append(request)
        return self._failures.pop(0) if self._failures else self._responder.respond(request)
