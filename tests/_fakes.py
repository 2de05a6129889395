"""Doubles that record what they were asked, and answer from a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anyio
import attrs
import httpx

from mj_async import AsyncMJClient, Polling, Task, errors
from mj_async._clock import Clock
from mj_async._lifecycle import Lifecycle
from mj_async._polling.watch import WaitContext, Watch, poll_one


def task(status: str = "IN_PROGRESS", progress: str | None = None, **fields: Any) -> Task:
    """Make a task; a finished one has a picture unless it is told otherwise."""
    fields.setdefault("image_url", "https://cdn.example/1.png" if status == "SUCCESS" else None)
    return Task(fields.pop("id", "1"), status=status, progress_text=progress, **fields)


@attrs.define
class Script:
    """Polls that are answered in order, the last answer for ever; it records the instants."""

    answers: Sequence[Task | errors.MJError]
    lasting: float = 0.0
    at: list[float] = attrs.field(factory=list)

    async def __call__(self, task_id: str) -> Task:
        """Answer one poll, after `lasting` seconds."""
        self.at.append(anyio.current_time())
        await anyio.sleep(self.lasting)
        answer = self.answers[min(len(self.at), len(self.answers)) - 1]
        if isinstance(answer, errors.MJError):
            raise answer
        return answer


def watch_on(
    poll: Script,
    *,
    known_good: bool = False,
    polling: Polling = Polling(jitter=0),  # noqa: B008  # frozen
    timeout: float | None = 600.0,
) -> Watch:
    """Make a watch over a script."""
    clock = Clock()
    context = WaitContext(
        clock=clock,
        lifecycle=Lifecycle(clock),
        polling=polling,
        had_good_answer=lambda: known_good,
    )
    return context.watch("1", timeout, None, partial(poll_one, poll=poll))


Handler = Callable[[httpx.Request], httpx.Response]


@attrs.define
class Wire(httpx.AsyncBaseTransport):
    """A transport that answers from a function, and records the requests."""

    handler: Handler
    requests: list[httpx.Request] = attrs.field(factory=list)
    closed: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer with a stream, as a socket would."""
        await request.aread()
        self.requests.append(request)
        await anyio.lowlevel.checkpoint()  # a socket lets others run, too
        answer = self.handler(request)
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    async def aclose(self) -> None:
        """Remember that the client closed it."""
        self.closed = True


def client_on(wire: Wire, **options: Any) -> AsyncMJClient:
    """Make a client whose requests go to the function."""
    options = {"api_key": "sk-key", "base_url": "https://gateway.test", **options}
    return AsyncMJClient(http_client=httpx.AsyncClient(transport=wire), **options)
