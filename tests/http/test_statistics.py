"""What a client has done so far: each number counts what its description says, and nothing else."""

from __future__ import annotations

import pickle
from typing import Any

import anyio
import attrs
import httpx
import pytest

from _fakes import Wire, client_on
from _sockets import Connection, RawServer, StallingHandler
from mj_async import AsyncMJClient, Dialect, RetryPolicy, Statistics, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

DONE = [(0, "SUCCESS", "100%")]
LATER = [(0, "IN_PROGRESS", "0%"), (20, "SUCCESS", "100%")]
TASK = b'{"id": "1", "status": "SUCCESS", "progress": "100%"}'
KNOWN = Dialect(auth="bearer", ids="json", seed="path")


def counted(client: AsyncMJClient) -> tuple[int, int, int, int]:
    """Return requests, retries, polls and batches."""
    found = client.statistics()
    return found.requests, found.retries, found.polls, found.batches


async def test_nothing_has_been_done_at_first() -> None:
    """A new client has sent nothing and knows nothing; asking is free at any time."""
    client = FakeGateway().client()
    expected = Statistics(
        requests=0, retries=0, polls=0, batches=0, connections=0, dialect=Dialect()
    )

    assert expected == client.statistics()
    await client.aclose()
    assert expected == client.statistics()


async def test_what_was_given_stays() -> None:
    """The numbers are of one moment: frozen, comparable, and to be sent to another process."""
    gateway = FakeGateway()
    gateway.add_task("1", DONE)
    async with gateway.client() as client:
        before = client.statistics()
        await client.fetch_task("1")

    assert 0 == before.requests
    assert before == pickle.loads(pickle.dumps(before))  # noqa: S301
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        before.requests = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("dialect", "found"),
    [
        ("newapi", KNOWN),
        ("onehub", attrs.evolve(KNOWN, auth="mj-api-secret")),
        ("csharp", attrs.evolve(KNOWN, auth="mj-api-secret")),
        ("documented", Dialect(auth="bearer", ids="multipart", seed="multipart")),
    ],
)
async def test_the_dialect_is_told_as_it_is_found_out(dialect: Any, found: Dialect) -> None:
    """What is not yet known stays "auto"; each call finds out its own part."""
    gateway = FakeGateway(dialect)
    gateway.add_task("1", DONE, seed="5")
    async with gateway.client() as client:
        assert Dialect() == client.statistics().dialect
        await client.fetch_task("1")
        assert Dialect(auth=found.auth) == client.statistics().dialect
        await client.list_tasks(["1"])
        assert attrs.evolve(found, seed="auto") == client.statistics().dialect
        await client.image_seed("1")
        assert found == client.statistics().dialect


async def test_what_was_said_needs_no_finding_out() -> None:
    """A dialect that was given is known before the first request."""
    dialect = Dialect(auth="none", ids="multipart", seed="path")
    async with client_on(Wire(lambda _: httpx.Response(200)), dialect=dialect) as client:
        assert dialect == client.statistics().dialect


async def test_finding_out_is_no_retry() -> None:
    """The requests with other schemes are counted, and are retries of nothing, also in a retry."""
    gateway = FakeGateway("csharp")
    gateway.add_task("1", DONE)
    gateway.fail_next(1, status=502)
    async with gateway.client() as client:
        await client.fetch_task("1")

        assert (3, 1, 0, 0) == counted(client)
    assert 3 == len(gateway.requests)


async def test_each_try_after_the_first_is_a_retry() -> None:
    """Three tries are two retries, whether the last of them fares better or not."""
    async with client_on(Wire(lambda _: httpx.Response(502)), dialect=KNOWN) as client:
        with pytest.raises(errors.ServerError):
            await client.fetch_task("1")

        assert (3, 2, 0, 0) == counted(client)


async def test_a_retry_that_was_not_sent_is_none() -> None:
    """A gate that is held for longer than the call may take sends nothing."""
    slow_down = httpx.Response(429, headers={"retry-after": "60"})
    async with client_on(Wire(lambda _: slow_down), dialect=KNOWN) as client:
        with pytest.raises(errors.RateLimitError):
            await client.fetch_task("1", timeout=30.0)
        with pytest.raises(errors.RateLimitError):
            await client.fetch_task("2", timeout=30.0)

        assert (1, 0, 0, 0) == counted(client)


async def test_a_retry_that_was_cancelled_in_its_sleep_is_none() -> None:
    """What is cut before it begins has not been."""
    busy = httpx.Response(503, headers={"retry-after": "30"})
    async with client_on(Wire(lambda _: busy), dialect=KNOWN) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.fetch_task, "1")
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert (1, 0, 0, 0) == counted(client)


async def test_a_request_that_was_cut_off_is_counted() -> None:
    """A call that is cancelled in the middle has sent its request; its connection is gone."""
    stall = StallingHandler()
    with RawServer(stall) as server:
        async with AsyncMJClient("sk-key", base_url=server.base_url, dialect=KNOWN) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.fetch_task, "1")
                await stall.reach()
                assert 1 == client.statistics().connections
                group.cancel_scope.cancel()

            assert (1, 0, 0, 0) == counted(client)
            assert 0 == client.statistics().connections


