"""One wait among many: what ends it, and its deadline."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from _many_waits import WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import Polling, errors
from mj_async._polling.watch import Watch

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("timeline", "kind", "instants"),
    [
        ([(0, "FAILURE", "100%")], "TaskFailedError", [0]),
        ([(0, "CANCEL", "")], "TaskCancelledError", [0]),
        ([(0, "MODAL", "0%")], "TaskNeedsInputError", [0]),
        ([(0, "SUBMITTED", "0%"), (4, "MODAL", "0%")], "TaskNeedsInputError", [0, 3, 6]),
        (done_at(5), "SUCCESS", [0, 3, 6]),
    ],
    ids=["FAILURE", "CANCEL", "MODAL", "MODAL later", "SUCCESS"],
)
async def test_each_end_is_that_of_its_task(timeline: Any, kind: str, instants: Any) -> None:
    """What ends one wait is told to that one; the other goes on."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", timeline)
    transport.gateway.add_task("other", done_at(9))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(["1", "other"])

    assert {"1": kind, "other": "SUCCESS"} == waits.kinds()
    assert (instants, [0, 3, 6, 9]) == (transport.at("1"), transport.at("other"))


async def test_failures_may_be_returned() -> None:
    """With raise_on_failure=False the task is given, whatever its end; MODAL is no end."""
    transport = RecordingTransport()
    transport.gateway.add_task("failed", [(0, "FAILURE", "100%")])
    transport.gateway.add_task("modal", [(0, "MODAL", "")])
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(["failed", "modal"], raise_on_failure=False)

    assert {"failed": "FAILURE", "modal": "TaskNeedsInputError"} == waits.kinds()


@pytest.mark.parametrize("late", [True, False], ids=["it comes", "it never comes"])
async def test_a_success_without_a_picture_is_asked_once_more(late: bool) -> None:  # noqa: FBT001
    """At the tick nearest to 2 s later; then it is over, with or without one."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "SUCCESS", "100%")], image_url="")

    async def show() -> None:
        await transport.sleep(1.0)
        if late:
            transport.gateway.add_task("1", [(0, "SUCCESS", "100%")])

    async with transport.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            group.start_soon(show)
            task = await poller.wait_for_task("1")

    assert [0, 3] == transport.at("1")
    assert late == bool(task.image_url)


async def test_a_task_that_stands_still_is_given_up() -> None:
    """stall_timeout is a matter of one wait; another on the same id goes on."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(30))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(poller.wait_for_task, "1")
            polling = Polling(factor=1.0, jitter=0, stall_timeout=10.0)
            group.start_soon(waits.wait, "1", {"polling": polling})

    assert ({"1": "TaskStalledError"}, {"1": 12}) == (waits.kinds(), waits.ended_at)
    assert [3.0 * tick for tick in range(11)] == transport.at("1")


async def test_errors_in_a_row_are_counted_for_each_wait() -> None:
    """A wait that tolerates fewer errors ends sooner than another."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    transport.gateway.fail_next(1000)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id, most in (("1", 2), ("2", 5)):
                polling = Polling(factor=1.0, jitter=0, max_consecutive_errors=most)
                group.start_soon(waits.wait, task_id, {"polling": polling})

    assert {"1": "ServerError", "2": "ServerError"} == waits.kinds()
    assert {"1": 3, "2": 12} == waits.ended_at


async def test_a_deadline_has_the_last_task_and_its_numbers() -> None:
    """The error says what was last seen, how long it took and how often it was asked for."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        with pytest.raises(errors.WaitTimeoutError) as caught:
            await poller.wait_for_task("1", timeout=10.0)

    error = caught.value
    assert ("1", 10.0, 4) == (error.task_id, error.elapsed, error.polls)
    assert "40%" == error.task.progress_text  # type: ignore[union-attr]
    assert [0, 3, 6, 9] == transport.at()


