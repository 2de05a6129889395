"""Fault 37: a client is closed during its calls, twice, or never."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from _connection_faults import drip, fail_each_connection, stall
from _http_server import BEARER, RUNNING, TASK, HTTPServer, RawResponse, client_of, on_asyncio

from _sockets import RawServer
from mj_async import AsyncMJClient, Dialect, Polling, RetryPolicy, Task, errors

pytestmark = pytest.mark.anyio

Call = Callable[[AsyncMJClient], Awaitable[object]]


async def first_of_run(client: AsyncMJClient) -> object:
    """Return the first outcome of a bulk call."""
    async with client.image_seeds(str(number) for number in range(1000)) as run:
        return await anext(run)


CALLS: dict[str, Call] = {
    "fetch": lambda client: client.fetch_task("1"),
    "list": lambda client: client.list_tasks(str(number) for number in range(1000)),
    "seed": lambda client: client.image_seed("1"),
    "wait": lambda client: client.wait_for_task("1"),
    "endless": lambda client: client.wait_for_task("1", timeout=None),
    "watch": lambda client: anext(client.watch_task("1")),
    "run": first_of_run,
}
each_call = pytest.mark.parametrize("name", CALLS)


async def close_during(client: AsyncMJClient, *calls: Call, after: float = 0.1) -> None:
    """Close the client during the calls, and check that each raises ClientStateError at once."""
    ended: list[errors.MJError] = []

    async def use(call: Call) -> None:
        with pytest.raises(errors.MJError) as caught:
            await call(client)
        ended.append(caught.value)

    with anyio.fail_after(after + 2):
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(use, call)
            await anyio.sleep(after)
            assert [] == ended
            started = anyio.current_time()
            await client.aclose()

    assert anyio.current_time() - started < 0.5
    assert [errors.ClientStateError] * len(calls) == [type(error) for error in ended]
    assert all("closed" in str(error) for error in ended)


@each_call
@pytest.mark.parametrize("handler", [stall, fail_each_connection(drip)], ids=["stall", "drip"])
async def test_fault_37_closing_ends_calls_at_once(name: str, handler: Any) -> None:
    """A call in flight ends at once when the client is closed, with a clear error."""
    with RawServer(handler) as server:
        await close_during(client_of(server), CALLS[name])


async def test_fault_37_closing_ends_calls_in_the_queue() -> None:
    """Calls that wait for a slot, or for the key's header, end when the client is closed."""
    with RawServer(stall) as server:
        for dialect in (BEARER, Dialect()):
            client = client_of(server, max_connections=1, dialect=dialect)
            await close_during(client, *list(CALLS.values()) * 5)


@pytest.mark.parametrize("status", [503, 429])
async def test_fault_37_closing_ends_the_sleep_before_a_retry(status: int) -> None:
    """Calls that sleep before a retry, or after a 429, end when the client is closed."""
    with HTTPServer(RawResponse(b"busy", status, b"Retry-After: 60\r\n")) as server:
        client = client_of(server, retry=RetryPolicy())
        calls = (
            lambda client: client.fetch_task("1", timeout=None),
            lambda client: client.image_seed("1"),
            lambda client: client.wait_for_task("1"),
        )
        await close_during(client, *calls)


async def test_fault_37_closing_ends_a_wait_that_sleeps() -> None:
    """A wait between two polls ends when the client is closed."""
    with HTTPServer(RawResponse(RUNNING)) as server:
        client = client_of(server)
        await close_during(client, lambda client: client.wait_for_task("1"))

    assert 1 == len(server.seen)


async def test_fault_37_closing_ends_the_wait_for_a_picture() -> None:
    """A wait for the picture of a finished task returns the task when the client is closed."""
    with HTTPServer(RawResponse(b'{"id":"1","status":"SUCCESS"}')) as server:
        client = client_of(server)
        result: list[Task] = []

        async def wait() -> None:
            result.append(await client.wait_for_task("1"))

        with anyio.fail_after(1):
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await anyio.sleep(0.1)
                await client.aclose()

    assert ["SUCCESS"] == [task.status for task in result]


async def test_fault_37_a_wait_sees_that_its_callback_closed_the_client() -> None:
    """If a callback closes the client, the wait ends when the callback has ended."""
    with HTTPServer(RawResponse(RUNNING)) as server:
        client = client_of(server)
        with anyio.fail_after(1), pytest.raises(errors.ClientStateError, match="closed"):
            await client.wait_for_task("1", on_update=lambda _: client.aclose())


async def test_fault_37_an_iteration_sees_that_the_client_was_closed() -> None:
    """An iteration over a task's changes ends when the client is closed between two of them."""
    with HTTPServer(RawResponse(RUNNING)) as server:
        client = client_of(server)
        watch = client.watch_task("1", polling=Polling(interval=60.0))
        await anext(watch)
        await client.aclose()
        with anyio.fail_after(1), pytest.raises(errors.ClientStateError, match="closed"):
            await anext(watch)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


async def test_fault_37_closing_twice_is_nothing() -> None:
    """A second close does nothing, also during the first one, before and after use."""
    with HTTPServer(RawResponse(TASK)) as server:
        for calls in (0, 1, 5):
            client = client_of(server)
            async with anyio.create_task_group() as group:
                for _ in range(calls):
                    group.start_soon(client.fetch_task, "1")
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(client.aclose)
            async with anyio.create_task_group() as group:
                group.start_soon(client.aclose)

            await client.aclose()


@on_asyncio
@each_call
async def test_fault_37_use_after_close_is_refused(name: str) -> None:
    """Every call of a closed client raises ClientStateError at once, and sends nothing."""
    with HTTPServer(RawResponse(TASK)) as server:
        async with client_of(server) as client:
            pass
        with pytest.raises(errors.ClientStateError, match="closed"):
            await CALLS[name](client)
        with pytest.raises(RuntimeError, match="closed"):
            await client.__aenter__()

    assert 0 == server.connections


async def test_fault_37_a_callers_client_survives_closing() -> None:
    """Closing ends the calls, and the caller's http_client stays open."""
    with RawServer(stall) as server:
        async with httpx.AsyncClient() as http_client:
            client = client_of(server, http_client=http_client)
            await close_during(client, CALLS["fetch"], CALLS["wait"])

            assert not http_client.is_closed


async def test_fault_37_a_caller_may_cancel_while_it_is_closed() -> None:
    """If a call is cancelled and its client closed at the same time, the cancellation counts."""
    with RawServer(stall) as server:
        client = client_of(server)
        with anyio.move_on_after(1) as outer:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(client.fetch_task, "1")
                    await anyio.sleep(0.05)
                    scope.cancel()
                    with anyio.CancelScope(shield=True):
                        await client.aclose()

    assert scope.cancelled_caught
    assert not outer.cancelled_caught
