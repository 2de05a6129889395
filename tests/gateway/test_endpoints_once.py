"""The calls that a run of seeds makes: sent once, and held back for as long as it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from _sockets import Connection, RawServer
from mj_async import DOCUMENTED, AsyncMJClient, RetryPolicy, Task, errors
from mj_async._gateway.endpoints import Gateway
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

Call = Callable[[Gateway], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "list": lambda gateway: gateway.list_once(["1", "2"]),
    "seed": lambda gateway: gateway.seed_once("1"),
    "seeds": lambda gateway: gateway.seeds_once(["1", "2"]),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def gateway_of_two() -> FakeGateway:
    """Make a gateway that knows two tasks."""
    gateway = FakeGateway("documented")
    for task_id in ("1", "2"):
        gateway.add_task(task_id, [(0, "SUCCESS", "100%")], seed=f"1{task_id}")
    return gateway


@each_call
async def test_it_is_sent_once(call: Call) -> None:
    """Whatever RetryPolicy says, a failure is raised at once."""
    gateway = gateway_of_two()
    gateway.fail_next(1, status=503)
    async with gateway.client(dialect=DOCUMENTED, retry=RetryPolicy(attempts=9)) as client:
        with pytest.raises(errors.ServerError):
            await call(client._gateway)

    assert 1 == len(gateway.requests)


@each_call
async def test_a_held_gate_is_waited_for(call: Call) -> None:
    """Also where it is held for longer than max_retry_after, for which single calls do not."""
    gateway = gateway_of_two()
    gateway.fail_next(1, status=429, headers={"retry-after": "1000"})
    async with gateway.client(dialect=DOCUMENTED) as client:
        with pytest.raises(errors.RateLimitError):
            await call(client._gateway)
        await call(client._gateway)
        with pytest.raises(errors.RateLimitError) as caught:
            gateway.fail_next(1, status=429, headers={"retry-after": "1000"})
            await client.fetch_task("1")

    assert 1000.0 <= gateway.requests[1].at <= 1100.0
    assert 429 == caught.value.status_code


async def test_what_they_give() -> None:
    """Tasks by id and the missing ones, a seed, and the seeds of tasks."""
    gateway = gateway_of_two()
    async with gateway.client(dialect=DOCUMENTED) as client:
        tasks = await client._gateway.list_once(["2", "9", "1"])
        seed = await client._gateway.seed_once("1")
        seeds = await client._gateway.seeds_once(["2", "9"])

    assert (["2", "1"], ("9",)) == ([task.id for task in tasks], tasks.missing)
    assert ("11", "documented") == (seed.seed, seed.source)
    assert [("2", "12", "documented", "SUCCESS")] == [
        (one.task_id, one.seed, one.source, one.task and one.task.status) for one in seeds
    ]


async def only_seeds_stall(connection: Connection) -> None:
    """Never answer a question for a seed, and answer all others."""
    while True:
        head = await connection.read_head()
        if b"image-seed" in head:
            await connection.stall()
        await connection.answer(b'{"id":"7","status":"IN_PROGRESS"}')


@pytest.mark.parametrize("batch_size", [1, 2])
async def test_seeds_leave_half_of_the_connections(batch_size: int) -> None:
    """However many are asked for at once, other calls go on beside them."""
    given = [Task(str(number), status="SUCCESS") for number in range(20)]
    with RawServer(only_seeds_stall) as server, anyio.fail_after(5):
        async with (
            AsyncMJClient(
                "sk-key", base_url=server.base_url, dialect=DOCUMENTED, max_connections=2
            ) as client,
            client.image_seeds(given, concurrency=8, batch_size=batch_size),
        ):
            await anyio.sleep(0.05)
            task = await client.fetch_task("7")

    assert "7" == task.id