@pytest.mark.parametrize("slowest", numbered(3))
@pytest.mark.parametrize("count", [3, 250])
async def test_a_deadline_cuts_no_request_of_others(slowest: str, count: int) -> None:
    """The wait whose time is over ends; the request goes on, for another one leads."""
    transport, ids = RecordingTransport(seconds=4.0), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                timeout = 2.5 if task_id == slowest else 60.0
                group.start_soon(waits.wait, task_id, {"timeout": timeout})

    lists = -(-count // 100)
    assert dict.fromkeys(ids, "SUCCESS") | {slowest: "WaitTimeoutError"} == waits.kinds()
    assert (0, lists) == (transport.cancelled, len(transport.asked))
    assert 2.5 == waits.ended_at[slowest]


async def test_deadlines_one_after_the_other_starve_no_wait() -> None:
    """Where waits end one by one, each in the middle of a call, the others get their answer."""
    transport, ids = RecordingTransport(seconds=4.0), numbered(30)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                transport.gateway.add_task(task_id, done_at(0))
                group.start_soon(waits.wait, task_id, {"timeout": 3.5 + int(task_id)})
                await transport.sleep(0.01)

    assert {"SUCCESS"} == {waits.kinds()[task_id] for task_id in ids[5:]}
    assert transport.cancelled <= 1


async def test_a_wait_that_comes_later_may_end_first() -> None:
    """Each deadline is kept to the instant, though one waiter looks after all of them."""
    transport = RecordingTransport()
    timeouts = {"0": 7.25, "1": 5.0, "2": 2.5, "3": 4.75, "4": None, "5": 0.25}
    for task_id in timeouts:
        transport.gateway.add_task(task_id, done_at(10) if task_id == "4" else WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id, timeout in timeouts.items():
                group.start_soon(waits.wait, task_id, {"timeout": timeout})
                await transport.sleep(0.125)

    assert {"0": 7.25, "1": 5.125, "2": 2.75, "3": 5.125, "4": 12.0, "5": 0.875} == waits.ended_at
    assert {**dict.fromkeys(timeouts, "WaitTimeoutError"), "4": "SUCCESS"} == waits.kinds()
    assert [3, 6, 9, 12] == transport.at("4")


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["between calls", "in a call"])
async def test_a_waiter_that_is_woken_for_another_goes_on(seconds: float) -> None:
    """Waiters that share an event end one by one, in any order, and no request is sent again.

    The leader ends when its request in flight has ended.
    """
    transport, ids = RecordingTransport(seconds=seconds), numbered(9)
    order = ["4", "0", "8", "1", "7", "3", "2", "6", "5"]
    for task_id in ids:
        transport.gateway.add_task(task_id, WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        waits, leader = ManyWaits(transport, poller), ""
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait_for, ids)
            for task_id in order:
                await transport.sleep(0.25)
                leader = leader or cast("Watch", poller._waiters.leader).task_id
                done = {"id": task_id, "status": "SUCCESS", "imageUrl": "https://x.example/1.png"}
                poller.feed(done, trusted=True)

    expected = {one: 0.25 * nth for nth, one in enumerate(order, 1)}
    assert expected | {leader: max(seconds, expected[leader])} == waits.ended_at
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert (0, 1) == (transport.cancelled, len(transport.asked))


async def test_a_wait_that_joins_between_two_leaders_may_outlast_the_second() -> None:
    """The leader is cancelled, and its caller waits again before the next one leads."""
    transport = RecordingTransport(seconds=lambda asked: 4.0 if asked.at else 0.0)
    for task_id, status in (("1", WORKING), ("2", WORKING), ("3", done_at(0))):
        transport.gateway.add_task(task_id, status)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        scope = anyio.CancelScope()

        async def wait_twice() -> None:
            with scope:
                await waits.wait("1", {"timeout": 60.0})
            await waits.wait("3", {"timeout": 100.0})

        async with anyio.create_task_group() as group:
            group.start_soon(wait_twice)
            group.start_soon(waits.wait, "2", {"timeout": 5.0})
            await transport.sleep(1.0)
            scope.cancel()

    assert {"2": "WaitTimeoutError", "3": "SUCCESS"} == waits.kinds()
    assert 0 == transport.cancelled  # not cut by the deadline of "2", which is before its end
