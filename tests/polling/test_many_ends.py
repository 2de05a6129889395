"""The end of a run of waits: its deadline, a `break`, a cancellation, a client that closes."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from _many_waits import WORKING, RecordingTransport, done_at, kind_of, numbered, outcomes_of
from mj_async import TaskOutcome, errors

pytestmark = pytest.mark.anyio


async def test_the_deadline_is_for_all() -> None:
    """Each that is pending then gets a WaitTimeoutError with its last task; a call is cut."""
    transport = RecordingTransport(seconds=4.0)
    transport.gateway.add_task("1", WORKING)
    transport.gateway.add_task("done", done_at(0))
    async with transport.client() as client:
        async with client.wait_for_tasks(["1", "unknown", "done"], timeout=10.0) as outcomes:
            found = [outcome async for outcome in outcomes]
            assert 10.0 == transport.gateway.now

    by_id = {outcome.task_id: outcome for outcome in found}
    assert "done" == found[0].task_id
    assert {"1": "WaitTimeoutError", "unknown": "WaitTimeoutError", "done": "SUCCESS"} == {
        task_id: kind_of(outcome) for task_id, outcome in by_id.items()
    }
    error: Any = by_id["1"].error
    assert ("40%", 10.0) == (error.task.progress_text, error.elapsed)
    assert by_id["unknown"].error.task is None  # type: ignore[union-attr]
    assert 2 == transport.cancelled


async def test_a_success_that_lacks_its_picture_is_one_at_the_deadline() -> None:
    """Where there is no time for a second look, the first one counts."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", [(0, "SUCCESS", "100%")], image_url="")
    async with transport.client() as client:
        assert [(2, "1", "SUCCESS")] == await outcomes_of(transport, client, ["1"], timeout=2.0)


async def test_leaving_early_leaves_nothing_behind() -> None:
    """A `break` cuts the requests in flight, and no request follows."""
    transport, ids = RecordingTransport(seconds=1.0), numbered(150)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0 if task_id == "0" else 100))
    async with transport.client() as client:
        async with client.wait_for_tasks(ids) as outcomes:
            async for outcome in outcomes:
                assert "0" == outcome.task_id
                break
            await transport.sleep(0.6)
        asked = len(transport.asked)
        await transport.gateway.advance(100.0)

        with pytest.raises(errors.ClientStateError):
            await anext(outcomes)
        assert set() == client._lifecycle.scopes
    assert (asked, 1) == (len(transport.asked), transport.cancelled)


async def test_what_the_body_raises_is_raised_as_it_is() -> None:
    """An error in the body is not wrapped into a group."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(0))
    async with transport.client() as client:
        with pytest.raises(LookupError, match="mine"):
            async with client.wait_for_tasks(["1"]) as outcomes:
                async for _outcome in outcomes:
                    raise LookupError("mine")


async def test_a_cancelled_run_is_cancelled() -> None:
    """Cancellation reaches the caller, and the client may be used afterwards."""
    transport = RecordingTransport(seconds=1.0)
    transport.gateway.add_task("1", done_at(5))
    async with transport.client() as client:
        with transport.gateway._clock.move_on_at(3.5) as scope:
            await outcomes_of(transport, client, ["1"])
        assert scope.cancelled_caught
        assert [(7.5, "1", "SUCCESS")] == await outcomes_of(transport, client, ["1"])


async def test_a_refused_key_is_everybodys_outcome() -> None:
    """A 401 ends all at once, each with an error of its own."""
    transport, ids = RecordingTransport(override=lambda _: httpx.Response(401)), numbered(150)
    found: list[TaskOutcome] = []
    async with transport.client() as client:
        async with client.wait_for_tasks(ids) as outcomes:
            found = [outcome async for outcome in outcomes]

    assert ({"AuthenticationError"}, 1) == (set(map(kind_of, found)), len(transport.asked))
    assert {(one, one) for one in ids} == {
        (outcome.task_id, outcome.error and outcome.error.task_id) for outcome in found
    }


async def test_closing_the_client_ends_it() -> None:
    """Each that is pending then is a ClientStateError, and the iteration ends."""
    transport, ids = RecordingTransport(seconds=1.0), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(0 if task_id == "1" else 50))
    client = transport.client()

    async def close() -> None:
        await transport.sleep(4.5)
        await client.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        found = await outcomes_of(transport, client, ids)

    assert [
        (1, "1", "SUCCESS"),
        (4.5, "0", "ClientStateError"),
        (4.5, "2", "ClientStateError"),
    ] == sorted(found)


async def test_an_error_of_a_closed_client_has_the_id_of_its_outcome() -> None:
    """ClientStateError comes without an id: the outcome sets it."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, done_at(50))
    found: dict[str, TaskOutcome] = {}
    client = transport.client()
    async with client.wait_for_tasks(ids) as outcomes:
        await transport.sleep(4.5)
        await client.aclose()
        async for outcome in outcomes:
            found[outcome.task_id] = outcome

    assert set(ids) == {outcome.error and outcome.error.task_id for outcome in found.values()}
    assert {"ClientStateError"} == set(map(kind_of, found.values()))
