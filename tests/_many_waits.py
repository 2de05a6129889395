"""Many waits on a fake gateway: what was asked and when, and answers that take their time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import anyio
import attrs
import httpx

from mj_async import AsyncMJClient, Dialect, Polling, Task, TaskOutcome, TaskPoller, errors
from mj_async.testing import FakeGateway

# Asks at each tick: every 3 s.
EVEN = Polling(factor=1.0, jitter=0)
SPOKEN = Dialect(auth="bearer", ids="json")
WORKING = [(0, "IN_PROGRESS", "40%")]

# So that a poll that runs wild ends as a failure, and not never.
_FLOOD = 3000
_FORM = re.compile(rb'name="ids"\r\n\r\n([^\r]*)\r\n')


def done_at(seconds: float) -> list[tuple[float, str, str]]:
    """Make the timeline of a task that succeeds after so many seconds."""
    return [(0, "IN_PROGRESS", "40%"), (seconds, "SUCCESS", "100%")]


@attrs.frozen
class Asked:
    """One request.

    Args:
        at: When it began.
        verb: "list" or "fetch".
        task_ids: Whom it was for.
    """

    at: float
    verb: str
    task_ids: tuple[str, ...]


Override: TypeAlias = Callable[[Asked], httpx.Response | None]


@attrs.define(eq=False)
class RecordingTransport(httpx.AsyncBaseTransport):
    """A transport to a fake gateway, on its clock; it records the requests.

    Args:
        gateway: Answers.
        seconds: How long each answer takes, or a function that tells it.
        override: Answers in the gateway's place, where it does not give None.
    """

    gateway: FakeGateway = attrs.field(factory=FakeGateway)
    seconds: float | Callable[[Asked], float] = 0.0
    override: Override = lambda _asked: None
    asked: list[Asked] = attrs.field(factory=list, init=False)
    most_in_flight: int = attrs.field(default=0, init=False)
    cancelled: int = attrs.field(default=0, init=False)
    _in_flight: int = attrs.field(default=0, init=False)
    _end: httpx.AsyncBaseTransport = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gateway._clock.follow("virtual")
        self._end = self.gateway.transport

    def client(self, **options: Any) -> AsyncMJClient:
        """Return a client that uses this transport, and polls at each tick."""
        given: dict[str, Any] = {"polling": EVEN, "dialect": SPOKEN, **options}
        given |= {"api_key": self.gateway.api_key, "base_url": self.gateway.base_url}
        return AsyncMJClient._on_clock(self.gateway._clock, self, **given)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record a request, take the time, and answer."""
        asked = self._read(request, await request.aread())
        self.asked.append(asked)
        assert len(self.asked) < _FLOOD
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        answered = False
        try:
            seconds = self.seconds(asked) if callable(self.seconds) else self.seconds
            await self.gateway._clock.sleep(seconds)
            answer = self._streamed(self.override(asked))
            answer = answer or await self._end.handle_async_request(request)
            answered = True
            return answer
        finally:
            self._in_flight -= 1
            self.cancelled += not answered

    def _read(self, request: httpx.Request, body: bytes) -> Asked:
        at = round(self.gateway.now, 6)
        *_, task_id, verb = request.url.path.split("/")
        if request.method == "GET":
            return Asked(at, verb, (task_id,))
        form = tuple(one.decode() for one in _FORM.findall(body))
        return Asked(at, "list", form or tuple(json.loads(body)["ids"]))

    def _streamed(self, answer: httpx.Response | None) -> httpx.Response | None:
        if answer is None:
            return None
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the gateway's clock, so that it does not run ahead."""
        await self.gateway._clock.sleep(seconds)

    # --- what was asked -------------------------------------------------------------------

    def at(self, task_id: str | None = None, verb: str | None = None) -> list[float]:
        """Return the instants of the requests, of one id or one verb only."""
        return [
            one.at
            for one in self.asked
            if task_id in (None, *one.task_ids) and verb in (None, one.verb)
        ]

    def seen(self) -> list[tuple[float, str, str]]:
        """Return all requests in short: (0.0, "list", "1 2")."""
        return [(one.at, one.verb, " ".join(sorted(one.task_ids))) for one in self.asked]


@attrs.define
class ManyWaits:
    """Waits side by side: how each ended, and when.

    Args:
        transport: To the gateway.
        poller: Waits.
        ended: The task or the error, by id.
        ended_at: The time, by id.
    """

    transport: RecordingTransport
    poller: TaskPoller
    ended: dict[str, Task | errors.MJError] = attrs.field(factory=dict, init=False)
    ended_at: dict[str, float] = attrs.field(factory=dict, init=False)

    async def wait(self, task_id: str, options: dict[str, Any] | None = None) -> None:
        """Wait for one."""
        try:
            self.ended[task_id] = await self.poller.wait_for_task(task_id, **(options or {}))
        except errors.MJError as error:
            self.ended[task_id] = error
        self.ended_at[task_id] = round(self.transport.gateway.now, 6)

    async def wait_for(self, task_ids: Iterable[str], **options: Any) -> None:
        """Wait for some at once, all with the same options."""
        async with anyio.create_task_group() as group:
            for task_id in task_ids:
                group.start_soon(self.wait, task_id, options)

    def kinds(self) -> dict[str, str]:
        """Return the status, or the class of the error, that each wait ended with."""
        return {
            task_id: ended.status if isinstance(ended, Task) else type(ended).__name__
            for task_id, ended in self.ended.items()
        }


def for_lists(answer: Any) -> Override:
    """Make a detour that answers list calls; an error is raised."""

    def override(asked: Asked) -> httpx.Response | None:
        if asked.verb != "list":
            return None
        if isinstance(answer, Exception):
            raise answer
        response: httpx.Response | None = answer(asked) if callable(answer) else answer
        return response

    return override


def numbered(count: int) -> list[str]:
    """Return so many ids."""
    return [f"{number}" for number in range(count)]


def kind_of(outcome: TaskOutcome) -> str:
    """Name the status or the class of the error."""
    return outcome.task.status if outcome.task else type(outcome.error).__name__


async def outcomes_of(
    transport: RecordingTransport, client: AsyncMJClient, task_ids: Any, **options: Any
) -> list[tuple[float, str, str]]:
    """Collect all outcomes: when each came, its id, and how it ended."""
    found = []
    async with client.wait_for_tasks(task_ids, **options) as outcomes:
        async for outcome in outcomes:
            assert (outcome.task is None) != (outcome.error is None)
            found.append((transport.gateway.now, outcome.task_id, kind_of(outcome)))
    return found
