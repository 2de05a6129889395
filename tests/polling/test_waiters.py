"""The waiters of a poller: the leader sends, and hands over when it has news."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import attrs
import pytest

from _batch_harness import BatchHarness
from _fakes import task
from _many_waits import WORKING, ManyWaits, RecordingTransport, done_at, kind_of, numbered
from mj_async import Task, TaskOutcome, TaskPoller, errors
from mj_async._gateway.endpoints import Gateway
from mj_async._lifecycle import Lifecycle
from mj_async._polling.batches import PollRequest
from mj_async._polling.waiters import Waiters

pytestmark = pytest.mark.anyio


@attrs.define
class FakePoll:
    """A gateway whose polls are recorded; each finds all tasks, or raises the fault."""

    fault: Exception | None = None
    asked: list[Any] = attrs.field(factory=list)

    @property
    def lists(self) -> FakeLists:
        """Its lists."""
        return FakeLists(self)

    async def poll(self, task_id: str) -> Task:
        """Answer a fetch."""
        await self.record(task_id)
        return task(id=task_id)

    async def record(self, asked: Any) -> None:
        """Record a poll, and raise the fault."""
        self.asked.append(asked)
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault


@attrs.frozen
class FakeLists:
    """The lists of a `FakePoll`."""

    fake: FakePoll

    async def poll(self, task_ids: list[str]) -> dict[str, Task]:
        """Answer a list."""
        await self.fake.record(task_ids)
        return {task_id: task(id=task_id) for task_id in task_ids}


async def send_next(harness: BatchHarness, fake: FakePoll) -> None:
    """Send the next request, which there must be."""
    clock = harness.clock
    waiters = Waiters(harness.scheduler, cast("Gateway", fake), clock, Lifecycle(clock))
    (request,) = harness.requests(clock.time)
    in_flight: set[PollRequest] = {request}
    try:
        await waiters._send(request, in_flight)
    finally:
        assert set() == in_flight


@pytest.mark.parametrize(("has_list", "asked"), [(True, ["1", "2"]), (False, "1")])
async def test_a_request_is_a_list_or_a_fetch(has_list: bool, asked: Any) -> None:  # noqa: FBT001
    """Its answers go to the waits of its ids."""
    harness, fake = BatchHarness(has_list=has_list), FakePoll()
    watches = harness.join("1", "2")

    await send_next(harness, fake)

    assert [asked] == fake.asked
    assert [True, has_list] == [watch.has_news for watch in watches]


async def test_an_error_of_the_library_is_an_answer() -> None:
    """It goes to the waits, and is not raised."""
    harness = BatchHarness()
    watches = harness.join("1", "2")

    await send_next(harness, FakePoll(errors.AuthenticationError(status_code=401)))

    assert [True, True] == [watch.has_news for watch in watches]


async def test_a_request_that_was_cut_is_repeated() -> None:
    """A cancelled request is the next one, at once."""
    harness, fake = BatchHarness(), FakePoll()
    harness.join("1")

    with anyio.CancelScope() as scope:
        scope.cancel()
        await send_next(harness, fake)

    assert scope.cancelled_caught
    assert ["1"] == harness.ids(0.0)


async def test_a_fault_of_a_hook_is_raised_and_not_repeated() -> None:
    """A hook of the caller's may fail: the ids are due at the next tick."""
    harness = BatchHarness()
    harness.join("1")

    with pytest.raises(LookupError, match="a hook"):
        await send_next(harness, FakePoll(LookupError("a hook")))

    assert [] == harness.ids(0.0)
    assert 3.0 == harness.scheduler.next_check_at()
    assert ["1"] == harness.ids(3.0)


# --- two waits, whose ids are asked for one by one: "1" at 0 s, "2" at 3 s ------------------------

SLOW = {"1": 4.0, "2": 2.5}


async def two_waits(
    seconds: dict[str, float],
    options: dict[str, dict[str, Any]],
    act_at: float = 0.0,
    act: Callable[[TaskPoller, anyio.CancelScope], Awaitable[None]] | None = None,
) -> tuple[RecordingTransport, ManyWaits]:
    """Wait for two tasks that have succeeded; each is asked for in a list of its own.

    Args:
        seconds: How long the first answer for each takes; the next ones take none.
        options: Of the waits.
        act_at: When to act.
        act: Is given the poller, and a scope around the first wait.
    """
    left = dict(seconds)
    transport, scope = RecordingTransport(), anyio.CancelScope()
    transport.seconds = lambda asked: left.pop(asked.task_ids[0], 0.0)
    for task_id in SLOW:
        transport.gateway.add_task(task_id, done_at(0))
    async with transport.client(request_timeout=60.0) as client:
        poller = client.task_poller(batch_size=1)
        waits = ManyWaits(transport, poller)

        async def wait_for_first() -> None:
            with scope:
                await waits.wait("1", options.get("1"))

        async with anyio.create_task_group() as group:
            group.start_soon(wait_for_first)
            await transport.sleep(0.5)
            group.start_soon(waits.wait, "2", options.get("2"))
            if act is not None:
                await transport.sleep(act_at - 0.5)
                await act(poller, scope)
        await poller.aclose()
    return transport, waits


