"""Seeds that may be had later: who is asked again, when, and how often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from trio.testing import MockClock

from _fake_seed_api import (
    After,
    FakeSeedAPI,
    collect,
    down,
    later,
    page,
    seed,
    seeds_of,
)
from _fakes import Wire, client_on
from mj_async import Dialect, ImageSeed, RetryPolicy, Task, TaskList, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

DONE = [(0, "SUCCESS", "100%")]
GIVEN = Task("1", status="SUCCESS")


def body(code: int, description: str) -> bytes:
    """Write an answer of image-seed that has no seed."""
    return json.dumps({"code": code, "description": description}).encode()


def gateway_with_one() -> FakeGateway:
    """Make a gateway that knows one finished task."""
    gateway = FakeGateway()
    gateway.add_task("1", DONE, seed="5")
    return gateway


def instants(gateway: FakeGateway) -> list[float]:
    """Return the times of the requests."""
    return [round(request.at, 6) for request in gateway.requests]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(502, b"<html>"), (200, body(9, "超时，未找到 seed messageId"))],
    ids=["failure", "code 9"],
)
async def test_an_id_is_asked_again(status: int, answer: bytes) -> None:
    """After a failure of the gateway, or an answer that it had no luck, 30 s later."""
    gateway = gateway_with_one()
    gateway.fail_next(1, status=status, body=answer)
    async with gateway.client() as client:
        found = await collect(client.image_seeds([GIVEN]))

    assert [0.0, 30.0] == instants(gateway)
    assert "5" == found["1"].unwrap().seed


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, body(3, "未找到 seed"), errors.SeedUnavailableError),
        (404, body(3, "关联任务不存在或已失效"), errors.TaskNotFoundError),
        (200, b'{"id": "2", "status": "SUCCESS"}', errors.UnexpectedAnswerError),
    ],
)
async def test_what_is_final_is_asked_once(status: int, answer: bytes, kind: Any) -> None:
    """Any other answer is the outcome."""
    gateway = gateway_with_one()
    gateway.fail_next(1, status=status, body=answer)
    async with gateway.client(dialect=Dialect(auth="bearer", seed="path")) as client:
        found = await collect(client.image_seeds([GIVEN]))

    assert [0.0] == instants(gateway)
    assert kind is type(found["1"].error)
    assert found["1"].error.task_id == "1"  # type: ignore[union-attr]


async def test_an_unfinished_task_is_not_asked_again_and_not_final() -> None:
    """400 with code 4, where no list has shown the task, says that it is not finished."""
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "IN_PROGRESS", "40%")])
    gateway.fail_next(1, status=404)  # there is no list
    async with gateway.client(dialect=Dialect(auth="bearer")) as client:
        found = await collect(client.image_seeds(["1"]))

    assert [0.0, 0.0] == instants(gateway)
    assert isinstance(found["1"].error, errors.SeedUnavailableError)
    assert (4, False) == (found["1"].error.code, found["1"].final)


async def test_an_error_that_stays_is_the_outcome_with_its_task() -> None:
    """After so many requests an id ends with the last error, which has the task."""
    api = FakeSeedAPI(on_seed=lambda task_id, _: later(task_id))
    found = await api.outcomes_of(["1"])

    assert [0.0, 30.0, 60.0] == api.at("seed")
    error = found["1"].error
    assert isinstance(error, errors.SeedUnavailableError)
    assert ("SUCCESS", False) == (error.task and error.task.status, found["1"].final)


@pytest.mark.parametrize(
    "retry", [RetryPolicy(attempts=9), RetryPolicy(attempts=1, budget=0)], ids=["nine", "one"]
)
async def test_each_request_is_sent_once(retry: RetryPolicy) -> None:
    """The client's RetryPolicy and its budget have no say here."""
    gateway = gateway_with_one()
    gateway.fail_next(2, status=500)
    async with gateway.client(retry=retry) as client:
        found = await collect(client.image_seeds([GIVEN]))

    assert [0.0, 30.0, 60.0] == instants(gateway)
    assert "5" == found["1"].unwrap().seed


