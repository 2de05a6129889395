"""The fake gateway that users hold."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio
import httpx

from .._client import AsyncMJClient
from ..errors import ConfigurationError
from ._clock import GatewayClock
from ._dialects import DIALECTS
from ._parts import DEFAULT_TIMELINE, Answer, FakeRequest, FakeTask, Timeline
from ._responder import Responder
from ._server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    Raises:
        ConfigurationError: There is no such dialect.
    """

    def __init__(
        self, dialect: DialectName = "newapi", *, api_key: str = "sk-fake-gateway-key"
    ) -> None:
        if dialect not in DIALECTS:
            known = ", ".join(map(repr, DIALECTS))
            raise ConfigurationError(f"dialect must be one of {known}, not {dialect!r}")
        self._dialect = dialect
        self._api_key = api_key
        self._clock = GatewayClock()
        self._tasks: dict[str, FakeTask] = {}
        self._responder = Responder(DIALECTS[dialect], api_key, self._tasks)
        self._requests: list[FakeRequest] = []
        self._failures: list[Answer] = []
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
        self._clock.follow("loop")
        return _Transport(self)

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
        self._clock.follow("virtual")
        given = {"api_key": self._api_key, "base_url": self.base_url, **options}
        return AsyncMJClient._on_clock(self._clock, _Transport(self), **given)

    def serve(self) -> Server:
        """Serve real TCP on loopback: `async with gateway.serve() as base_url`.

        It needs the extra `mj_async[gateway]`. It runs in a thread of its own, so that it works
        under trio, too.
        """
        return Server(self._answer_served, self._serving)

    async def advance(self, seconds: float) -> None:
        """Add to `now`; whoever sleeps until then wakes, in order."""
        await self._clock.advance(seconds)

    def add_task(
        self,
        id: str,  # noqa: A002  # the task's own word for it
        timeline: Timeline = DEFAULT_TIMELINE,
        seed: str | None = None,
        seed_asks: int = 1,
        **fields: Any,
    ) -> None:
        """Add a task, or replace it.

        Args:
            id: Its id.
            timeline: (seconds from now, status, progress), in order.
            seed: What image-seed answers, once the task has succeeded.
            seed_asks: At which such request it does; before, the gateway says that it had no
                time, as gateways do whose own request takes longer.
            fields: Keys of the answer, as on the wire or as attributes of `Task`.

        Raises:
            ConfigurationError: The timeline is empty.
        """
        if not timeline:
            raise ConfigurationError("a timeline has at least one (seconds, status, progress)")
        with self._lock:
            self._tasks[id] = FakeTask(id, self.now, tuple(timeline), seed, seed_asks, fields)

    def fail_next(
        self,
        n: int = 1,
        status: int = 500,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        """Answer the next requests with a failure.

        Args:
            n: How many.
            status: The HTTP status.
            headers: The headers, such as `{"retry-after": "5"}`.
            body: The body.
        """
        self._failures.extend([Answer(status, body, headers or {})] * n)

    def _serving(self, base_url: str | None) -> None:
        self._served_at = base_url
        self._clock.follow("still" if base_url is None else "real")

    def _answer_served(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        with self._lock:
            return self._answer(method, target, headers, body)

    def _answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self._clock.stir()
        request = FakeRequest(method, target, headers, body, self.now)
        self._requests.append(request)
        return self._failures.pop(0) if self._failures else self._responder.answer(request)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()  # a socket lets others run, too
        answer = self._gateway._answer_served(
            request.method,
            request.url.raw_path.decode("ascii"),
            {name.lower(): value for name, value in request.headers.items()},
            await request.aread(),
        )
        # As a stream, so that the client reads it the way it reads a socket.
        stream = httpx.ByteStream(answer.body)
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=stream)
