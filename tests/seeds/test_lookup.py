"""Many seeds: list first, then a few at once; one outcome for each id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest

from _fake_seed_api import collect
from _fakes import Wire, client_on
from mj_async import AsyncMJClient, Dialect, SeedOutcome, Task, errors
from mj_async._gateway.endpoints import each
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

DONE = [(0, "SUCCESS", "100%")]
BEARER = Dialect(auth="bearer")
CLIENT = AsyncMJClient("sk-key", base_url="https://gateway.test")


async def outcomes_of(client: Any, tasks: Any, **options: Any) -> dict[str, SeedOutcome]:
    """Collect all outcomes, of which each id has one."""
    return await collect(client.image_seeds(tasks, **options))


def verbs(gateway: FakeGateway) -> list[str]:
    """Name what was asked, in order."""
    return [request.target.rpartition("/")[2] for request in gateway.requests]


async def test_only_what_must_be_asked_is_asked() -> None:
    """A listed seed costs nothing; unfinished, failed and unknown tasks no slow call."""
    gateway = FakeGateway("csharp")
    gateway.add_task("asked", DONE, seed="2")
    gateway.add_task("seedless", DONE)
    gateway.add_task("unfinished", [(0, "IN_PROGRESS", "40%")])
    gateway.add_task("failed", [(0, "FAILURE", "")])
    gateway.add_task("cancelled", [(0, "CANCEL", "")])
    async with gateway.client(dialect=Dialect(auth="raw")) as client:
        await outcomes_of(client, ["asked"])  # from now on the list carries that seed
        before = len(gateway.requests)
        found = await outcomes_of(
            client, ["asked", "seedless", "unfinished", "failed", "cancelled", "unknown"]
        )

    assert ["list-by-condition", "image-seed"] == verbs(gateway)[before:]
    assert ("2", "list") == (found["asked"].unwrap().seed, found["asked"].unwrap().source)
    kinds = {task_id: type(outcome.error) for task_id, outcome in found.items()}
    assert {
        "asked": type(None),
        "seedless": errors.SeedUnavailableError,
        "unfinished": errors.SeedUnavailableError,
        "failed": errors.TaskFailedError,
        "cancelled": errors.TaskCancelledError,
        "unknown": errors.TaskNotFoundError,
    } == kinds
    assert "40%" == found["unfinished"].error.task.progress_text  # type: ignore[union-attr]
    assert {"unfinished": False, "failed": True, "unknown": True} == {
        one: found[one].final for one in ("unfinished", "failed", "unknown")
    }


async def test_an_asked_seed_brings_its_task() -> None:
    """The task that was seen in the list comes with the seed."""
    gateway = FakeGateway()
    gateway.add_task("1", DONE, seed="5")
    async with gateway.client() as client:
        seed = (await outcomes_of(client, ["1"]))["1"].unwrap()

    assert ("5", "image-seed", "SUCCESS") == (
        seed.seed,
        seed.source,
        seed.task and seed.task.status,
    )


async def test_ids_are_listed_by_the_hundred() -> None:
    """250 ids cost three list calls and a seed call each."""
    gateway = FakeGateway()
    ids = [f"{number}" for number in range(250)]
    for task_id in ids:
        gateway.add_task(task_id, DONE, seed=task_id)
    async with gateway.client() as client:
        found = await outcomes_of(client, ids, concurrency=16)

    assert {task_id: task_id for task_id in ids} == {
        task_id: outcome.unwrap().seed for task_id, outcome in found.items()
    }
    assert (3, 250) == (
        verbs(gateway).count("list-by-condition"),
        verbs(gateway).count("image-seed"),
    )


async def test_tasks_are_not_listed() -> None:
    """Tasks instead of ids are not listed; they may be mixed with ids."""
    gateway = FakeGateway()
    for task_id in ("1", "2"):
        gateway.add_task(task_id, DONE, seed=f"1{task_id}")
    given: list[str | Task] = [Task("7", seed="0"), Task("1", status="SUCCESS"), "2", Task("8")]
    async with gateway.client() as client:
        found = await outcomes_of(client, given)

    bodies = [json.loads(one.body)["ids"] for one in gateway.requests if one.body]
    assert [["2"]] == bodies
    assert ("0", "11", "12") == tuple(found[one].unwrap().seed for one in ("7", "1", "2"))
    assert isinstance(found["8"].error, errors.SeedUnavailableError)


async def ids_one_by_one() -> AsyncIterator[str]:
    """Give ids asynchronously, one of them twice."""
    for task_id in ("1", "2", "1"):
        await anyio.lowlevel.checkpoint()
        yield task_id


@pytest.mark.parametrize(
    "make",
    [lambda: ["1", "2", "1"], lambda: iter(["1", "2", "1"]), ids_one_by_one, lambda: {"1", "2"}],
    ids=["list", "iterator", "async iterator", "set"],
)
async def test_any_iterable_will_do(make: Any) -> None:
    """Lists, iterators and async iterators are taken; a repeated id is asked once."""
    gateway = FakeGateway()
    for task_id in ("1", "2"):
        gateway.add_task(task_id, DONE, seed=task_id)
    async with gateway.client() as client:
        assert {"1", "2"} == set(await outcomes_of(client, make()))

    assert 2 == verbs(gateway).count("image-seed")


async def test_without_a_list_ids_are_asked_directly() -> None:
    """Where there is no list route, or its answer cannot be read, each id is asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_list = request.method == "POST"
        return (
            httpx.Response(404) if is_list else httpx.Response(200, json={"code": 1, "result": "5"})
        )

    async with client_on(Wire(answer), dialect=BEARER) as client:
        found = await outcomes_of(client, ["1", "2"])

    assert {"1": "5", "2": "5"} == {one: outcome.unwrap().seed for one, outcome in found.items()}


