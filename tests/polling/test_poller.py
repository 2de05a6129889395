"""Many waits, one poll: what it asks, at which instants, and for whom."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest

from _many_waits import EVEN, WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import Polling, errors

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("count", "lists"), [(1, 1), (2, 1), (100, 1), (101, 2), (250, 3), (1000, 10)]
)
async def test_a_tick_costs_a_list_call_a_hundred(count: int, lists: int) -> None:
    """All waits cost ceil(n / 100) list calls a tick, spread evenly over it."""
    transport, ids = RecordingTransport(), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(6))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    instants = [tick + 3.0 * number / lists for tick in (0, 3, 6) for number in range(lists)]
    asked = [task_id for one in transport.asked for task_id in one.task_ids]
    assert pytest.approx(instants) == transport.at()
    assert {"list"} == {one.verb for one in transport.asked}
    assert dict.fromkeys(ids, 3) == Counter(asked)
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()
    assert ids == [getattr(waits.ended[task_id], "id", None) for task_id in ids]


async def test_four_requests_at_once_at_most() -> None:
    """Where answers are slow, the fifth request waits until one of four has ended."""
    transport, ids = RecordingTransport(seconds=10.0), numbered(1000)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    assert (4, 0) == (transport.most_in_flight, transport.cancelled)
    assert [0, 0.3, 0.6, 0.9, 10] == pytest.approx(transport.at()[:5])
    assert 10 == len(transport.asked)
    assert dict.fromkeys(ids, "SUCCESS") == waits.kinds()


@pytest.mark.parametrize(
    ("count", "batch_size", "seconds", "has_list"),
    [
        (3, 100, 1.0, True),
        (250, 100, 0.5, True),
        (250, 100, 1.5, True),
        (1000, 100, 0.6, True),
        (10, 10, 0.5, False),
        (10, 10, 1.0, False),
    ],
)
async def test_an_answer_that_takes_its_time_costs_no_tick(
    count: int,
    batch_size: int,
    seconds: float,
    has_list: bool,  # noqa: FBT001
) -> None:
    """An id in flight when a tick begins is asked for in that tick, too, after its answer."""
    transport, ids = RecordingTransport(seconds=seconds), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, WORKING)
    missing = httpx.Response(404)
    transport.override = lambda asked: missing if asked.verb == "list" and not has_list else None
    async with transport.client() as client, client.task_poller(batch_size=batch_size) as poller:
        await ManyWaits(transport, poller).wait_for(ids, timeout=60.0)

    verb = "list" if has_list else "fetch"
    asked = Counter(one for each in transport.asked if each.verb == verb for one in each.task_ids)
    assert set(ids) == asked.keys()
    assert {19, 20} >= set(asked.values())


async def test_without_a_wait_no_request_is_sent() -> None:
    """Before the first wait, between waits and after the last one no request begins."""
    transport = RecordingTransport()
    for task_id in ("1", "2"):
        transport.gateway.add_task(task_id, done_at(0))
    async with transport.client() as client, client.task_poller() as poller:
        await transport.gateway.advance(100.0)
        await poller.wait_for_task("1")
        await transport.gateway.advance(100.0)
        await poller.wait_for_task("2")
        await transport.gateway.advance(100.0)

    assert [(100.0, "list", "1"), (200.0, "list", "2")] == transport.seen()


async def test_a_wait_that_joins_is_due_at_the_next_tick() -> None:
    """A wait that comes in the middle of a tick is due at the next one, with the others."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(6))
    transport.gateway.add_task("2", done_at(6))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1")
            await transport.sleep(1.0)
            group.start_soon(waits.wait, "2")

    assert [(0, "list", "1"), (3, "list", "1 2"), (6, "list", "1 2")] == transport.seen()
    assert {"1": 6, "2": 6} == waits.ended_at


@pytest.mark.parametrize(
    ("leaving", "asked"),
    [
        ([], [(3, "1 2"), (4, "3 4"), (5, "0")]),
        (["4"], [(3, "1 2"), (4, "3"), (5, "0")]),
        (["3", "4"], [(3, "1 2"), (5, "0")]),
        (["0"], [(3, "1 2"), (4, "3 4")]),
        (["1", "2"], [(3, "1 2"), (4, "3 4"), (5, "0")]),
    ],
    ids=["none", "one of a batch", "a whole batch", "the first", "ids asked for already"],
)
async def test_an_id_without_a_wait_is_not_asked_for(
    leaving: list[str], asked: list[tuple[float, str]]
) -> None:
    """It vanishes from the queued batches; an empty batch is not sent."""
    transport = RecordingTransport()
    scopes = {task_id: anyio.CancelScope() for task_id in numbered(5)}
    async with transport.client() as client, client.task_poller(batch_size=2) as poller:

        async def wait(task_id: str) -> None:
            with scopes[task_id]:
                await poller.wait_for_task(task_id)

        async with anyio.create_task_group() as group:
            for task_id in scopes:
                transport.gateway.add_task(task_id, WORKING)
                group.start_soon(wait, task_id)
                await transport.sleep(0.1)
            await transport.sleep(3.0)
            for task_id in leaving:
                scopes[task_id].cancel()
            await transport.sleep(2.4)
            group.cancel_scope.cancel()

    assert asked == [(at, ids) for at, _, ids in transport.seen()][1:]


