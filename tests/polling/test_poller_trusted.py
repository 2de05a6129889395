"""Webhooks that are trusted: their word is an answer, unless more is known."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _batch_harness import BatchHarness
from _fakes import task
from _many_waits import WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import Task

pytestmark = pytest.mark.anyio

PICTURE = "https://cdn.example/1.png"


def hook(task_id: str = "1", status: str = "SUCCESS", **fields: Any) -> dict[str, Any]:
    """Make the body of a webhook; a task that has succeeded has a picture."""
    picture = {"imageUrl": PICTURE} if status == "SUCCESS" else {}
    return {"id": task_id, "status": status, "progress": "50%", **picture, **fields}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("SUCCESS", "SUCCESS"),
        ("FAILURE", "TaskFailedError"),
        ("CANCEL", "TaskCancelledError"),
        ("MODAL", "TaskNeedsInputError"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
async def test_its_word_is_the_answer(status: str, kind: str, count: int) -> None:
    """A wait ends at once, and without a request; the others do not notice."""
    transport, ids = RecordingTransport(), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, [(0, "SUBMITTED", "0%"), (5, "SUCCESS", "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(waits.wait, task_id)
            await transport.sleep(4.25)
            poller.feed(hook("0", status), trusted=True)

    assert dict.fromkeys(ids, "SUCCESS") | {"0": kind} == waits.kinds()
    assert dict.fromkeys(ids, 6) | {"0": 4.25} == waits.ended_at
    assert ([0, 3, 6] if count > 1 else [0, 3]) == transport.at()


@pytest.mark.parametrize("told", numbered(3))
async def test_a_wait_may_be_told_while_a_request_is_in_flight(told: str) -> None:
    """It ends at once; if it leads, it ends when the request that the others need has ended."""
    transport, ids = RecordingTransport(seconds=2.0), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, [(0, "SUCCESS", "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(waits.wait, task_id)
            await transport.sleep(1.0)
            leader = poller._waiters.leader
            poller.feed(hook(told), trusted=True)

    leads = leader is not None and leader.task_id == told
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert dict.fromkeys(ids, 2.0) | {told: 2.0 if leads else 1.0} == waits.ended_at
    assert (0, 1) == (transport.cancelled, len(transport.asked))


async def test_a_wait_alone_is_told_at_once() -> None:
    """No other wait needs its request in flight, which is cut and not repeated."""
    transport = RecordingTransport(seconds=2.0)
    transport.gateway.add_task("1", WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1")
            await transport.sleep(1.0)
            poller.feed(hook(), trusted=True)

    assert ({"1": "SUCCESS"}, {"1": 1.0}) == (waits.kinds(), waits.ended_at)
    assert (1, 1) == (transport.cancelled, len(transport.asked))


async def test_a_wait_in_its_callback_may_be_told() -> None:
    """It learns so when the callback is over, and nothing is asked for it."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    back: list[float] = []

    async def dawdle(task: Task) -> None:
        await transport.sleep(0 if task.is_final else 10.0)
        back.append(transport.gateway.now)

    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: poller.wait_for_task("1", on_update=dawdle))
            await transport.sleep(4.0)
            poller.feed(hook(status="SUBMITTED"), trusted=True)
            poller.feed(hook(), trusted=True)

    assert ([10.0, 10.0], [0]) == (back, transport.at())


async def test_all_waits_on_an_id_are_told() -> None:
    """Two waits on one id end both, with the same task."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    ended: list[Task] = []
    async with transport.client() as client, client.task_poller() as poller:

        async def wait() -> None:
            ended.append(await poller.wait_for_task("1"))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            await transport.sleep(1.0)
            given = poller.feed(hook(), trusted=True)

    assert [given, given] == ended


async def test_progress_is_news() -> None:
    """What is further on is given; what is not is dropped, in whatever order it comes."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "IN_PROGRESS", "40%"), (30, "SUCCESS", "100%")])
    seen: list[tuple[float, str | None]] = []
    async with transport.client() as client, client.task_poller() as poller:

        def see(task: Task) -> None:
            seen.append((transport.gateway.now, task.progress_text))

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: poller.wait_for_task("1", on_update=see))
            for status, progress in (
                ("SUBMITTED", "0%"),
                ("IN_PROGRESS", "60%"),
                ("IN_PROGRESS", "50%"),
                ("IN_PROGRESS", "60%"),
                ("", ""),
                ("SUCCESS", "100%"),
            ):
                await transport.sleep(0.25)
                poller.feed(hook(status=status, progress=progress), trusted=True)

    assert [(0, "40%"), (0.5, "60%"), (1.5, "100%")] == seen
    assert [0] == transport.at()


