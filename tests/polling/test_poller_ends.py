"""The end of a poller: closed in any way and from any place, while waits are pending."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import anyio
import pytest

from _many_waits import WORKING, ManyWaits, RecordingTransport, done_at, numbered
from mj_async import AsyncMJClient, Task, TaskPoller, errors

pytestmark = pytest.mark.anyio

Close = Callable[[AsyncMJClient, TaskPoller], Awaitable[None]]


async def close_poller(_client: AsyncMJClient, poller: TaskPoller) -> None:
    """Close it."""
    await poller.aclose()


async def close_client(client: AsyncMJClient, _poller: TaskPoller) -> None:
    """Close the client under it."""
    await client.aclose()


async def leave(_client: AsyncMJClient, poller: TaskPoller) -> None:
    """Leave its `async with`."""
    await poller.__aexit__(None, None, None)


CLOSINGS = [close_poller, close_client, leave]


@pytest.mark.parametrize("close", CLOSINGS, ids=lambda close: close.__name__)
@pytest.mark.parametrize("seconds", [0.0, 10.0], ids=["between calls", "in a call"])
@pytest.mark.parametrize("count", [1, 3, 250])
async def test_closing_ends_all_waits(close: Close, seconds: float, count: int) -> None:
    """Each pending wait ends with ClientStateError at once, and nothing is asked any more."""
    transport, ids = RecordingTransport(seconds=seconds), numbered(count)
    for task_id in ids:
        transport.gateway.add_task(task_id, WORKING)
    client = transport.client()
    poller = client.task_poller()
    waits = ManyWaits(transport, poller)

    async with anyio.create_task_group() as group:
        for task_id in ids:
            group.start_soon(waits.wait, task_id)
        await transport.sleep(4.0)
        await close(client, poller)
    asked = len(transport.asked)
    await transport.gateway.advance(100.0)

    assert dict.fromkeys(ids, "ClientStateError") == waits.kinds()
    assert {4.0} == set(waits.ended_at.values())
    assert asked == len(transport.asked)
    await client.aclose()


async def test_it_may_be_entered_in_one_task_and_closed_in_another() -> None:
    """Frameworks of bots set up in one task, and clean up in another."""
    transport, ids = RecordingTransport(), numbered(3)
    for task_id in ids:
        transport.gateway.add_task(task_id, WORKING)
    client = transport.client()
    poller = client.task_poller()
    waits = ManyWaits(transport, poller)

    async def enter() -> None:
        assert poller is await poller.__aenter__()

    async with anyio.create_task_group() as group:
        group.start_soon(enter)
    async with anyio.create_task_group() as waiting:
        for task_id in ids:
            waiting.start_soon(waits.wait, task_id)
        await transport.sleep(4.0)
        async with anyio.create_task_group() as group:
            group.start_soon(leave, client, poller)

    assert dict.fromkeys(ids, "ClientStateError") == waits.kinds()
    await client.aclose()


@pytest.mark.parametrize("seconds", [0.0, 10.0], ids=["between calls", "in a call"])
async def test_it_may_close_in_the_callback_of_a_wait(seconds: float) -> None:
    """That wait ends after its callback, the others at once."""
    transport = RecordingTransport(seconds=0.0)
    transport.gateway.add_task("1", WORKING)
    transport.gateway.add_task("2", WORKING)
    async with transport.client() as client:
        poller = client.task_poller()
        waits = ManyWaits(transport, poller)

        async def close(_task: Task) -> None:
            transport.seconds = seconds
            await transport.sleep(3.5)
            await poller.aclose()
            await transport.sleep(1.0)

        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1", {"on_update": close})
            group.start_soon(waits.wait, "2")

    assert dict.fromkeys(["1", "2"], "ClientStateError") == waits.kinds()
    assert {"1": 4.5, "2": 3.5} == waits.ended_at


async def test_a_second_close_does_nothing() -> None:
    """`aclose` may be called as often as one likes, also after the client's."""
    transport = RecordingTransport()
    client = transport.client()
    async with client.task_poller() as poller:
        await poller.aclose()
        await poller.aclose()
    await client.aclose()
    await poller.aclose()

    assert () == poller.pending()


@pytest.mark.parametrize("close", CLOSINGS, ids=lambda close: close.__name__)
async def test_a_closed_poller_cannot_be_used(close: Close) -> None:
    """Each use says that it is closed, before anything is asked."""
    transport = RecordingTransport()
    client = transport.client()
    poller = client.task_poller()
    await close(client, poller)

    with pytest.raises(errors.ClientStateError, match="is closed"):
        await poller.wait_for_task("1")
    with pytest.raises(errors.ClientStateError, match="is closed"):
        await anext(poller.watch_task("1"))
    with pytest.raises(errors.ClientStateError, match="is closed"):
        poller.feed({"id": "1", "status": "SUCCESS"})
    with pytest.raises(errors.ClientStateError, match="is closed"):
        async with poller:
            pytest.fail("it was entered")
    assert [] == transport.asked
    await client.aclose()


