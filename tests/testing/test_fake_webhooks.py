"""Webhooks of the fake gateway: each change once, in order, at its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from trio.testing import MockClock

from mj_async import AsyncMJClient, Polling
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

ID = "1730621826053455"
URL = "http://bot.test/hook"
PATIENT = Polling(interval=5, factor=9, max_interval=45, jitter=0)
STEPS = [(0, "SUBMITTED", "0%"), (5, "IN_PROGRESS", "40%"), (12, "SUCCESS", "100%")]


@attrs.define
class Receiver:
    """A program that receives webhooks, and records (id, status, time).

    Args:
        gateway: The gateway, for its time.
        act: Called with each body.
        status: The HTTP status of its answers.
    """

    gateway: FakeGateway
    act: Callable[[bytes], Awaitable[object]] | None = None
    status: int = 200
    got: list[tuple[str, str, float]] = attrs.field(factory=list)

    def client(self) -> httpx.AsyncClient:
        """Return a client of this program, in process."""
        application = Starlette(routes=[Route("/hook", self._take, methods=["POST"])])
        transport = httpx.ASGITransport(application)
        return httpx.AsyncClient(transport=transport, base_url="http://bot.test")

    async def _take(self, request: Request) -> Response:
        task = json.loads(await request.body())
        assert "application/json" == request.headers["content-type"]
        assert "authorization" not in request.headers
        self.got.append((task["id"], task["status"], self.gateway.now))
        if self.act is not None:
            await self.act(await request.body())
        return Response(status_code=self.status)


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_wait_is_ended_by_a_webhook(trusted: bool) -> None:  # noqa: FBT001
    """With a receiver that feeds a poller, a wait ends at the exact time, long before a poll."""
    gateway = FakeGateway()
    gateway.add_task(ID, STEPS, notify_hook=URL)

    async with gateway.client() as client, client.task_poller(polling=PATIENT) as poller:

        async def feed(body: bytes) -> None:
            poller.feed(body, trusted=trusted)

        receiver = Receiver(gateway, feed)
        async with receiver.client() as http_client, gateway.webhooks(http_client) as sent:
            task = await poller.wait_for_task(ID)

    assert "SUCCESS" == task.status
    assert [(ID, "SUBMITTED", 0), (ID, "IN_PROGRESS", 5), (ID, "SUCCESS", 12)] == receiver.got
    assert [(0, 200), (5, 200), (12, 200)] == [(one.at, one.status) for one in sent]
    assert 12 <= gateway.now < 13


async def test_webhooks_go_over_tcp() -> None:
    """Without a client, they are sent over TCP, and virtual time waits for the answers."""
    gateway, receiver = FakeGateway(), FakeGateway()
    async with receiver.serve() as base_url, gateway.client() as client:
        gateway.add_task(ID, STEPS, notify_hook=f"{base_url}/hook?secret=1")
        async with gateway.webhooks() as sent:
            await client.wait_for_task(ID, polling=PATIENT)

    assert 50.0 == gateway.now  # polls at 0, 5 and 50
    assert [0.0, 5.0, 12.0] == [one.at for one in sent]
    assert [("POST", "/hook?secret=1")] * 3 == [(r.method, r.target) for r in receiver.requests]
    assert [one.body for one in sent] == [request.body for request in receiver.requests]


async def test_changes_of_all_tasks_in_order() -> None:
    """Changes are sent by time; those of the same time, in the order in which they were added."""
    gateway = FakeGateway()
    receiver = Receiver(gateway)
    gateway.add_task("1", [(0, "SUBMITTED", "0%"), (8, "SUCCESS", "100%")], notify_hook="/hook")
    gateway.add_task("2", [(0, "SUBMITTED", "0%"), (4, "FAILURE", "")], notify_hook="/hook")
    gateway.add_task("silent", [(0, "SUBMITTED", "0%"), (5, "SUCCESS", "100%")])

    async with receiver.client() as http_client, gateway.webhooks(http_client):
        await gateway.advance(6)
        gateway.add_task("3", [(0, "SUBMITTED", "0%"), (1, "MODAL", "0%")], notify_hook="/hook")
        await gateway.advance(6)

    assert [
        ("1", "SUBMITTED", 0),
        ("2", "SUBMITTED", 0),
        ("2", "FAILURE", 4),
        ("3", "SUBMITTED", 6),
        ("3", "MODAL", 7),
        ("1", "SUCCESS", 8),
    ] == receiver.got


async def test_a_body_is_the_task_at_that_change() -> None:
    """Each body is what fetch returned at that time: progress, times, and pictures at the end."""
    gateway = FakeGateway("csharp")
    receiver = Receiver(gateway)
    await gateway.advance(0.1)  # so that times are no whole numbers
    gateway.add_task(ID, STEPS, notify_hook=URL, prompt="小猪")
    fetched = []

    async with (
        receiver.client() as http_client,
        gateway.webhooks(http_client) as sent,
        gateway.client() as client,
    ):
        for seconds in (5, 7, 1):
            fetched.append((await client.fetch_task(ID)).to_dict())
            await gateway.advance(seconds)

    sent_tasks = [json.loads(one.body) for one in sent]
    assert [("0%", None), ("40%", None), ("100%", False)] == [
        (one["progress"], one["imageUrl"] and not one["imageUrl"]) for one in sent_tasks
    ]
    assert all(one.items() <= body.items() for one, body in zip(fetched, sent_tasks, strict=True))
    assert {"小猪"} == {one["prompt"] for one in sent_tasks}


@pytest.mark.parametrize(("dialect", "times"), [("java", [0, 5, 6, 9]), ("csharp", [0, 5, 9])])
async def test_java_repeats_what_has_not_changed(dialect: Any, times: list[float]) -> None:
    """The Java gateway also sends an unchanged state; others do not."""
    gateway = FakeGateway(dialect)
    same = (5, "IN_PROGRESS", "40%"), (6, "IN_PROGRESS", "40%")
    gateway.add_task(ID, [(0, "SUBMITTED", "0%"), *same, (9, "SUCCESS", "")], notify_hook=URL)

    async with Receiver(gateway).client() as http_client, gateway.webhooks(http_client) as sent:
        await gateway.advance(20)

    assert times == [one.at for one in sent]


async def test_nothing_is_sent_again() -> None:
    """After a 500, or without an answer, the next change is sent as usual."""
    gateway = FakeGateway()
    async with FakeGateway().serve() as base_url:
        pass  # now this port is closed
    gateway.add_task("1", [(0, "SUBMITTED", "0%"), (3, "SUCCESS", "")], notify_hook=base_url)
    gateway.add_task("2", [(1, "SUCCESS", "100%")], notify_hook=URL)
    async with (
        Receiver(gateway, status=500).client() as http_client,
        gateway.webhooks() as by_tcp,
    ):
        await gateway.advance(0.5)
        async with gateway.webhooks(http_client) as in_process:
            gateway.add_task("3", [(0, "SUCCESS", "100%")], notify_hook=URL)
            await gateway.advance(0.1)
    sent = [*by_tcp, *in_process]

    assert ("1", None) == (sent[0].task_id, sent[0].status)
    assert {"1", "3"} == {one.task_id for one in sent}


async def test_the_status_is_recorded() -> None:
    """The status of each answer is recorded with the webhook."""
    gateway = FakeGateway()
    gateway.add_task(ID, STEPS, notify_hook=URL)
    receiver = Receiver(gateway, status=500)

    async with receiver.client() as http_client, gateway.webhooks(http_client) as sent:
        await gateway.advance(6)

    assert [(ID, URL, 500)] * 2 == [(one.task_id, one.url, one.status) for one in sent]


async def test_each_change_is_sent_once() -> None:
    """Due changes are sent when it is entered and left, and not again the next time."""
    gateway = FakeGateway()
    gateway.add_task(ID, STEPS, notify_hook=URL)
    await gateway.advance(6)
    times = []

    async with Receiver(gateway).client() as http_client:
        for _ in range(2):
            async with gateway.webhooks(http_client) as sent:
                pass
            times.append([one.at for one in sent])
            await gateway.advance(6)

    assert [[6, 6], [12]] == times


async def test_a_replaced_task_sends_nothing() -> None:
    """Replacing a task removes the changes of the old one."""
    gateway = FakeGateway()
    receiver = Receiver(gateway)
    gateway.add_task("other", [(9, "FAILURE", "")], notify_hook=URL)
    gateway.add_task(ID, STEPS, notify_hook=URL)

    async with receiver.client() as http_client, gateway.webhooks(http_client):
        await gateway.advance(1)
        gateway.add_task(ID, STEPS)
        await gateway.advance(20)

    assert [(ID, "SUBMITTED", 0), ("other", "FAILURE", 9)] == receiver.got


async def test_webhooks_move_no_time() -> None:
    """Without sleepers and `advance`, only due changes are sent."""
    gateway = FakeGateway()
    receiver = Receiver(gateway)
    gateway.add_task(ID, STEPS, notify_hook=URL)

    async with (
        gateway.client(),
        receiver.client() as http_client,
        gateway.webhooks(http_client),
    ):
        for _ in range(200):
            await anyio.lowlevel.checkpoint()

    assert [(ID, "SUBMITTED", 0)] == receiver.got


async def test_a_receiver_may_wait_for_the_gateway() -> None:
    """A receiver in process may call the gateway, and sleep on its clock."""
    gateway = FakeGateway()
    gateway.add_task(ID, [(0, "SUCCESS", "100%")], seed="5", seed_asks=3, notify_hook=URL)
    seeds = []
    with anyio.fail_after(1.9):  # real seconds: less than the clock waits
        async with gateway.client() as client:

            async def look_up(_body: bytes) -> None:
                seeds.append((await client.image_seed(ID)).seed)

            receiver = Receiver(gateway, look_up)
            async with receiver.client() as http_client, gateway.webhooks(http_client) as sent:
                await gateway.advance(100)

    assert ["5"] == seeds
    assert [(0.0, 200)] == [(one.at, one.status) for one in sent]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_receiver_over_tcp_may_wait_for_the_gateway() -> None:
    """A receiver over TCP that sleeps on the clock stops it for two seconds only."""
    gateway = FakeGateway()
    async with gateway.client() as client:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await client._clock.sleep(30)
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            gateway.add_task(ID, [(0, "SUCCESS", "100%")], notify_hook=f"http://127.0.0.1:{port}/")
            async with gateway.webhooks() as sent:
                await gateway.advance(40)

    assert [204] == [one.status for one in sent]


class TestFaults:
    """Errors of the receiver, and of the body of the context manager."""

    async def test_an_error_of_the_receiver(self) -> None:
        """An error of a receiver in process is raised when left, and not as a group."""
        gateway = FakeGateway()
        gateway.add_task(ID, STEPS, notify_hook=URL)

        async def fail(_body: bytes) -> None:
            raise RuntimeError("a bug of the bot's")

        async with Receiver(gateway, fail).client() as http_client:
            with pytest.raises(RuntimeError, match="a bug of the bot's"):
                async with gateway.webhooks(http_client):
                    await gateway.advance(20)
            with pytest.raises(RuntimeError, match="a bug") as caught:
                async with gateway.webhooks(http_client):
                    await gateway.advance(20)
                    raise LookupError

        assert isinstance(caught.value.__context__, LookupError)

    async def test_an_error_of_the_body(self) -> None:
        """An error of the body is raised alone, and nothing more is sent."""
        gateway = FakeGateway()
        gateway.add_task(ID, STEPS, notify_hook=URL)
        receiver = Receiver(gateway)

        async with receiver.client() as http_client:
            with pytest.raises(LookupError):
                async with gateway.webhooks(http_client):
                    raise LookupError

        assert [] == receiver.got

    async def test_a_cancellation_ends_it(self) -> None:
        """A cancelled body leaves no task behind, also in the middle of a webhook."""
        gateway = FakeGateway()
        gateway.add_task(ID, STEPS, notify_hook=URL)
        began, ended = anyio.Event(), []

        async def hang(_body: bytes) -> None:
            began.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.append("hang")

        async with Receiver(gateway, hang).client() as http_client:
            with anyio.CancelScope() as scope:
                async with gateway.webhooks(http_client):
                    await began.wait()
                    scope.cancel()
                    await anyio.sleep_forever()

        assert scope.cancelled_caught
        assert ["hang"] == ended


async def test_webhooks_come_in_real_time() -> None:
    """While `serve()` is entered, they come in real time, also if it was entered later."""
    gateway = FakeGateway()
    async with gateway.webhooks() as sent, gateway.serve() as base_url:
        gateway.add_task(ID, [(0, "SUBMITTED", "0%"), (0.1, "SUCCESS", "")], notify_hook=base_url)
        async with AsyncMJClient(gateway.api_key, base_url=base_url) as client:
            polling = Polling(interval=0.1)
            await client.wait_for_task(ID, polling=polling)

    assert ["SUBMITTED", "SUCCESS"] == [json.loads(one.body)["status"] for one in sent]
    assert 0.1 <= sent[1].at < 10


class TestLoopTime:
    """With the transport, webhooks follow the time of the event loop."""

    @pytest.fixture
    def anyio_backend(self) -> Any:
        """Return trio with its virtual clock."""
        return ("trio", {"clock": MockClock(autojump_threshold=0)})

    async def test_webhooks_come_in_the_loops_time(self) -> None:
        """They come at their exact times."""
        gateway = FakeGateway()
        receiver = Receiver(gateway)
        transport = gateway.transport
        gateway.add_task(ID, STEPS, notify_hook=URL)

        async with receiver.client() as http_client, gateway.webhooks(http_client) as sent:
            await anyio.sleep(13)

        assert [0, 5, 12] == pytest.approx([one.at for one in sent])
        assert transport is not None