async def test_a_request_that_waits_for_a_slot_is_not_yet_one() -> None:
    """What is cancelled in the queue was never sent."""
    stall = StallingHandler()
    with RawServer(stall) as server:
        async with AsyncMJClient(
            "sk-key", base_url=server.base_url, dialect=KNOWN, max_connections=1
        ) as client:
            async with anyio.create_task_group() as group:
                for task_id in ("1", "2", "3"):
                    group.start_soon(client.fetch_task, task_id)
                await stall.reach()
                group.cancel_scope.cancel()

            assert (1, 0, 0, 0) == counted(client)


async def test_connections_are_the_connections_that_are_open() -> None:
    """Two requests at once have two connections, which are kept, reused, and closed at the end."""

    async def script(connection: Connection) -> None:
        while True:
            await connection.read_head()
            await connection.answer(TASK)

    with RawServer(script) as server:
        async with AsyncMJClient("sk-key", base_url=server.base_url, dialect=KNOWN) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.fetch_task, "1")
                group.start_soon(client.fetch_task, "1")
            await client.fetch_task("1")
            assert 2 == client.statistics().connections
        assert 0 == client.statistics().connections


async def test_a_callers_connections_are_its_own() -> None:
    """With an http_client all is counted but its connections."""
    wire = Wire(lambda _: httpx.Response(200, content=TASK))
    async with client_on(wire, dialect=KNOWN) as client:
        await client.fetch_task("1")
        found = client.statistics()

    assert (1, 0) == (found.requests, found.connections)


async def test_what_a_connection_sends_anew_counts_once() -> None:
    """A connection that the server had closed in the meantime costs no retry."""

    async def script(connection: Connection) -> None:
        await connection.read_head()
        await connection.answer(TASK)

    once = RetryPolicy(attempts=1)
    with RawServer(script) as server:
        async with AsyncMJClient(
            "sk-key", base_url=server.base_url, dialect=KNOWN, retry=once
        ) as client:
            await client.fetch_task("1")
            await client.fetch_task("1")

            assert (2, 0, 0, 0) == counted(client)
            assert 1 == client.statistics().connections
    assert 2 == server.connections


async def test_each_question_of_a_wait_is_a_poll() -> None:
    """So are those that fail; none of them is a retry."""
    gateway = FakeGateway()
    gateway.add_task("1", LATER)
    gateway.fail_next(2, status=502)
    async with gateway.client() as client:
        await client.wait_for_task("1")
        requests, *others = counted(client)

    assert len(gateway.requests) == requests
    assert [0, requests, 0] == others


async def test_a_poll_that_finds_out_is_one() -> None:
    """The requests with other schemes belong to the poll that needed them."""
    gateway = FakeGateway("java")
    gateway.add_task("1", DONE)
    async with gateway.client() as client:
        await client.wait_for_task("1")

        assert (2, 0, 1, 0) == counted(client)


async def test_a_list_for_many_waits_is_one_poll() -> None:
    """A poller's polls are its lists, and a batch each."""
    gateway = FakeGateway()
    ids = [f"task-{number}" for number in range(250)]
    for task_id in ids:
        gateway.add_task(task_id, LATER)
    async with gateway.client() as client, client.task_poller() as poller:
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(poller.wait_for_task, task_id)
        requests, retries, polls, batches = counted(client)

    assert len(gateway.requests) == requests
    assert (0, requests, requests) == (retries, polls, batches)


async def test_what_a_run_of_seeds_asks_again_is_no_retry() -> None:
    """It has its own rules; its lists are batches, and asking whether a gateway lives no poll."""
    gateway = FakeGateway(dialect="newapi")
    for task_id in ("1", "2", "3"):
        gateway.add_task(task_id, DONE, seed="5", seed_asks=2)
    gateway.fail_next(1, status=502)
    dialect = attrs.evolve(KNOWN, ids="auto")
    async with gateway.client(dialect=dialect) as client:
        async with client.image_seeds(["1", "2", "3"], concurrency=1) as outcomes:
            async for _ in outcomes:
                pass
        requests, retries, polls, batches = counted(client)

    lists = [one for one in gateway.requests if one.target.endswith("list-by-condition")]
    several = [one for one in lists if one.body.count(b'"') > 4]
    assert len(gateway.requests) == requests
    assert (0, 0) == (retries, polls)
    assert len(several) == batches > 0


async def test_asking_whether_the_gateway_lives_is_no_poll() -> None:
    """Where there is no list, a run of seeds asks so by a fetch."""

    def answer(request: httpx.Request) -> httpx.Response:
        """Have no list, fail once with a seed, and know the task."""
        if request.method == "POST":
            return httpx.Response(404)
        is_seed = request.url.path.endswith("image-seed")
        failed = sum(one.url.path.endswith("image-seed") for one in wire.requests) <= 1
        return httpx.Response(502 if is_seed and failed else 200, content=TASK)

    wire = Wire(answer)
    async with client_on(wire, dialect=KNOWN) as client:
        async with client.image_seeds(["1"], concurrency=1, ask_again_after=0.0) as outcomes:
            async for _ in outcomes:
                pass
        requests, retries, polls, _ = counted(client)

    asked = [one.url.path.rpartition("/")[2] for one in wire.requests]
    assert ["list-by-condition", "image-seed", "fetch", "image-seed"] == asked
    assert (4, 0, 0) == (requests, retries, polls)