async def close(poller: TaskPoller, _scope: anyio.CancelScope) -> None:
    """Close the poller."""
    await poller.aclose()


async def cancel(_poller: TaskPoller, scope: anyio.CancelScope) -> None:
    """Cancel the first wait."""
    scope.cancel()


FIRST_LEADS: dict[str, dict[str, Any]] = {"1": {"timeout": None}}


async def test_the_news_of_the_leader_wait_for_the_requests_in_flight() -> None:
    """Another wait needs them, and sends none of them again."""
    transport, waits = await two_waits(SLOW, FIRST_LEADS)

    assert {"1": 5.5, "2": 5.5} == waits.ended_at
    assert ([0, 3], 0) == (transport.at(), transport.cancelled)


async def test_the_news_of_the_leader_wait_for_so_long_at_most() -> None:
    """Then the request is cut, and the next leader repeats it."""
    transport, waits = await two_waits({"1": 4.0, "2": 50.0}, FIRST_LEADS)

    assert {"1": 19.0, "2": 19.0} == waits.ended_at
    assert ([0, 3, 19], 1) == (transport.at(), transport.cancelled)


async def test_a_leader_whose_requests_are_not_needed_ends_at_once() -> None:
    """When the other wait is over, its request in flight is cut."""
    transport, waits = await two_waits(
        {"1": 4.0, "2": 50.0}, {"1": {"timeout": None}, "2": {"timeout": 4.5}}
    )

    assert {"1": 5.0, "2": 5.0} == waits.ended_at
    assert {"1": "SUCCESS", "2": "WaitTimeoutError"} == waits.kinds()
    assert ([0, 3], 1) == (transport.at(), transport.cancelled)


async def test_closing_ends_a_leader_that_waits_for_its_requests() -> None:
    """It returns its news, and the other wait ends with ClientStateError."""
    transport, waits = await two_waits(SLOW, FIRST_LEADS, 4.5, close)

    assert {"1": 4.5, "2": 4.5} == waits.ended_at
    assert {"1": "SUCCESS", "2": "ClientStateError"} == waits.kinds()
    assert ([0, 3], 1) == (transport.at(), transport.cancelled)


@pytest.mark.parametrize("at", [3.5, 4.5], ids=["leads", "waits for its requests"])
async def test_a_leader_that_is_cancelled_hands_its_requests_over(at: float) -> None:
    """The next leader repeats them at once."""
    transport, waits = await two_waits(SLOW, FIRST_LEADS, at, cancel)

    assert ({"2": "SUCCESS"}, {"2": at}) == (waits.kinds(), waits.ended_at)
    assert [0, 3, at] == transport.at()


async def test_a_leader_steps_down_for_a_wait_that_can_wait_longer() -> None:
    """It waits for its own request meanwhile, and its deadline is kept to the instant."""
    transport = RecordingTransport(seconds=10.0)
    for task_id in SLOW:
        transport.gateway.add_task(task_id, done_at(0))
    leaders: list[str] = []
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1", {"timeout": 5.0})
            await transport.sleep(1.0)
            group.start_soon(waits.wait, "2", {"timeout": None})
            for _ in range(2):
                await transport.sleep(1.25)
                leaders.append(cast("Any", poller._waiters.leader).task_id)

    assert ["1", "2"] == leaders
    assert {"1": 5.0, "2": 13.0} == waits.ended_at
    assert {"1": "WaitTimeoutError", "2": "SUCCESS"} == waits.kinds()
    assert ([0, 3], 1) == (transport.at(), transport.cancelled)


async def test_the_deadline_of_a_former_leader_cuts_its_requests() -> None:
    """Its deadline is kept to the instant, and the next leader repeats what others need."""
    transport = RecordingTransport(seconds=10.0)
    transport.gateway.add_task("1", done_at(0))
    async with transport.client() as client, client.task_poller() as poller:
        first, second = ManyWaits(transport, poller), ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(first.wait, "1", {"timeout": 5.0})
            await transport.sleep(1.0)
            group.start_soon(second.wait, "1", {"timeout": None})

    assert ({"1": 5.0}, {"1": 15.0}) == (first.ended_at, second.ended_at)
    assert ([0, 5], 1) == (transport.at(), transport.cancelled)