async def test_an_answer_that_was_under_way_does_not_take_it_back() -> None:
    """An older answer that comes after a trusted end is ignored."""
    transport = RecordingTransport(seconds=2.0)
    for task_id in ("1", "2"):
        transport.gateway.add_task(task_id, WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1", {"timeout": 5.0})
            group.start_soon(waits.wait, "2", {"timeout": 5.0})
            await transport.sleep(1.0)
            poller.feed(hook(), trusted=True)

    assert {"1": "SUCCESS", "2": "WaitTimeoutError"} == waits.kinds()


@pytest.mark.parametrize(
    ("late", "seen"),
    [
        (("IN_PROGRESS", "30%"), ["60%", "100%"]),
        (("IN_PROGRESS", "60%"), ["60%", "100%"]),
        (("IN_PROGRESS", "90%"), ["60%", "90%", "100%"]),
    ],
    ids=["older", "the same", "newer"],
)
async def test_an_answer_that_was_under_way_may_be_older(
    late: tuple[str, str], seen: list[str]
) -> None:
    """What was asked before a trusted word counts only if it is further on."""
    transport = RecordingTransport(seconds=2.0)
    transport.gateway.add_task("1", [(0, *late), (5, "SUCCESS", "100%")])
    transport.gateway.add_task("leads", done_at(5))
    found: list[str | None] = []
    async with transport.client() as client, client.task_poller() as poller:

        def see(task: Task) -> None:
            found.append(task.progress_text)

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: poller.wait_for_task("1", on_update=see))
            group.start_soon(lambda: poller.wait_for_task("leads", timeout=None))
            await transport.sleep(1.0)
            poller.feed(hook(status="IN_PROGRESS", progress="60%"), trusted=True)

    assert (seen, 0) == (found, transport.cancelled)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_success_without_a_picture_is_asked_for(times: int) -> None:
    """A webhook may come a moment before the picture is there, and twice; the poll has it."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "SUBMITTED", "0%"), (2, "SUCCESS", "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1")
            for _ in range(times):
                await transport.sleep(0.5)
                poller.feed(hook(imageUrl=""), trusted=True)

    assert [0, 3] == transport.at()
    assert "https://cdn.example" in (waits.ended["1"].image_url or "")  # type: ignore[union-attr]


async def test_a_picture_that_comes_by_webhook_completes_a_success() -> None:
    """The second look is spared where the picture is delivered before it."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "SUCCESS", "100%")], image_url="")
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1")
            await transport.sleep(1.0)
            poller.feed(hook(), trusted=True)

    assert ([0], {"1": 1.0}) == (transport.at(), waits.ended_at)
    assert PICTURE == waits.ended["1"].image_url  # type: ignore[union-attr]


async def test_a_webhook_before_the_wait_says_nothing_to_it() -> None:
    """A wait that begins later asks for itself."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "SUCCESS", "100%")])
    async with transport.client() as client, client.task_poller() as poller:
        watch = poller.watch_task("1")
        poller.feed(hook(status="IN_PROGRESS"), trusted=True)

        assert "SUCCESS" == (await anext(watch)).status
        poller.feed(hook(status="IN_PROGRESS"), trusted=True)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


STATES = [
    ("NOT_START", ""),
    ("SUBMITTED", "0%"),
    ("IN_PROGRESS", "1%"),
    ("IN_PROGRESS", "40%"),
    ("IN_PROGRESS", "99%"),
    ("SUCCESS", "100%"),
]


@given(order=st.lists(st.integers(0, len(STATES) - 1), min_size=1, max_size=8))
def test_no_order_of_deliveries_goes_back(order: list[int]) -> None:
    """Whatever is delivered, as often and in whatever order: the furthest state stands."""
    (watch,) = BatchHarness().join("1")
    watch.on_answer(task(*STATES[0]), 0.0)
    for number in order:
        watch.on_webhook(task(*STATES[number]))

    assert task(*STATES[max(order)]) == watch.task
    assert watch.task is not None
    assert STATES[max(order)] == (watch.task.status, watch.task.progress_text)