async def test_it_names_what_was_closed() -> None:
    """The message tells the poller from its client."""
    client = RecordingTransport().client()
    one, other = client.task_poller(), client.task_poller()
    await one.aclose()
    with pytest.raises(errors.ClientStateError, match="this poller is closed"):
        await one.wait_for_task("1")
    await client.aclose()
    with pytest.raises(errors.ClientStateError, match="this client is closed"):
        await other.wait_for_task("1")


async def test_pollers_do_not_end_each_other() -> None:
    """One client may have several; closing one ends its own waits only."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(8))
    async with transport.client() as client:
        one, other = (ManyWaits(transport, client.task_poller()) for _ in range(2))
        async with anyio.create_task_group() as group:
            group.start_soon(one.wait, "1")
            group.start_soon(other.wait, "1")
            await transport.sleep(4.0)
            await one.poller.aclose()

        assert ({"1": "ClientStateError"}, {"1": "SUCCESS"}) == (one.kinds(), other.kinds())
        assert "SUCCESS" == (await client.wait_for_task("1")).status


async def test_closing_keeps_what_was_already_said() -> None:
    """A task that has ended at the same instant is given, not taken back."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(0))
    async with transport.client() as client:
        poller = client.task_poller()
        watch = poller.watch_task("1")

        assert "SUCCESS" == (await anext(watch)).status
        await poller.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


@pytest.mark.parametrize("stop", ["aclose", "cancel"])
async def test_nothing_is_left_behind(stop: str) -> None:
    """After the end there are no waiters, watches and scopes, and no garbage holds a watch."""
    transport, ids = RecordingTransport(seconds=1.0), numbered(250)
    async with transport.client() as client:
        poller = client.task_poller()
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                transport.gateway.add_task(task_id, WORKING)
                group.start_soon(waits.wait, task_id)
            await transport.sleep(4.5)
            if stop == "cancel":
                group.cancel_scope.cancel()
            else:
                await poller.aclose()

        scheduler, lifecycle = poller._scheduler, poller._context.lifecycle
        assert ({}, None) == (poller._waiters.waiting, poller._waiters.leader)
        assert ({}, set()) == (scheduler._watches, scheduler._ids_in_flight)
        assert 0 == scheduler._in_flight
        assert (set(), set()) == (lifecycle.scopes, client._lifecycle.scopes)
        del group, waits
        gc.collect()
        assert 0 == len(poller._registry._first)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_close_has_closed() -> None:
    """Closing does not wait for anything; a cancelled one is done all the same."""
    transport = RecordingTransport()
    async with transport.client() as client:
        poller = client.task_poller()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await poller.aclose()

        assert scope.cancelled_caught
        with pytest.raises(errors.ClientStateError):
            await poller.wait_for_task("1")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_belongs_to_one_event_loop(backend: str) -> None:
    """A second loop is refused, and may close the poller all the same if there are no waits."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", done_at(0))
    client = transport.client()
    poller = client.task_poller()

    async def first() -> None:
        assert "SUCCESS" == (await poller.wait_for_task("1")).status

    async def second() -> None:
        with pytest.raises(errors.ClientStateError, match="this poller was used in another event"):
            await poller.wait_for_task("1")
        with pytest.raises(errors.ClientStateError, match="another event loop"):
            poller.feed({"id": "1", "status": "SUCCESS"})
        with pytest.raises(errors.ClientStateError, match="another event loop"):
            async with poller:
                pytest.fail("it was entered")
        await poller.aclose()
        await client.aclose()

    anyio.run(first, backend=backend)
    with pytest.raises(errors.ClientStateError, match="no event loop runs"):
        poller.feed({"id": "1", "status": "SUCCESS"})
    anyio.run(second, backend=backend)

    assert 1 == len(transport.asked)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_closing_from_another_loop_says_so() -> None:
    """Waits cannot be ended from there; it is closed all the same."""
    transport = RecordingTransport()
    transport.gateway.add_task("1", WORKING)
    async with transport.client() as client:
        poller = client.task_poller()
        waits = ManyWaits(transport, poller)
        async with anyio.create_task_group() as group:
            group.start_soon(waits.wait, "1")
            await transport.sleep(1.0)
            with pytest.raises(errors.ClientStateError, match="in the event loop in which"):
                await anyio.to_thread.run_sync(anyio.run, poller.aclose)
            group.cancel_scope.cancel()

        with pytest.raises(errors.ClientStateError, match="this poller is closed"):
            await poller.wait_for_task("1")
