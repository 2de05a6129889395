"""Faults 45 and 46: in the caller's cancel scopes, and with the caller's callbacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio
from _http_server import (
    RUNNING,
    TASK,
    HTTPServer,
    RawResponse,
    ReceivedRequest,
    client_of,
    on_asyncio,
)

from _sockets import Connection, RawServer
from mj_async import AsyncMJClient, Polling, Task, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

Call = Callable[[AsyncMJClient], Any]
CALLS: dict[str, Call] = {
    "fetch": lambda client: client.fetch_task("1"),
    "list": lambda client: client.list_tasks(str(number) for number in range(1000)),
    "seed": lambda client: client.image_seed("1"),
    "wait": lambda client: client.wait_for_task("1"),
    "watch": lambda client: anext(client.watch_task("1")),
}
each_call = pytest.mark.parametrize("name", CALLS)
on_trio = pytest.mark.parametrize("anyio_backend", ["trio"])


async def first_stalls(connection: Connection) -> None:
    """Stall every request, but for that of the task `after`, which is answered."""
    while True:
        head = await connection.read_head()
        if b"/after/" in head:
            await connection.answer(TASK.replace(b'"1"', b'"after"'))
        else:
            await connection.stall()


@each_call
async def test_fault_45_no_call_raises_a_group(name: str) -> None:
    """A call raises one MJError, and never an exception group."""
    with HTTPServer(RawResponse(b"no", 403)) as server:
        async with client_of(server) as client:
            with pytest.raises(errors.PermissionDeniedError) as caught:
                await CALLS[name](client)

    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


async def test_fault_45_a_bulk_run_raises_no_group() -> None:
    """A bulk call raises one MJError, too."""
    with HTTPServer(RawResponse(b"no", 403)) as server:
        async with client_of(server) as client:
            async with client.image_seeds(str(number) for number in range(1000)) as run:
                with pytest.raises(errors.PermissionDeniedError):
                    await anext(run)


@on_asyncio
@each_call
async def test_fault_45_asyncio_timeout_passes_through(name: str) -> None:
    """asyncio.timeout cuts a call, even if the caller catches Exception inside."""
    caught: list[Exception] = []
    with RawServer(first_stalls) as server:
        async with client_of(server, max_connections=4) as client:
            for _ in range(6):  # more often than there are slots
                with pytest.raises(TimeoutError) as ended:
                    async with asyncio.timeout(0.05):
                        try:
                            await CALLS[name](client)
                        except Exception as error:  # noqa: BLE001  # as hosts do
                            caught.append(error)

                assert type(ended.value) is TimeoutError

            assert "after" == (await client.fetch_task("after")).id

    assert [] == caught


@on_asyncio
async def test_fault_45_a_sleeping_wait_is_cut_too() -> None:
    """wait_for and cancel end a wait between two polls."""
    with HTTPServer(RawResponse(RUNNING)) as server:
        async with client_of(server) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.wait_for_task("1"), 0.1)
            task = asyncio.create_task(client.wait_for_task("1"))
            await asyncio.sleep(0.1)
            task.cancel("host")
            with pytest.raises(asyncio.CancelledError):
                await task

    assert task.cancelled()
    assert 2 == len(server.seen)


@on_asyncio
async def test_fault_45_a_task_group_gets_the_bare_error() -> None:
    """In a TaskGroup an error cancels the siblings, and the group holds that error only."""

    async def handler(connection: Connection) -> None:
        head = await connection.read_head()
        if b"/bad/" in head:
            await connection.answer(b"no", b"HTTP/1.1 403 X\r\n")
        await connection.stall()

    with RawServer(handler) as server:
        async with client_of(server) as client:
            with pytest.raises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as group:
                    siblings = [group.create_task(client.fetch_task("1")) for _ in range(5)]
                    siblings.append(group.create_task(client.wait_for_task("1")))
                    group.create_task(client.fetch_task("bad"))

    assert [errors.PermissionDeniedError] == [type(error) for error in caught.value.exceptions]
    assert all(sibling.cancelled() for sibling in siblings)


@on_trio
@each_call
async def test_fault_45_a_trio_host_may_cut(name: str) -> None:
    """A cancel scope of trio ends a call, and the client still works."""
    with RawServer(first_stalls) as server:
        async with client_of(server, max_connections=4) as client:
            for _ in range(6):
                with trio.move_on_after(0.05) as scope:
                    await CALLS[name](client)

                assert scope.cancelled_caught

            assert "after" == (await client.fetch_task("after")).id


@on_trio
async def test_fault_45_a_nursery_gets_the_bare_error() -> None:
    """In a nursery the group holds the MJError only, and no inner group."""
    with HTTPServer(RawResponse(b"no", 403)) as server:
        async with client_of(server) as client:
            with pytest.raises(ExceptionGroup) as caught:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.list_tasks, [str(number) for number in range(1000)])

    assert [errors.PermissionDeniedError] == [type(error) for error in caught.value.exceptions]


async def test_fault_45_a_body_raises_its_own_error() -> None:
    """An error in the body of a bulk call is raised as it is, and ends the call."""
    with HTTPServer(RawResponse(b'{"code":1,"result":"5"}')) as server:
        async with client_of(server) as client:
            with pytest.raises(ZeroDivisionError) as caught:
                async with client.image_seeds([Task("1"), Task("2"), Task("3")]) as run:
                    async for _ in run:
                        raise ZeroDivisionError

    assert not isinstance(caught.value, BaseExceptionGroup)


class HostError(Exception):
    """An error that the caller defines."""


def gateway() -> FakeGateway:
    """Build a gateway with a task that runs for 50 seconds."""
    made = FakeGateway()
    timeline = [(0.0, "SUBMITTED", "0%")]
    timeline += [(float(age), "IN_PROGRESS", f"{age}%") for age in range(2, 50, 2)]
    made.add_task("1", [*timeline, (50.0, "SUCCESS", "100%")], imageUrl="https://cdn.example/1.png")
    return made


@pytest.mark.parametrize(
    "error", [HostError(), errors.TransportError("mine"), TimeoutError(), StopAsyncIteration()]
)  # fmt: skip
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "coroutine"])
async def test_fault_46_what_a_callback_raises_reaches_the_caller(
    error: Exception, *, plain: bool
) -> None:
    """An error of on_update ends the wait and is raised as it is; no request follows."""
    fake = gateway()
    calls: list[str | None] = []

    def raising(task: Task) -> None:
        calls.append(task.progress_text)
        raise error

    async def raising_later(task: Task) -> None:
        await anyio.lowlevel.checkpoint()
        raising(task)

    async with fake.client() as client:
        with pytest.raises(type(error)) as caught:
            await client.wait_for_task("1", on_update=raising if plain else raising_later)
        sent = len(fake.requests)
        await fake.advance(100)

    if not isinstance(error, StopAsyncIteration):
        assert error is caught.value
    assert (["0%"], 1, 1) == (calls, sent, len(fake.requests))


async def test_fault_46_a_slow_callback_skips_to_the_newest() -> None:
    """While a callback runs, only the newest change is kept; two callbacks never overlap."""
    fake = gateway()
    seen: list[tuple[float, int | None]] = []
    running = 0

    async with fake.client(polling=Polling(interval=3, factor=1, jitter=0)) as client:

        async def slow(task: Task) -> None:
            nonlocal running
            running += 1
            seen.append((fake.now, task.progress))
            assert 1 == running
            await fake._clock.sleep(20.0)
            running -= 1

        task = await client.wait_for_task("1", on_update=slow)

    assert [(0.0, 0), (20.0, 20), (40.0, 40), (60.0, 100)] == seen
    assert ("SUCCESS", 4) == (task.status, len(fake.requests))


async def test_fault_46_the_deadline_does_not_cut_a_callback() -> None:
    """The timeout does not cut a callback; the wait times out when the callback has ended."""
    fake = gateway()
    ended: list[float] = []

    async with fake.client() as client:

        async def slow(_task: Task) -> None:
            await fake._clock.sleep(100.0)
            ended.append(fake.now)

        with pytest.raises(errors.WaitTimeoutError) as caught:
            await client.wait_for_task("1", timeout=10, on_update=slow)

    assert [100.0] == ended
    assert (1, 1) == (caught.value.polls, len(fake.requests))
    assert caught.value.task is not None


async def test_fault_46_a_final_task_is_returned_though_its_callback_was_late() -> None:
    """The final task is returned, even if its callback ends after the timeout."""
    fake = FakeGateway()
    fake.add_task("1", [(0, "SUCCESS", "100%")], imageUrl="https://cdn.example/1.png")

    async with fake.client() as client:
        task = await client.wait_for_task(
            "1", timeout=10, on_update=lambda _: fake._clock.sleep(100.0)
        )

    assert "SUCCESS" == task.status


@on_asyncio
async def test_fault_46_a_callback_that_blocks_only_delays() -> None:
    """A callback that blocks the event loop delays the wait, and nothing else."""
    bodies = iter([RUNNING, TASK])

    def answer(_request: ReceivedRequest) -> RawResponse:
        return RawResponse(next(bodies))

    with HTTPServer(answer) as server:
        async with client_of(server, request_timeout=0.2) as client:
            polling = Polling(interval=0.05, jitter=0)
            task = await client.wait_for_task(
                "1", polling=polling, on_update=lambda _: time.sleep(0.5)
            )

    assert ("SUCCESS", 2) == (task.status, len(server.seen))


async def test_fault_46_a_callback_may_use_the_client() -> None:
    """A callback may call the same client, even if the client has one slot."""
    fake = gateway()
    fetched: list[Task] = []

    async with fake.client(max_connections=1) as client:

        async def fetch(task: Task) -> None:
            fetched.append(await client.fetch_task(task.id))

        await client.wait_for_task("1", on_update=fetch)

    assert fetched
    assert "SUCCESS" == fetched[-1].status