async def test_a_list_that_fails_is_the_error_of_its_ids() -> None:
    """Each id of a failed list call gets its own error, and the others go on."""

    def answer(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content or b'{"ids": []}')["ids"]
        rows = [{"id": one, "status": "SUCCESS", "seed": one} for one in ids]
        return httpx.Response(502) if "0" in ids else httpx.Response(200, json=rows)

    ids = [f"{number}" for number in range(150)]
    async with client_on(Wire(answer), dialect=BEARER) as client:
        found = await outcomes_of(client, ids, max_asks=1)

    failed = {one: outcome.error for one, outcome in found.items() if outcome.error}
    assert set(ids[:100]) == set(failed)
    assert all(error.task_id == one for one, error in failed.items())
    assert all(type(error) is errors.ServerError for error in failed.values())
    assert 50 == sum(outcome.seed is not None for outcome in found.values())


async def test_one_error_harms_no_other_id() -> None:
    """A seed that cannot be had is the error of its id."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            rows = [{"id": one, "status": "SUCCESS"} for one in json.loads(request.content)["ids"]]
            return httpx.Response(200, json=rows)
        bad = "/2/" in request.url.path
        return httpx.Response(500) if bad else httpx.Response(200, json={"code": 1, "result": "5"})

    async with client_on(Wire(answer), dialect=BEARER) as client:
        found = await outcomes_of(client, ["1", "2", "3"], max_asks=1)

    assert {"2"} == {one for one, outcome in found.items() if outcome.error}
    assert isinstance(found["2"].error, errors.ServerError)


async def test_a_documented_answer_without_a_seed_is_an_error_with_the_task() -> None:
    """In bulk, a task without a seed is no seed."""
    gateway = FakeGateway("documented")
    gateway.add_task("1", DONE)
    async with gateway.client() as client:
        outcome = (await outcomes_of(client, ["1"]))["1"]

    assert isinstance(outcome.error, errors.SeedUnavailableError)
    assert outcome.final


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_ends_the_run_after_what_was_received(status: int) -> None:
    """On 401 and 403 all that was read is given, then the error is raised; no more is asked."""
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.method == "POST":
            rows = [{"id": one, "status": "SUCCESS"} for one in json.loads(request.content)["ids"]]
            return httpx.Response(200, json=rows)
        asked += 1
        seed = httpx.Response(200, json={"code": 1, "result": "5"})
        return seed if asked <= 10 else httpx.Response(status)

    received = 0
    async with client_on(Wire(answer), dialect=BEARER) as client:
        async with client.image_seeds([f"{one}" for one in range(80)], concurrency=4) as outcomes:
            with pytest.raises(errors.APIError) as caught:
                async for outcome in outcomes:
                    received += outcome.seed is not None

    assert (status, 10) == (caught.value.status_code, received)
    assert asked <= 14


async def test_a_refused_key_at_the_list_ends_the_run() -> None:
    """The list call may be the first to hear it."""
    async with client_on(Wire(lambda _: httpx.Response(401)), dialect=BEARER) as client:
        with pytest.raises(errors.AuthenticationError):
            await outcomes_of(client, ["1"])


@pytest.mark.parametrize("tasks", ["123", b"1", Task("1"), 5, None], ids=repr)
def test_one_thing_is_not_many(tasks: Any) -> None:
    """A str or a Task instead of an iterable is refused."""
    with pytest.raises(errors.ConfigurationError, match="tasks must be ids or tasks"):
        CLIENT.image_seeds(tasks)


def test_a_bad_id_in_a_list_is_found_before_any_request() -> None:
    """A collection is checked at once."""
    with pytest.raises(errors.ConfigurationError, match="has a slash"):
        CLIENT.image_seeds(["1", "a/b"])


async def test_a_bad_id_in_an_iterator_ends_the_run_at_its_end() -> None:
    """A bad id that comes later is raised after all that was received."""

    def ids() -> Iterator[str]:
        yield from (f"{number}" for number in range(100))
        yield "a/b"

    gateway = FakeGateway()
    async with gateway.client() as client:
        received = 0
        async with client.image_seeds(ids()) as outcomes:
            with pytest.raises(errors.ConfigurationError, match="has a slash"):
                async for _outcome in outcomes:
                    received += 1

    assert 100 == received


async def test_the_callers_own_error_is_not_wrapped() -> None:
    """What the input raises, and what the body raises, comes out as it is."""

    def broken() -> Iterator[str]:
        yield "1"
        raise LookupError("the file is gone")

    gateway = FakeGateway()
    async with gateway.client() as client:
        with pytest.raises(LookupError, match="the file is gone"):
            await outcomes_of(client, broken())
        with pytest.raises(LookupError, match="mine"):
            async with client.image_seeds(["1"]) as outcomes:
                async for _outcome in outcomes:
                    raise LookupError("mine")


async def test_leaving_early_leaves_nothing_behind() -> None:
    """A break cuts the rest off, and the next call works."""
    gateway = FakeGateway()
    for number in range(300):
        gateway.add_task(f"{number}", DONE, seed="5")
    async with gateway.client(max_connections=2) as client:
        async with client.image_seeds([f"{number}" for number in range(300)]) as outcomes:
            async for _outcome in outcomes:
                break
        asked = len(gateway.requests)
        await client.fetch_task("1")

    assert asked + 1 == len(gateway.requests)
    assert asked < 30


async def test_a_slow_consumer_holds_the_run_back() -> None:
    """The run sends no more requests than the queue has room for: they follow the reader."""
    gateway = FakeGateway()
    ids = [f"{number}" for number in range(90)]
    for task_id in ids:
        gateway.add_task(task_id, DONE, seed="5")
    most_ahead = read = 0
    async with gateway.client() as client:
        async with client.image_seeds(ids, concurrency=4) as outcomes:
            async for _outcome in outcomes:
                read += 1
                await gateway.advance(10.0)
                most_ahead = max(most_ahead, len(gateway.requests) - 1 - read)

    assert 90 == read
    assert most_ahead <= 12


async def test_it_must_be_entered() -> None:
    """Iterating without `async with` is refused with the right way to do it."""
    gateway = FakeGateway()
    async with gateway.client() as client:
        run = client.image_seeds(["1"])
        with pytest.raises(errors.ClientStateError, match="async with"):
            await anext(run)  # type: ignore[call-overload]


async def test_a_cancelled_run_is_cancelled() -> None:
    """Cancellation reaches the caller, and no task is left."""
    gateway = FakeGateway()
    gateway.add_task("1", DONE, seed="5")
    async with gateway.client() as client:
        with anyio.CancelScope() as scope:
            async with client.image_seeds(["1"]) as outcomes:
                scope.cancel()
                async for _outcome in outcomes:
                    pytest.fail("a cancelled run goes on")
        assert scope.cancelled_caught
        assert 1 == len(await outcomes_of(client, ["1"]))


async def test_each_does_all_with_so_many_at_once() -> None:
    """Every item is worked on once, and never more than allowed at a time."""
    done: list[int] = []
    running = most = 0

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1
        done.append(item)

    await each(range(20), work, at_once=3)

    assert (list(range(20)), 3) == (sorted(done), most)


async def test_each_raises_the_first_error_alone() -> None:
    """The first error cuts the others off, and is not wrapped into a group."""
    began: list[int] = []

    async def work(item: int) -> None:
        began.append(item)
        if item == 1:
            raise LookupError(item)
        await anyio.sleep_forever()

    with anyio.fail_after(2), pytest.raises(LookupError):
        await each(range(20), work, at_once=3)

    assert 1 in began
    assert len(began) <= 3