async def test_lists_and_seeds_are_counted_apart() -> None:
    """An id has so many list requests, and then as many for its seed."""
    api = FakeSeedAPI(
        on_list=lambda ids, nth: errors.ServerError(status_code=500) if nth < 3 else page(ids),
        on_seed=lambda task_id, nth: later(task_id) if nth < 3 else seed(task_id),
    )
    found = await api.outcomes_of(["1", "2"])

    assert [0.0, 30.0, 60.0] == api.at("list")
    assert [60.0, 90.0, 120.0] == api.at("seed", "1") == api.at("seed", "2")
    assert {"1": "11", "2": "12"} == seeds_of(found)


@pytest.mark.parametrize("max_asks", [1, 2, 5])
async def test_max_asks_and_ask_again_after_are_the_callers(max_asks: int) -> None:
    """Both counts, and the pause, are as they are given."""
    api = FakeSeedAPI(on_seed=lambda task_id, _: later(task_id))
    await api.outcomes_of(["1"], max_asks=max_asks, ask_again_after=7.5)

    assert [7.5 * number for number in range(max_asks)] == api.at("seed")


async def test_a_list_that_fails_for_good_is_the_error_of_each_id() -> None:
    """Its ids travel together, and end with an error of their own each."""
    api = FakeSeedAPI(on_list=lambda _ids, _nth: errors.ServerError(status_code=502))
    found = await api.outcomes_of([str(number) for number in range(150)], concurrency=100)

    assert [0.0, 0.0, 30.0, 30.0, 60.0, 60.0] == api.at("list")
    assert all(outcome.error.task_id == one for one, outcome in found.items())  # type: ignore[union-attr]
    assert 150 == len({id(outcome.error) for outcome in found.values()})


async def test_a_list_that_says_nothing_of_ids_that_exist_is_asked_again() -> None:
    """An empty answer for several ids is checked, and is a failure of the list."""
    gateway = FakeGateway()
    gateway.add_task("1", DONE, seed="5")
    gateway.add_task("2", DONE, seed="6")
    gateway.fail_next(1, status=200, body=b"[]")
    async with gateway.client(dialect=Dialect(auth="bearer", ids="json")) as client:
        found = await collect(client.image_seeds(["1", "2"]))

    verbs = [request.target.rpartition("/")[2] for request in gateway.requests]
    assert ["list-by-condition", "fetch", "list-by-condition", "image-seed", "image-seed"] == verbs
    assert [0.0, 0.0, 30.0, 30.0, 30.0] == instants(gateway)
    assert {"1": "5", "2": "6"} == seeds_of(found)


# --- 429 --------------------------------------------------------------------------------------


def refused(retry_after: float | None = None) -> errors.RateLimitError:
    """Make a 429."""
    return errors.RateLimitError(status_code=429, retry_after=retry_after)


async def test_a_429_does_not_count() -> None:
    """An id that may be asked for once is asked for again after nine 429s."""
    api = FakeSeedAPI(on_seed=lambda task_id, nth: refused() if nth < 10 else seed(task_id))
    found = await api.outcomes_of(["1"], max_asks=1)

    assert [30.0 * number for number in range(10)] == api.at("seed")
    assert {"1": "11"} == seeds_of(found)


@pytest.mark.parametrize("max_asks", [1, 3])
async def test_too_many_429s_are_the_outcome(max_asks: int) -> None:
    """After ten times max_asks 429s, of the list and of the seed, an id ends with one."""
    api = FakeSeedAPI(
        on_list=lambda ids, nth: refused() if nth < 4 else page(ids),
        on_seed=lambda _task_id, _nth: refused(),
    )
    found = await api.outcomes_of(["1"], max_asks=max_asks)

    assert 10 * max_asks == len(api.asked) - 1
    assert isinstance(found["1"].error, errors.RateLimitError)
    assert "1" == found["1"].error.task_id


