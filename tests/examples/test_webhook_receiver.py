"""The web server: webhooks with and without the secret, and waits beside them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mj_async.testing import FakeGateway
from webhook_receiver import make_app

from ._wait import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left")]

SECRET = "correct-horse-battery-staple"
WORKING = [(0, "IN_PROGRESS", "40%")]
JUNK = [b"", b"junk", b"[]", b"{}", b"\xff\xfe", b'{"status": "SUCCESS"}']
PATIENTLY = {"timeout": 25}
FORGED = {"id": "101", "status": "SUCCESS", "imageUrl": "https://evil.example/"}


@asynccontextmanager
async def running(gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application, and yield an HTTP client for it."""
    app = make_app(gateway.client(), SECRET)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://receiver.test") as browser,
    ):
        yield browser


async def test_a_wait_is_answered_with_the_task() -> None:
    """The answer comes when the task has ended, with the gateway's key names."""
    gateway = FakeGateway()
    gateway.add_task("101", [(0, "IN_PROGRESS", "0%"), (10, "SUCCESS", "100%")], prompt="a pig")

    async with running(gateway) as browser:
        answer = await browser.get("/tasks/101", params=PATIENTLY)

    assert 200 == answer.status_code
    assert ("SUCCESS", "a pig") == (answer.json()["status"], answer.json()["prompt"])
    # It ends at 10, between two polls 7.5 s apart, which are put off to the next tick of 5 s.
    assert 10 <= gateway.now <= 10 + 7.5 + 5


async def test_a_wait_that_takes_longer_is_answered_as_it_is() -> None:
    """After the requested time the answer is 202, with the last task."""
    gateway = FakeGateway()
    gateway.add_task("101", WORKING)

    async with running(gateway) as browser:
        answer = await browser.get("/tasks/101", params={"timeout": 10})

    assert 202 == answer.status_code
    assert "40%" == answer.json()["progress"]
    assert 10 == gateway.now


async def test_a_failed_task_is_an_answer() -> None:
    """A task that ended with FAILURE is a 200."""
    gateway = FakeGateway()
    gateway.add_task("101", [(0, "FAILURE", "")], fail_reason="banned")

    async with running(gateway) as browser:
        answer = await browser.get("/tasks/101", params=PATIENTLY)

    assert (200, "banned") == (answer.status_code, answer.json()["failReason"])


@pytest.mark.parametrize(
    ("task_id", "status_code", "said"),
    [
        ("unknown", 404, "the gateway does not know the task"),
        ("a%0Ab", 422, "the task id"),
        ("modal", 409, "it waits for input"),
    ],
)
async def test_errors_are_told(task_id: str, status_code: int, said: str) -> None:
    """Each error has its status code and its text."""
    gateway = FakeGateway()
    gateway.add_task("modal", [(0, "MODAL", "0%")])

    async with running(gateway) as browser:
        answer = await browser.get(f"/tasks/{task_id}")

    assert status_code == answer.status_code
    assert said in answer.json()["detail"]


async def test_a_refused_key_is_the_gateways_fault() -> None:
    """A refused key is a 502, which does not show the key."""
    gateway = FakeGateway()

    async with running(gateway) as browser:
        gateway.fail_next(9, status=401)
        answer = await browser.get("/tasks/101", params=PATIENTLY)

    assert 502 == answer.status_code
    assert gateway.api_key not in answer.text


async def test_a_webhook_with_the_secret_is_believed() -> None:
    """A webhook with the secret ends the wait at once, without a request."""
    gateway = FakeGateway()
    gateway.add_task("101", WORKING)
    told = {"id": "101", "status": "SUCCESS", "imageUrl": "https://cdn.example/p.png"}

    async with running(gateway) as browser:
        wait = asyncio.create_task(browser.get("/tasks/101", params=PATIENTLY))
        await until(lambda: gateway.requests)
        asked = len(gateway.requests)
        accepted = await browser.post(f"/webhooks/{SECRET}", json=told)
        answer = await wait

    assert 202 == accepted.status_code
    assert "https://cdn.example/p.png" == answer.json()["imageUrl"]
    assert asked == len(gateway.requests)


