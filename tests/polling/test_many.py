"""The outcomes of many waits: each once, as they finish; the reader may be slow."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from _many_waits import WORKING, RecordingTransport, done_at, kind_of, numbered, outcomes_of
from mj_async import Polling, TaskOutcome, errors

pytestmark = pytest.mark.anyio


async def test_each_id_comes_once_as_it_finishes() -> None:
    """In the order in which tasks end; duplicates are one, and all are asked for together."""
    transport = RecordingTransport()
    for task_id, seconds in (("late", 8), ("soon", 2), ("at once", 0)):
        transport.gateway.add_task(task_id, done_at(seconds))
    async with transport.client() as client:
        ids = iter(["late", "soon", "late", "at once", "soon"])
        found = await outcomes_of(transport, client, ids)

    assert [(0, "at once", "SUCCESS"), (3, "soon", "SUCCESS"), (9, "late", "SUCCESS")] == found
    assert [
        (0, "list", "at once late soon"),
        (3, "list", "late soon"),
        (6, "list", "late"),
        (9, "list", "late"),
    ] == transport.seen()


async def test_each_end_is_an_outcome() -> None:
    """Errors are outcomes, with the task where one was seen, and name their id."""
    transport = RecordingTransport()
    for status in ("SUCCESS", "FAILURE", "CANCEL", "MODAL"):
        transport.gateway.add_task(status, [(0, status, "")])
    transport.gateway.add_task("still", WORKING)
    found: dict[str, TaskOutcome] = {}
    async with transport.client() as client:
        ids = ["SUCCESS", "FAILURE", "CANCEL", "MODAL", "still", "unknown"]
        polling = Polling(factor=1.0, jitter=0, stall_timeout=20.0)
        async with client.wait_for_tasks(ids, polling=polling) as outcomes:
            async for outcome in outcomes:
                found[outcome.task_id] = outcome

    assert {
        "SUCCESS": "SUCCESS",
        "FAILURE": "TaskFailedError",
        "CANCEL": "TaskCancelledError",
        "MODAL": "TaskNeedsInputError",
        "still": "TaskStalledError",
        "unknown": "TaskNotFoundError",
    } == {task_id: kind_of(outcome) for task_id, outcome in found.items()}
    errs = {task_id: outcome.error for task_id, outcome in found.items() if outcome.error}
    assert {task_id: task_id for task_id in errs} == {one: e.task_id for one, e in errs.items()}
    assert "FAILURE" == errs["FAILURE"].task.status  # type: ignore[attr-defined]
    assert 1 == errs["FAILURE"].polls  # type: ignore[attr-defined]


async def test_its_tasks_are_listed_together() -> None:
    """It has one poller: a tick is ceil(n / 100) list calls, spread evenly over it."""
    transport, ids = RecordingTransport(), numbered(101)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(3))
    async with transport.client() as client:
        found = await outcomes_of(transport, client, ids)

    assert [0, 1.5, 3, 4.5] == transport.at()
    assert sorted(ids) == sorted(task_id for _, task_id, _ in found)


async def test_a_slow_reader_loses_nothing() -> None:
    """Outcomes wait for their reader, each once; and the asking goes on meanwhile."""
    transport, ids = RecordingTransport(), numbered(8)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(3 * int(task_id)))
    found: list[str] = []
    async with transport.client() as client:
        async with client.wait_for_tasks(ids) as outcomes:
            async for outcome in outcomes:
                found.append(outcome.unwrap().id)
                await transport.sleep(5.0)

    assert ids == found
    assert [3 * tick for tick in range(8)] == transport.at()
    assert 40.0 == transport.gateway.now


async def test_nothing_to_wait_for_is_over_at_once() -> None:
    """No ids, no request, no outcome."""
    transport = RecordingTransport()
    async with transport.client() as client:
        assert [] == await outcomes_of(transport, client, [])
    assert [] == transport.asked


@pytest.mark.parametrize(
    ("task_ids", "options"),
    [
        ("123", {}),
        (b"123", {}),
        (5, {}),
        (["1", ""], {}),
        (["1", 2], {}),
        (["1"], {"timeout": 0}),
        (["1"], {"polling": 3}),
        ([], {"polling": 3}),
        ([], {"timeout": -1}),
    ],
    ids=str,
)
async def test_bad_arguments_are_refused_before_any_request(
    task_ids: Any, options: dict[str, Any]
) -> None:
    """A str instead of a list, a bad id and a bad option are ConfigurationErrors at once."""
    transport = RecordingTransport()
    async with transport.client() as client:
        with pytest.raises(errors.ConfigurationError):
            client.wait_for_tasks(task_ids, **options)
    assert [] == transport.asked


async def test_it_must_be_entered() -> None:
    """Iterating without `async with` is refused with the right way to do it."""
    async with RecordingTransport().client() as client:
        run: Any = client.wait_for_tasks(["1"])
        with pytest.raises(errors.ClientStateError, match="async with"):
            await anext(run)
        await client.aclose()
        with pytest.raises(errors.ClientStateError, match="is closed"):
            async with run:
                pytest.fail("it was entered")


async def test_several_may_run_at_once() -> None:
    """Each has ticks of its own, and ends by itself."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(4))
    found: list[tuple[float, str, str]] = []

    async def run() -> None:
        found.extend(await outcomes_of(transport, client, ["1"]))

    async with transport.client() as client, anyio.create_task_group() as group:
        group.start_soon(run)
        await transport.sleep(1.0)
        group.start_soon(run)

    assert [(4, "1", "SUCCESS"), (6, "1", "SUCCESS")] == found