async def test_a_long_retry_after_is_slept_out() -> None:
    """A 429 above max_retry_after is one like any other: all calls wait, and then go on."""
    gateway = gateway_with_one()
    gateway.add_task("2", DONE, seed="6")
    gateway.fail_next(1, status=429, headers={"retry-after": "1000"})
    tasks = [GIVEN, Task("2", status="SUCCESS")]
    async with gateway.client(retry=RetryPolicy(max_retry_after=120.0)) as client:
        found = await collect(client.image_seeds(tasks, concurrency=1, ask_again_after=1.0))

    first, *others = instants(gateway)
    assert 0.0 == first
    assert len(others) == 2
    assert all(1000.0 <= at <= 1100.0 for at in others)
    assert {"1": "5", "2": "6"} == seeds_of(found)


async def test_a_429_holds_back_every_call_of_the_client() -> None:
    """While the gate is held, no other call of the client is sent either."""
    gateway = gateway_with_one()
    gateway.fail_next(1, status=429, headers={"retry-after": "10"})
    async with gateway.client() as client:
        async with client.image_seeds([GIVEN], ask_again_after=5.0) as outcomes:
            async with anyio.create_task_group() as group:
                await gateway.advance(1.0)
                group.start_soon(client.fetch_task, "1")
                found = [outcome async for outcome in outcomes]

    assert "5" == found[0].unwrap().seed
    assert 0.0 == instants(gateway)[0]
    assert all(10.0 <= at <= 11.0 for at in instants(gateway)[1:])
    assert 3 == len(gateway.requests)


# --- how long ---------------------------------------------------------------------------------


async def test_after_a_time_out_a_seed_is_left_alone_for_longer() -> None:
    """The first request still runs at the gateway: 20 s pass, however short the pause is."""
    timeout = errors.RequestTimeoutError("our own")
    api = FakeSeedAPI(on_seed=lambda task_id, nth: timeout if nth == 1 else seed(task_id))
    await api.outcomes_of([GIVEN], ask_again_after=1.0)

    assert [0.0, 20.0] == api.at("seed")


async def test_after_a_time_out_a_list_is_not() -> None:
    """A list leaves nothing running behind it."""
    timeout = errors.RequestTimeoutError("our own")
    api = FakeSeedAPI(on_list=lambda ids, nth: timeout if nth == 1 else page(ids))
    await api.outcomes_of(["1"], ask_again_after=1.0)

    assert [0.0, 1.0] == api.at("list")


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_no_answer_at_all_is_asked_again() -> None:
    """Connections that fail are tried again, on the wire as anywhere."""
    at: list[float] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        at.append(anyio.current_time())
        if len(at) < 3:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"code": 1, "result": "5"})

    async with client_on(Wire(answer), dialect=Dialect(auth="bearer")) as client:
        found = await collect(client.image_seeds([GIVEN]))

    assert [0.0, 30.0, 60.0] == [round(one - at[0], 6) for one in at]
    assert "5" == found["1"].unwrap().seed


async def test_others_are_asked_meanwhile() -> None:
    """An id whose seed may come later goes to the back, and delays no other id."""
    api = FakeSeedAPI(on_seed=lambda one, nth: later(one) if (one, nth) == ("1", 1) else seed(one))
    async with api.run(["1", "2", "3"], concurrency=1) as outcomes:
        order = [f"{outcome.task_id} at {api.clock.now():g}" async for outcome in outcomes]

    assert ["2 at 0", "3 at 0", "1 at 30"] == order


async def test_at_most_ten_thousand_are_held_at_the_back() -> None:
    """Above that the input waits, until some of them have their outcome."""
    read = 0

    def ids() -> Iterator[str]:
        nonlocal read
        for number in range(10_150):
            read += 1
            yield str(number)

    api = FakeSeedAPI(on_seed=lambda one, nth: later(one) if nth == 1 else seed(one))
    seen: list[int] = []

    async def look() -> None:
        await api.clock.sleep(29.0)
        seen.append(read)

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        found = await api.outcomes_of(ids(), concurrency=100)

    assert [10_000] == seen
    assert 10_150 == len(found) == sum(outcome.seed is not None for outcome in found.values())
    assert 2 * 10_150 == len(api.at("seed"))


# --- how many at once, and without a list -----------------------------------------------------


