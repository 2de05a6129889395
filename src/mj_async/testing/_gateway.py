"""The fake gateway that users hold."""

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

    Its answers are literal JSON from the gateways page. It can be talked to in three ways: by
    `client()`, in process and on a clock that jumps, so that a wait of ten minutes takes no
    time; by `transport`, in process, on the event loop's time; by `serve()`, over real TCP, in
    real time.

    Args:
        dialect: Whose habits it has.
        api_key: The key that it takes.
        started_at: The time of day at which it was made, in Unix seconds: tasks that it knows
            have been submitted then or later.

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
        self._lock = threading.Lock()  # serve() answers in a thread of its own

    def __repr__(self) -> str:
        return f"<FakeGateway({self._dialect!r}, tasks={len(self._tasks)})>"

    @property
    def api_key(self) -> str:
        """The key that it takes."""
        return self._api_key

    @property
    def base_url(self) -> str:
        """Its address, that of `serve()` while it serves, else one that leads nowhere."""
        return self._served_at or "https://fake-gateway.test"

    @property
    def now(self) -> float:
        """Seconds since it was made, on the clock that it follows."""
        return self._clock.now()

    @property
    def requests(self) -> Sequence[FakeRequest]:
        """The requests that it has got, in order."""
        return tuple(self._requests)

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """A transport for `httpx.AsyncClient(transport=…)` that ends here.

        From then on `now` follows `anyio.current_time()`.
        """
        self._follow("loop")
        return Transport(self._respond_locked)

    def client(self, **options: Any) -> AsyncMJClient:
        """Make a client that talks to it in process, on the gateway's own clock.

        The clock jumps to the next sleep or deadline once all its clients sleep.

        Args:
            options: Those of `AsyncMJClient`, but for `http_client`; key and address need not
                be given.

        Returns:
            The client, to be closed like any other.

        Raises:
            ConfigurationError: An option cannot work.
        """
        if "http_client" in options:
            raise ConfigurationError("give gateway.transport to an http_client of yours instead")
        self._follow("virtual")
        given = {"api_key": self._api_key, "base_url": self.base_url, **options}
        return AsyncMJClient._on_clock(self._clock, Transport(self._respond_locked), **given)

    def serve(self, *, port: int = 0) -> Server:
        """Serve real TCP on loopback: `async with gateway.serve() as base_url`.

        It needs the extra `mj_async[gateway]`. It runs in a thread of its own, so that it works
        under trio, too.

        Args:
            port: Where it listens; 0: wherever there is room.

        Returns:
            The server, to be entered.

        Raises:
            ConfigurationError: It cannot be the number of a port.
            OSError: The port is taken, or not allowed; on entering.
        """
        if not 0 <= port <= _LAST_PORT:
            raise ConfigurationError(f"port must be from 0 to {_LAST_PORT}, not {port}")
        return Server(self._respond_locked, self._set_address, port)

    def webhooks(self, http_client: httpx.AsyncClient | None = None) -> Webhooks:
        """Send webhooks: `async with gateway.webhooks() as sent`, in the tests of a receiver.

        While it is entered, each change of status or progress of a task with a `notify_hook` is
        posted to that address, as JSON and without the key, as gateways do (see the gateways
        page, "Webhooks"). Each is sent once, at its time on the gateway's clock, and one after
        the other, so that they come in order; the Java dialect also sends what is equal to the
        one before. What had changed before it was entered is sent at once. Nothing is sent
        again: an answer that is no 2xx is only noted, and so is none at all.

        Webhooks alone do not move the clock; the sleeps of clients and `advance` do. It stands
        still while a receiver answers, for up to two real seconds.

        Enter and leave it in the same task. Leaving sends what is due.

        Args:
            http_client: What sends them, such as one with `httpx.ASGITransport(app)`; it is not
                closed. None: one of the gateway's own, over TCP.

        Returns:
            What is entered as a list of `FakeWebhook`, which grows. Leaving it raises what the
            receiver raised through the client, if it is none of httpx's errors.
        """
        return Webhooks(self._outbox, self._clock, http_client)

    async def advance(self, seconds: float) -> None:
        """Add to `now`; whoever sleeps until then wakes, in order.

        Several may do so at once: each comes back at its own time.

        Raises:
            ConfigurationError: It is no number of seconds from 0 on.
        """
        check_option("seconds", seconds, zero_or_more)
        await self._clock.advance(seconds)

    def add_task(
        self,
        id: str,  # noqa: A002  # the task's own word for it
        timeline: Timeline = DEFAULT_TIMELINE,
        seed: str | None = None,
        seed_asks: int = 1,
        notify_hook: str | None = None,
        **fields: Any,
    ) -> None:
        """Add a task, or replace it.

        Args:
            id: Its id.
            timeline: (seconds from now, status, progress), in order.
            seed: What image-seed answers, once the task has succeeded.
            seed_asks: At which such request it does; before, the gateway says that it had no
                time, as gateways do whose own request takes longer.
            notify_hook: Where `webhooks()` posts its changes; an address, or a path where the
                client that sends them has a `base_url`.
            fields: Keys of the answer, as on the wire or as attributes of `Task`. Pictures,
                videos and buttons are there with SUCCESS, `fail_reason` with FAILURE.

        Raises:
            ConfigurationError: The id is no text, or the timeline is empty or not in order.
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
            n: How many.
            status: The HTTP status.
            headers: The headers, such as `{"retry-after": "5"}`.
            body: The body.
            like: An answer that gateways of this dialect give, in place of status and body:
                "key" (refused), "quota" (used up), "forbidden", "rate limit", "overloaded",
                "server error", "refused" (C#: in a 200), "page" (HTML with 200), and for seeds
                "no time", "no account", "no private channel", "channel disabled". From the
                proxy before it: "bad gateway", "unavailable". See the gateways page.

        Raises:
            ConfigurationError: It is no answer that could be sent, or this dialect has none
                like that, or there is a status or a body, too.
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
            raise ConfigurationError(f"like={name!r} has its own status and body")
        responses = DIALECTS[self._dialect].responses
        if name not in responses:
            known = ", ".join(map(repr, sorted(responses)))
            raise ConfigurationError(
                f"a {self._dialect} gateway answers like {known}; not {name!r}"
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
