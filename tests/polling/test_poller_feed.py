"""Webhooks that are not trusted: they bring a poll forward to now, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

from _many_waits import EVEN, WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import Polling, Task, errors

pytestmark = pytest.mark.anyio


def hook(task_id: str = "1", status: str = "IN_PROGRESS", **fields: Any) -> dict[str, Any]:
    """Make the body of a webhook."""
    return {"id": task_id, "status": status, "progress": "50%", **fields}


BODY = json.dumps(hook())


@pytest.mark.parametrize("count", [1, 2, 250])
async def test_a_hint_asks_for_that_id_exactly_now(count: int) -> None:
    """One list request with that id; the others are asked for when they were due."""
    transport, ids = RecordingTransport(), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(4.1))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(waits.wait, task_id)
            await transport.sleep(4.25)
            before = len(transport.asked)
            poller.feed(hook("0"))
            await transport.sleep(0.1)

            assert [(4.25, "list", "0")] == transport.seen()[before:]
            assert 4.25 == waits.ended_at["0"]
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert [4.25] == [at for at in transport.at("0") if at > 4]


async def test_a_hint_without_a_list_is_a_fetch() -> None:
    """Where the gateway has no list, the hinted id is fetched exactly now."""
    transport = RecordingTransport(
        override=lambda asked: httpx.Response(404) if asked.verb == "list" else None
    )
    for task_id in ("1", "2"):
        transport.gateway.add_task(task_id, done_at(4))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1")
            group.start_soon(waits.wait, "2")
            await transport.sleep(4.25)
            poller.feed(hook())

    assert 4.25 == waits.ended_at["1"]
    assert (4.25, "fetch", "1") in transport.seen()


async def test_hints_are_bounded() -> None:
    """Two a tick bring an id forward; the third waits for the tick."""
    transport = RecordingTransport()
    for task_id in ("1", "2"):
        transport.gateway.add_task(task_id, done_at(20))
    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(poller.wait_for_task, "1")
            group.start_soon(poller.wait_for_task, "2")
            await transport.sleep(0.4)
            for _ in range(10):
                poller.feed(hook())
                await transport.sleep(0.5)
            group.cancel_scope.cancel()

    assert [0, 0.4, 0.9, 3, 3.4, 3.9] == transport.at("1")
    assert [0, 3] == transport.at("2")


async def test_hints_for_many_are_gathered() -> None:
    """Ids that are hinted at one instant are asked for together, a batch each tenth of a tick."""
    transport, ids = RecordingTransport(), numbered(250)
    for task_id in ids:
        transport.gateway.add_task(task_id, WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(poller.wait_for_task, task_id)
            await transport.sleep(2.1)
            for task_id in ids:
                poller.feed(hook(task_id))
            await transport.sleep(0.8)
            group.cancel_scope.cancel()

    is_urgent = [(one.at, len(one.task_ids)) for one in transport.asked if one.at > 2]
    assert [(2.1, 100), (2.4, 100), (2.7, 50)] == is_urgent


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("hints", [1, 2])
async def test_a_hint_for_what_is_under_way_asks_again_right_after(count: int, hints: int) -> None:
    """The answer in flight may be older than the webhook."""
    transport, ids = RecordingTransport(seconds=1.0), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(1.5))
    transport.gateway.add_task("0", [(0, "SUBMITTED", "0%"), (1.5, "SUCCESS", "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(waits.wait, task_id)
            await transport.sleep(0.5)
            for _ in range(hints):
                poller.feed(hook("0"))
                await transport.sleep(0.1)

    assert [0, 1] == transport.at("0")
    assert 2 == waits.ended_at["0"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("hints", [1, 2])
async def test_a_hint_during_a_callback_asks_right_after(count: int, hints: int) -> None:
    """A wait in its callback is asked for when it comes back, and not at the next tick."""
    transport, ids = RecordingTransport(), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(4))

    async def dawdle(task: Task) -> None:
        await transport.sleep(0 if task.is_final else 4.5)

    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "0", {"on_update": dawdle})
            for task_id in ids[1:]:
                group.start_soon(waits.wait, task_id)
            await transport.sleep(4.1)
            for _ in range(hints):
                poller.feed(hook("0"))

    assert [0, 4.5] == transport.at("0")


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCEL", "MODAL"])
async def test_a_forged_end_ends_nothing(status: str) -> None:
    """An unsigned webhook ends no wait; the gateway's answer counts."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(5))
    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(poller.wait_for_task, "1")
            await transport.sleep(1.0)
            given = poller.feed(hook(status=status, imageUrl="https://evil.test/1.png"))

    assert (status, "1") == (given.status, given.id)
    assert [0, 1, 3, 6] == transport.at("1")


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_webhook_for_an_unknown_id_harms_no_wait(trusted: bool) -> None:  # noqa: FBT001
    """It is read and given back, costs no request, and leaves nothing behind."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(5))
    async with transport.client() as client, client.task_poller() as poller:
        for task_id in numbered(100):
            poller.feed(hook(f"before {task_id}"), trusted=trusted)
        async with anyio.create_task_group() as group:
            group.start_soon(poller.wait_for_task, "1")
            await transport.sleep(1.0)
            assert "stranger" == poller.feed(hook("stranger", "SUCCESS"), trusted=trusted).id
        for task_id in numbered(1000):
            poller.feed(hook(f"after {task_id}"), trusted=trusted)

        assert 0 == len(poller._scheduler._urgent_counts)
    assert [0, 3, 6] == transport.at()


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"<html>", "[]", {}, {"id": ""}, {"status": "SUCCESS"}, b"\xff"],
    ids=repr,
)
async def test_junk_is_refused_and_harms_no_wait(payload: Any, trusted: bool) -> None:  # noqa: FBT001
    """What is no task is UnexpectedAnswerError, and the waits go on."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(5))
    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(poller.wait_for_task, "1")
            await transport.sleep(1.0)
            with pytest.raises(errors.UnexpectedAnswerError):
                poller.feed(payload, trusted=trusted)

    assert [0, 3, 6] == transport.at()


@pytest.mark.parametrize(
    "payload",
    [
        hook(),
        json.dumps(hook()),
        json.dumps(hook()).encode(),
        bytearray(json.dumps(hook()).encode()),
    ],
    ids=["a dict", "text", "bytes", "a bytearray"],
)
async def test_it_takes_what_frameworks_give(payload: Any) -> None:
    """The body as bytes or text, or its JSON object."""
    async with RecordingTransport().client() as client, client.task_poller() as poller:
        task = poller.feed(payload)

    assert ("1", "IN_PROGRESS", 50) == (task.id, task.status, task.progress)


async def test_a_hint_keeps_the_schedule() -> None:
    """After it the next poll comes an interval later, at the tick that is nearest."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(40))
    transport.gateway.add_task("2", done_at(40))
    polling = Polling(interval=9.0, factor=1.0, jitter=0)
    async with transport.client(polling=EVEN) as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(poller.wait_for_task, "2")
            group.start_soon(lambda: poller.wait_for_task("1", polling=polling))
            await transport.sleep(4.0)
            poller.feed(hook())
            await transport.sleep(20.0)
            group.cancel_scope.cancel()

    assert [0, 4, 12, 21] == transport.at("1")