async def test_so_many_are_asked_at_once() -> None:
    """Never more than `concurrency` requests for seeds are under way, and no fewer."""
    api = FakeSeedAPI(on_seed=lambda task_id, _: After(10.0, seed(task_id)))
    await api.outcomes_of([str(number) for number in range(9)], concurrency=3)

    assert 3 == api.busiest
    assert [0.0] * 3 + [10.0] * 3 + [20.0] * 3 == api.at("seed")


@pytest.mark.parametrize(("concurrency", "second"), [(50, 10.0), (60, 0.0)])
async def test_lists_go_on_while_seeds_are_asked_for(concurrency: int, second: float) -> None:
    """The next hundred are listed as soon as fewer are left than can be asked for at once."""
    api = FakeSeedAPI(on_seed=lambda task_id, _: After(10.0, seed(task_id)))
    await api.outcomes_of([str(number) for number in range(200)], concurrency=concurrency)

    assert [0.0, second] == api.at("list")
    assert [10.0 * (number // concurrency) for number in range(200)] == api.at("seed")


async def test_if_the_list_cannot_be_read_the_seeds_are_asked_for_at_once() -> None:
    """Without a list each id is asked for, and one answer is enough."""
    no_route = errors.UnsupportedError(status_code=404)
    api = FakeSeedAPI(on_list=lambda _ids, _nth: no_route)
    found = await api.outcomes_of(["1", "2"])

    assert ["list", "seed", "seed"] == [verb for _, verb, _ in api.asked]
    assert {"1": "11", "2": "12"} == seeds_of(found)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("FAILURE", errors.TaskFailedError),
        ("CANCEL", errors.TaskCancelledError),
        ("IN_PROGRESS", errors.SeedUnavailableError),
        ("SUCCESS", errors.SeedUnavailableError),
    ],
)
async def test_a_task_without_a_seed_says_why(status: str, kind: Any) -> None:
    """The documented answer is a task; asked directly, it may have failed."""
    task = Task("1", status=status)
    api = FakeSeedAPI(
        on_list=lambda _ids, _nth: errors.UnsupportedError(status_code=404),
        on_seed=lambda one, _nth: ImageSeed(one, None, "documented", task),
    )
    outcome = (await api.outcomes_of(["1"]))["1"]

    assert kind is type(outcome.error)
    assert task == outcome.error.task  # type: ignore[union-attr]
    assert (status != "IN_PROGRESS") is outcome.final


async def test_a_gateway_that_lists_one_is_asked_for_one() -> None:
    """Where a list call may have one id only, each id is listed, and counted, by itself."""
    api = FakeSeedAPI(
        list_size=1,
        on_list=lambda ids, nth: down() if (ids, nth) == (["2"], 1) else page(ids),
    )
    found = await api.outcomes_of(["1", "2", "3"])

    assert ["1", "2", "3", "2"] == [ids for _, verb, ids in api.asked if verb == "list"]
    assert {"1": "11", "2": "12", "3": "13"} == seeds_of(found)


async def test_the_documented_gateway_is_found_out_to_list_one() -> None:
    """After its first answer to many, which is one task, ids are listed one a call."""
    gateway = FakeGateway("documented")
    ids = [str(number) for number in range(103)]
    for task_id in ids:
        gateway.add_task(task_id, DONE, seed=f"1{task_id}")
    async with gateway.client(dialect=Dialect(auth="bearer", ids="multipart")) as client:
        found = await collect(client.image_seeds(ids))
        again = client._gateway.list_size

    assert {one: f"1{one}" for one in ids} == seeds_of(found)
    assert 1 == again
    lists = [one for one in gateway.requests if one.target.endswith("list-by-condition")]
    assert 103 == len(lists)  # the first asks for a hundred, the others for one each


async def test_a_missing_id_is_not_asked_for() -> None:
    """What the list leaves out is not found, and that is final."""
    api = FakeSeedAPI(on_list=lambda ids, _nth: TaskList([], ids))
    found = await api.outcomes_of(["1", "2"])

    assert ["list"] == [verb for _, verb, _ in api.asked]
    assert {errors.TaskNotFoundError} == {type(outcome.error) for outcome in found.values()}
