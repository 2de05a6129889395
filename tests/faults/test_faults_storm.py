"""Faults 22 and 23: many 503 cause few retries, and a refused key ends a bulk call."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress

import anyio
import pytest
from _http_server import BEARER, KEY, HTTPServer, RawResponse, ReceivedRequest, client_of, id_of

from mj_async import AsyncMJClient, Dialect, RetryPolicy, SeedOutcome, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

CALLS = 1000
BUSY = RawResponse(b"busy", 503)
REFUSED = {401: errors.AuthenticationError, 403: errors.PermissionDeniedError}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("dialect", [Dialect(), BEARER], ids=["auto", "bearer"])
@pytest.mark.parametrize(("budget", "retries"), [(100, 100), (0, 0)])
async def test_fault_22_a_storm_costs_no_more_than_the_budget(
    budget: float, retries: int, dialect: Dialect
) -> None:
    """A thousand failing calls send a thousand requests, and retries up to the budget."""
    failures: list[errors.MJError] = []
    policy = RetryPolicy(first_delay=0.0, budget=budget)

    async def ask(client: AsyncMJClient) -> None:
        try:
            await client.fetch_task("1")
        except errors.MJError as error:
            failures.append(error)

    with HTTPServer(BUSY) as server:
        async with client_of(server, retry=policy, dialect=dialect) as client:
            async with anyio.create_task_group() as group:
                for _ in range(CALLS):
                    group.start_soon(ask, client)

    assert CALLS == len(failures)
    assert {errors.ServerError} == set(map(type, failures))
    assert CALLS <= len(server.seen) <= CALLS + retries


async def test_fault_22_successes_give_the_budget_back() -> None:
    """A retry costs 1 of the budget, and five successes return it, up to the maximum."""
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")])

    async def requests_of_a_failure() -> int:
        before = len(gateway.requests)
        gateway.fail_next(1, 503)
        with suppress(errors.ServerError):
            await client.fetch_task("1")
        return len(gateway.requests) - before

    async with gateway.client(retry=RetryPolicy(budget=1)) as client:
        for _ in range(20):  # it is full and stays so
            await client.fetch_task("1")
        full = await requests_of_a_failure()  # whose retry succeeds, which gives 0.2
        spent = await requests_of_a_failure()
        for _ in range(4):
            await client.fetch_task("1")
        again = await requests_of_a_failure()

    assert (2, 1, 2) == (full, spent, again)


def bulk_answers(refuse_after: int, status: int) -> tuple[HTTPServer, list[int]]:
    """Build a gateway that lists finished tasks, and refuses the key after so many seeds."""
    count = itertools.count(1)
    refused: list[int] = []

    def answer(request: ReceivedRequest) -> RawResponse:
        if request.line.startswith(b"POST"):
            rows = [{"id": one, "status": "SUCCESS"} for one in json.loads(request.body)["ids"]]
            return RawResponse(json.dumps(rows).encode())
        if next(count) <= refuse_after:
            return RawResponse(json.dumps({"code": 1, "result": id_of(request.target)}).encode())
        refused.append(1)
        return RawResponse(b'{"error":{"message":"quota"}}', status)

    return HTTPServer(answer), refused


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("dialect", [Dialect(), BEARER], ids=["auto", "bearer"])
async def test_fault_23_a_refused_key_ends_a_run_of_seeds(status: int, dialect: Dialect) -> None:
    """After a 401 or 403 no request is sent, and the outcomes so far are delivered."""
    server, refused = bulk_answers(20, status)
    outcomes: list[SeedOutcome] = []
    ids = [str(number) for number in range(1000, 1500)]

    with server:
        async with client_of(server, dialect=dialect) as client:
            async with client.image_seeds(ids, concurrency=4) as run:
                with pytest.raises(REFUSED[status]) as caught:
                    async for outcome in run:
                        outcomes.append(outcome)  # noqa: PERF401  # it raises at its end
            await anyio.sleep(0.1)  # in which nothing more is to come

    seeds = [one for one in outcomes if one.seed is not None]
    assert (20, 20) == (len(seeds), len(outcomes))
    assert all(one.seed is not None and one.seed.seed == one.task_id for one in seeds)
    assert 1 <= len(refused) <= 4
    assert sum(request.line.startswith(b"GET") for request in server.seen) <= 24
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", REFUSED)
async def test_fault_23_a_refused_key_ends_a_long_list(status: int) -> None:
    """A list call ends at the refused batch, and the error has the tasks so far."""
    count = itertools.count(1)

    def answer(request: ReceivedRequest) -> RawResponse:
        if next(count) > 6:
            return RawResponse(b'{"error":{"message":"quota"}}', status)
        rows = [{"id": one, "status": "SUCCESS"} for one in json.loads(request.body)["ids"]]
        return RawResponse(json.dumps(rows).encode())

    with HTTPServer(answer) as server:
        async with client_of(server) as client:
            with pytest.raises(REFUSED[status]) as caught:
                await client.list_tasks(str(number) for number in range(5000))

    partial = caught.value.partial
    assert partial is not None
    assert 300 <= len(partial) <= 600  # those in flight beside the refused one are cut
    assert 0 == len(partial) % 100
    assert () == partial.missing
    assert len(server.seen) <= 10


async def test_fault_23_nothing_is_tried_again_with_a_refused_key() -> None:
    """After a first success a 401 is final: one request, and no other header."""
    with HTTPServer(
        lambda request: RawResponse(b"{}", 401) if len(server.seen) > 1 else RawResponse()
    ) as server:
        async with client_of(server, dialect=Dialect()) as client:
            await client.fetch_task("1")
            with pytest.raises(errors.AuthenticationError):
                await client.fetch_task("1")

    assert [f"Bearer {KEY}"] * 2 == [request.headers["authorization"] for request in server.seen]