async def test_two_waits_on_one_id_are_one_poll() -> None:
    """The id is asked for once, and each of the two has its own deadline."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(8))
    ended: list[tuple[float, str]] = []

    async with transport.client() as client, client.task_poller() as poller:

        async def wait(timeout: float) -> None:
            try:
                ended.append((0.0, (await poller.wait_for_task("1", timeout=timeout)).status))
            except errors.WaitTimeoutError as error:
                ended.append((error.elapsed, "timeout"))

        async with anyio.create_task_group() as group:
            group.start_soon(wait, 4.0)
            group.start_soon(wait, 60.0)

    assert [(at, "list", "1") for at in (0, 3, 6, 9)] == transport.seen()
    assert [(4.0, "timeout"), (0.0, "SUCCESS")] == ended


@pytest.mark.parametrize(
    ("polling", "instants"),
    [
        (EVEN, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]),
        (Polling(jitter=0), [0, 3, 6, 12, 18, 27, 36]),
        (Polling(interval=9.0, factor=1.0, jitter=0), [0, 9, 18, 27, 36]),
        (Polling(interval=4.0, factor=1.0, jitter=0), [0, 3, 9, 12, 15, 21, 24, 27, 33]),
        (Polling(interval=1.0, factor=1.0, jitter=0), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]),
    ],
    ids=["each tick", "growing", "every third", "rounded", "no faster than the ticks"],
)
async def test_each_wait_has_a_schedule_rounded_to_ticks(
    polling: Polling, instants: list[float]
) -> None:
    """A poll comes at the tick that is nearest to its time; other waits do not change that."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(30))
    transport.gateway.add_task("other", done_at(50))
    async with transport.client() as client, client.task_poller() as poller:
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "other")
            group.start_soon(waits.wait, "1", {"polling": polling})

    assert instants == transport.at("1")
    assert list(range(0, 52, 3)) == transport.at("other")


async def test_jitter_moves_the_ticks_and_never_a_task() -> None:
    """Ticks are up to 15 % longer or shorter, and all are asked for at the same ones."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(300))
    async with transport.client() as client:
        async with client.task_poller(polling=Polling(factor=1.0)) as poller:
            await ManyWaits(transport, poller).wait_for(ids)

    gaps = [later - sooner for sooner, later in pairwise(transport.at())]
    assert {("0", "1", "2")} == {tuple(sorted(one.task_ids)) for one in transport.asked}
    assert 2.55 <= min(gaps) < 2.9
    assert 3.1 < max(gap for gap in gaps if gap < 5.0) <= 3.45
    assert 3.0 == pytest.approx(statistics.mean(gaps), abs=0.15)


async def test_the_ticks_are_the_pollers_own() -> None:
    """`polling` of the poller makes the ticks, also for waits with a schedule of their own."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(10))
    async with transport.client() as client:
        polling = Polling(interval=5.0, factor=1.0, jitter=0)
        async with client.task_poller(polling=polling) as poller:
            await poller.wait_for_task("1", polling=EVEN)

    assert [0, 5, 10] == transport.at()


@pytest.mark.parametrize("polling", [EVEN, Polling(jitter=0)], ids=["even", "growing"])
async def test_a_finish_is_known_after_half_an_interval(polling: Polling) -> None:
    """The median from finish to our knowing it is at most 0.55 of the interval in force.

    Of five rounds: trio lets tasks begin in any order, and those before the first poll are few or
    many.
    """
    shares = [share for _ in range(5) for share in await shares_of_interval(polling)]

    assert statistics.median(shares) <= 0.55
    assert 0 <= min(shares) <= max(shares) <= 1.0


async def shares_of_interval(polling: Polling) -> list[float]:
    """Return for each wait the share of an interval between its task's end and its own."""
    transport, ids = RecordingTransport(), numbered(200)
    ends = {task_id: 5.0 + 60.0 * int(task_id) / len(ids) for task_id in ids}
    for task_id, end in ends.items():
        transport.gateway.add_task(task_id, done_at(end))
    async with transport.client() as client, client.task_poller(polling=polling) as poller:
        waits = ManyWaits(transport, poller)
        await waits.wait_for(ids)

    shares = []
    for task_id, end in ends.items():
        before, last = transport.at(task_id)[-2:]
        shares.append((waits.ended_at[task_id] - end) / (last - before))
    return shares


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"batch_size": 1.5}, {"polling": 3}], ids=str
)
async def test_a_poller_refuses_options_that_cannot_work(options: dict[str, Any]) -> None:
    """A bad option is a ConfigurationError at once."""
    async with RecordingTransport().client() as client:
        with pytest.raises(errors.ConfigurationError):
            client.task_poller(**options)


@pytest.mark.parametrize(
    ("task_id", "options"),
    [
        ("", {}),
        ("a/b", {}),
        ("1", {"timeout": 0}),
        ("1", {"polling": 3}),
        ("1", {"on_update": 5}),
    ],
    ids=str,
)
async def test_a_wait_refuses_arguments_that_cannot_work(
    task_id: str, options: dict[str, Any]
) -> None:
    """A bad argument is a ConfigurationError, and nothing has been asked."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    async with transport.client() as client, client.task_poller() as poller:
        with pytest.raises(errors.ConfigurationError):
            await poller.wait_for_task(task_id, **options)
        if "on_update" not in options:
            with pytest.raises(errors.ConfigurationError):
                poller.watch_task(task_id, **options)

        assert () == poller.pending()
    assert [] == transport.asked