async def test_a_former_leader_does_not_lead_again_before_the_next_one() -> None:
    """Also without requests in flight, when it goes back to wait at once."""
    transport = RecordingTransport()
    for task_id in SLOW:
        transport.gateway.add_task(task_id, WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1", {"timeout": 20.0})
            await transport.sleep(1.0)
            group.start_soon(waits.wait, "2", {"timeout": None})
            await transport.sleep(2.5)
            leader = cast("Any", poller._waiters.leader).task_id
            group.cancel_scope.cancel()

    assert ("2", [0, 3]) == (leader, transport.at())


@pytest.mark.parametrize("turns", range(8))
async def test_a_next_leader_that_leaves_elects_another_one(turns: int) -> None:
    """It is cancelled some turns of the loop after the leader, before or after it leads."""
    transport, ids = RecordingTransport(), numbered(3)
    scopes = {task_id: anyio.CancelScope() for task_id in ids}
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)

        async def wait(task_id: str) -> None:
            with scopes[task_id]:
                await waits.wait(task_id)

        async with anyio.create_task_group() as group:
            for task_id in ids:
                transport.gateway.add_task(task_id, done_at(5))
                group.start_soon(wait, task_id)
                await anyio.lowlevel.checkpoint()
            await transport.sleep(1.0)
            leader = cast("Any", poller._waiters.leader).task_id
            scopes[leader].cancel()
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            others = [watch.task_id for watch in poller._waiters.waiting if watch.task_id != leader]
            scopes[others[-1]].cancel()

    assert dict.fromkeys(others[:-1], 6.0) == waits.ended_at


# --- faults of a hook of the caller's -------------------------------------------------------------


async def test_a_broken_hook_reaches_one_wait() -> None:
    """The leader gets what the hook raised; the others go on at the tick."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(2))
    broken: list[str] = []

    def break_once(_asked: Any) -> None:
        if not broken:
            broken.append("once")
            raise LookupError("a hook")

    transport.override = break_once
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)

        async def wait(task_id: str) -> None:
            try:
                await waits.wait(task_id)
            except LookupError:
                broken.append(task_id)

        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(wait, task_id)

    assert 2 == len(broken)
    assert dict.fromkeys(set(ids) - set(broken), "SUCCESS") == waits.kinds()
    assert [0, 3] == transport.at()


async def test_a_broken_hook_ends_a_run() -> None:
    """A run gives what it has, and then raises what the hook raised, as it is."""
    transport = RecordingTransport()
    transport.gateway.add_task("done", done_at(0))
    transport.gateway.add_task("1", WORKING)

    def break_later(asked: Any) -> None:
        if asked.at > 0:
            raise LookupError("a hook")

    transport.override = break_later
    found: list[TaskOutcome] = []
    async with transport.client() as client:
        async with client.wait_for_tasks(["done", "1"]) as outcomes:
            with pytest.raises(LookupError, match="a hook"):
                async for outcome in outcomes:
                    found.append(outcome)  # noqa: PERF401  # what came before is to be seen

    assert ["SUCCESS"] == list(map(kind_of, found))
    assert 3 == transport.gateway.now


async def test_a_former_leader_without_news_leads_again() -> None:
    """Its successor is cancelled: its deadline holds, though its request is in flight."""
    transport = RecordingTransport(seconds=10.0)
    transport.gateway.add_task("1", WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1", {"timeout": 4.0})
            await transport.sleep(1.0)
            with anyio.move_on_after(60.0) as scope:
                group.start_soon(cancel_at, transport, scope, 2.0)
                await waits.wait("2", {"timeout": 100.0})

    assert {"1": 4.0} == waits.ended_at


async def cancel_at(transport: RecordingTransport, scope: anyio.CancelScope, at: float) -> None:
    """Cancel a scope at a time of the clock."""
    await transport.sleep(at - transport.gateway.now)
    scope.cancel()


async def test_joins_cut_no_request() -> None:
    """Each wait that joins has a later deadline, and leads; slow answers come all the same."""
    transport, ids = RecordingTransport(seconds=20.0), numbered(10)
    async with transport.client(request_timeout=60.0) as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                transport.gateway.add_task(task_id, done_at(0))
                group.start_soon(waits.wait, task_id)
                await transport.sleep(5.0)

    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert 0 == transport.cancelled
