"""Webhooks that are trusted: their word is an answer, unless more is known."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _crowd import WORKING, Crowd, Way, done_at, numbered
from mj_async import Task, TaskPoller, errors

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
    way, ids = Way(), numbered(count)
    for task_id in ids:
        way.gateway.add_task(task_id, [(0, "SUBMITTED", "0%"), (5, "SUCCESS", "100%")])
    async with way.client() as client, client.task_poller() as poller:
        crowd = Crowd(way, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(crowd.wait, task_id)
            await way.sleep(4.25)
            poller.feed(hook("0", status), trusted=True)

    assert dict.fromkeys(ids, "SUCCESS") | {"0": kind} == crowd.kinds()
    assert dict.fromkeys(ids, 6) | {"0": 4.25} == crowd.ended_at
    assert ([0, 3, 6] if count > 1 else [0, 3]) == way.at()


@pytest.mark.parametrize("told", numbered(3))
async def test_who_carries_a_call_may_be_told(told: str) -> None:
    """If it was the one that carried it, the call of the others is repeated, once."""
    way, ids = Way(seconds=2.0), numbered(3)
    for task_id in ids:
        way.gateway.add_task(task_id, [(0, "SUCCESS", "100%")])
    async with way.client() as client, client.task_poller() as poller:
        crowd = Crowd(way, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(crowd.wait, task_id)
            await way.sleep(1.0)
            poller.feed(hook(told), trusted=True)

    assert dict.fromkeys(ids, "SUCCESS") == crowd.kinds()
    assert dict.fromkeys(ids, 2.0 + way.cancelled) | {told: 1.0} == crowd.ended_at
    assert way.cancelled <= 1
    assert 1 + way.cancelled == len(way.asked)


async def test_who_is_in_its_callback_may_be_told() -> None:
    """It learns so when the callback is over, and nothing is asked for it."""
    way = Way()
    way.gateway.add_task("1", WORKING)
    back: list[float] = []

    async def dawdle(task: Task) -> None:
        await way.sleep(0 if task.is_final else 10.0)
        back.append(way.gateway.now)

    async with way.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: poller.wait_for_task("1", on_update=dawdle))
            await way.sleep(4.0)
            poller.feed(hook(status="SUBMITTED"), trusted=True)
            poller.feed(hook(), trusted=True)

    assert ([10.0, 10.0], [0]) == (back, way.at())


async def test_all_waits_on_an_id_are_told() -> None:
    """Two waits on one id end both, with the same task."""
    way = Way()
    way.gateway.add_task("1", WORKING)
    ended: list[Task] = []
    async with way.client() as client, client.task_poller() as poller:

        async def wait() -> None:
            ended.append(await poller.wait_for_task("1"))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            await way.sleep(1.0)
            given = poller.feed(hook(), trusted=True)

    assert [given, given] == ended


async def test_progress_is_news() -> None:
    """What is further on is given; what is not is dropped, in whatever order it comes."""
    way = Way()
    way.gateway.add_task("1", [(0, "IN_PROGRESS", "40%"), (30, "SUCCESS", "100%")])
    seen: list[tuple[float, str | None]] = []
    async with way.client() as client, client.task_poller() as poller:

        def see(task: Task) -> None:
            seen.append((way.gateway.now, task.progress_text))

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
                await way.sleep(0.25)
                poller.feed(hook(status=status, progress=progress), trusted=True)

    assert [(0, "40%"), (0.5, "60%"), (1.5, "100%")] == seen
    assert [0] == way.at()


async def test_an_answer_that_was_under_way_does_not_take_it_back() -> None:
    """An older answer that comes after a trusted end is nobody's."""
    way = Way(seconds=2.0)
    for task_id in ("1", "2"):
        way.gateway.add_task(task_id, WORKING)
    async with way.client() as client, client.task_poller() as poller:
        crowd = Crowd(way, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(crowd.wait, "1", {"timeout": 5.0})
            group.start_soon(crowd.wait, "2", {"timeout": 5.0})
            await way.sleep(1.0)
            poller.feed(hook(), trusted=True)

    assert {"1": "SUCCESS", "2": "WaitTimeoutError"} == crowd.kinds()


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
    way = Way(seconds=2.0)
    way.gateway.add_task("1", [(0, *late), (5, "SUCCESS", "100%")])
    way.gateway.add_task("carries", done_at(5))
    found: list[str | None] = []
    async with way.client() as client, client.task_poller() as poller:

        def see(task: Task) -> None:
            found.append(task.progress_text)

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: poller.wait_for_task("1", on_update=see))
            group.start_soon(lambda: poller.wait_for_task("carries", timeout=None))
            await way.sleep(1.0)
            poller.feed(hook(status="IN_PROGRESS", progress="60%"), trusted=True)

    assert (seen, 0) == (found, way.cancelled)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_success_without_a_picture_is_asked_for(times: int) -> None:
    """A webhook may come a moment before the picture is there, and twice; the poll has it."""
    way = Way()
    way.gateway.add_task("1", [(0, "SUBMITTED", "0%"), (2, "SUCCESS", "100%")])
    async with way.client() as client, client.task_poller() as poller:
        crowd = Crowd(way, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(crowd.wait, "1")
            for _ in range(times):
                await way.sleep(0.5)
                poller.feed(hook(imageUrl=""), trusted=True)

    assert [0, 3] == way.at()
    assert "https://cdn.example" in (crowd.ended["1"].image_url or "")  # type: ignore[union-attr]


async def test_a_picture_that_comes_by_webhook_completes_a_success() -> None:
    """The second look is spared where the picture is delivered before it."""
    way = Way()
    way.gateway.add_task("1", [(0, "SUCCESS", "100%")], image_url="")
    async with way.client() as client, client.task_poller() as poller:
        crowd = Crowd(way, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(crowd.wait, "1")
            await way.sleep(1.0)
            poller.feed(hook(), trusted=True)

    assert ([0], {"1": 1.0}) == (way.at(), crowd.ended_at)
    assert PICTURE == crowd.ended["1"].image_url  # type: ignore[union-attr]


async def test_a_webhook_before_the_wait_says_nothing_to_it() -> None:
    """A wait that begins later asks for itself."""
    way = Way()
    way.gateway.add_task("1", [(0, "SUCCESS", "100%")])
    async with way.client() as client, client.task_poller() as poller:
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


async def end_after(poller: TaskPoller, way: Way, order: list[int]) -> str:
    """Deliver states in some order to a wait, and say how far it has come."""
    furthest = "never seen"

    def remember(task: Task) -> None:
        nonlocal furthest
        furthest = f"{task.status} {task.progress_text}"

    async def wait() -> None:
        with contextlib.suppress(errors.WaitTimeoutError):
            await poller.wait_for_task("1", on_update=remember, timeout=50.0)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await way.sleep(1.0)
        for number in order:
            status, progress = STATES[number]
            poller.feed(hook(status=status, progress=progress), trusted=True)
            await anyio.lowlevel.checkpoint()
        await way.sleep(1.0)
        group.cancel_scope.cancel()
    return furthest


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(order=st.lists(st.integers(0, len(STATES) - 1), min_size=1, max_size=8))
def test_no_order_of_deliveries_goes_back(backend: str, order: list[int]) -> None:
    """Whatever is delivered, as often and in whatever order: the furthest state stands."""

    async def run() -> str:
        way = Way()
        way.gateway.add_task("1", [(0, "NOT_START", "")])
        async with way.client() as client, client.task_poller() as poller:
            return await end_after(poller, way, order)

    assert " ".join(STATES[max(order)]) == anyio.run(run, backend=backend)