async def test_a_webhook_without_the_secret_is_a_hint() -> None:
    """A webhook without the secret causes a poll at once, and the poll's answer counts."""
    gateway = FakeGateway()
    gateway.add_task("101", WORKING)

    async with running(gateway) as browser:
        wait = asyncio.create_task(browser.get("/tasks/101", params={"timeout": 20}))
        await until(lambda: gateway.requests)
        accepted = await browser.post("/webhooks", json=FORGED)
        await until(lambda: len(gateway.requests) == 2)
        asked_at = gateway.requests[-1].at
        answer = await wait

    assert 202 == accepted.status_code
    assert asked_at < 4
    assert (202, "IN_PROGRESS") == (answer.status_code, answer.json()["status"])


@pytest.mark.parametrize("given", ["wrong", "correct-horse-battery-stapler", "ü"])
async def test_a_wrong_secret_is_not_found(given: str) -> None:
    """A wrong secret is a 404, and changes no wait."""
    gateway = FakeGateway()
    gateway.add_task("101", WORKING)

    async with running(gateway) as browser:
        wait = asyncio.create_task(browser.get("/tasks/101", params={"timeout": 20}))
        await until(lambda: gateway.requests)
        refused = await browser.post(f"/webhooks/{given}", json=FORGED)
        answer = await wait

    assert 404 == refused.status_code
    assert "IN_PROGRESS" == answer.json()["status"]


@pytest.mark.parametrize("address", ["/webhooks", f"/webhooks/{SECRET}"])
@pytest.mark.parametrize(
    "body", [b"", b"junk", b"[]", b"{}", b"\xff\xfe", b'{"status": "SUCCESS"}']
)
async def test_junk_is_refused(address: str, body: bytes) -> None:
    """A body that is not a task is a 422, and the wait continues."""
    gateway = FakeGateway()
    gateway.add_task("101", [(0, "IN_PROGRESS", "0%"), (10, "SUCCESS", "100%")])

    async with running(gateway) as browser:
        wait = asyncio.create_task(browser.get("/tasks/101", params=PATIENTLY))
        await until(lambda: gateway.requests)
        refused = await browser.post(address, content=body)
        answer = await wait

    assert (422, "SUCCESS") == (refused.status_code, answer.json()["status"])


async def test_a_huge_body_is_not_read_to_its_end() -> None:
    """A huge body is not read beyond the limit."""
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(100):
            sent.append(number)
            yield b" " * 100_000

    async with running(FakeGateway()) as browser:
        refused = await browser.post("/webhooks", content=chunks())

    assert 413 == refused.status_code
    assert len(sent) <= 12


async def test_the_end_of_the_server_ends_the_waits() -> None:
    """A wait in progress is answered with 503 when the application stops."""
    gateway = FakeGateway()
    gateway.add_task("101", WORKING)
    app = make_app(gateway.client(), SECRET)
    transport = httpx.ASGITransport(app)

    async with httpx.AsyncClient(transport=transport, base_url="https://receiver.test") as browser:
        async with app.router.lifespan_context(app):
            wait = asyncio.create_task(browser.get("/tasks/101", params=PATIENTLY))
            await until(lambda: gateway.requests)
        answer = await wait

    assert 503 == answer.status_code


async def test_hundreds_of_waits_are_one_poll() -> None:
    """300 waits cost three requests in each tick, and 300 webhooks cost none."""
    gateway = FakeGateway()
    ids = [f"t{number}" for number in range(300)]
    for task_id in ids:
        gateway.add_task(task_id, WORKING)

    def told(task_id: str) -> bytes:
        task: dict[str, Any] = {"id": task_id, "status": "SUCCESS", "imageUrl": "https://a.test/1"}
        return json.dumps(task).encode()

    async with running(gateway) as browser:
        waits = [asyncio.create_task(browser.get(f"/tasks/{task_id}")) for task_id in ids]
        await until(lambda: len(gateway.requests) >= 3)
        for task_id in ids:
            await browser.post(f"/webhooks/{SECRET}", content=told(task_id))
        answers = await asyncio.gather(*waits)

    assert {200} == {answer.status_code for answer in answers}
    assert len(gateway.requests) <= 30


async def test_a_short_secret_is_refused() -> None:
    """A short secret is an error at the start."""
    with pytest.raises(ValueError, match="too short"):
        make_app(FakeGateway().client(), "hunter2")
