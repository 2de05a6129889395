"""Several seeds in one request, in the documented form: matched by id, the others asked singly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from _fake_seed_api import FakeSeedAPI, collect, down, later, seed, seeds_of
from _fakes import Wire, client_on
from mj_async import DOCUMENTED, Dialect, ImageSeed, Task, errors
from mj_async.testing import FakeGateway
from mj_async.testing._models import FakeRequest
from mj_async.testing._responder import read_form

pytestmark = pytest.mark.anyio

IDS = ["1", "2", "3", "4", "5"]
GIVEN = [Task(task_id, status="SUCCESS") for task_id in IDS]
SEEDS = {task_id: f"1{task_id}" for task_id in IDS}


def row(task_id: str, **fields: Any) -> dict[str, Any]:
    """Write a task with its seed, as in the documents."""
    return {"id": task_id, "status": "SUCCESS", "seed": f"1{task_id}", **fields}


def ids_of(request: httpx.Request) -> list[str]:
    """Read the field `ids` as the fake gateway does."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    seen = FakeRequest(request.method, request.url.path, headers, request.content, 0.0)
    return read_form(seen)


async def ask(
    answer: Callable[[list[str]], Any], status: Callable[[list[str]], int] = lambda _: 200
) -> tuple[list[list[str]], dict[str, Any]]:
    """Ask for five seeds three at a time; give the ids of each request, and the outcomes."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert ("GET", b"/mj/task//image-seed") == (request.method, request.url.raw_path)
        ids = ids_of(request)
        return httpx.Response(status(ids), json=answer(ids))

    wire = Wire(handle)
    async with client_on(wire, dialect=DOCUMENTED) as client:
        run = client.image_seeds(GIVEN, concurrency=1, batch_size=3, ask_again_after=0.0)
        found = await collect(run)
    return [ids_of(request) for request in wire.requests], found


async def test_so_many_ids_are_asked_for_in_one_request() -> None:
    """Five ids by threes are two requests, each with its ids in the order given."""
    requests, found = await ask(lambda ids: [row(one) for one in reversed(ids)])

    assert [["1", "2", "3"], ["4", "5"]] == requests
    assert SEEDS == seeds_of(found)
    assert {"documented"} == {outcome.unwrap().source for outcome in found.values()}
    assert {"SUCCESS"} == {outcome.unwrap().task.status for outcome in found.values()}


@pytest.mark.parametrize(
    "answer",
    [
        lambda ids: [row(ids[0])],
        lambda ids: row(ids[0]),
        lambda ids: [row(ids[0]), row("999"), row("888")],
        lambda ids: [row(ids[0], seed=None), row(ids[0])],
        lambda ids: [row(ids[0]), row(ids[0], seed=None)],
        lambda ids: [{"id": ids[0], "seed": int(f"1{ids[0]}")}],
    ],
    ids=["array", "one", "others", "twice", "twice over", "bare"],
)
async def test_ids_without_an_answer_are_asked_alone(answer: Any) -> None:
    """Answers are matched by id, in whatever shape they come, and what is foreign is refused."""
    requests, found = await ask(lambda ids: answer(ids) if len(ids) > 1 else row(ids[0]))

    assert [["1", "2", "3"], ["4", "5"], ["2"], ["3"], ["5"]] == requests
    assert SEEDS == seeds_of(found)


@pytest.mark.parametrize(
    "answer",
    [
        lambda ids: [row(ids[0])],
        lambda ids: row(ids[0]),
        lambda ids: {"code": 1, "description": "成功", "result": [row(ids[0])]},
        lambda ids: {"code": 1, "data": row(ids[0])},
    ],
    ids=["array", "one", "envelope", "envelope of one"],
)
async def test_one_may_be_answered_in_the_shape_of_many(answer: Any) -> None:
    """A gateway that answers many by an array, or in an envelope, answers one so, too."""
    _, found = await ask(answer)

    assert SEEDS == seeds_of(found)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"code": 1, "result": "636646138"}),
        (200, {"code": 3, "description": "未找到 seed"}),
        (400, {"error": "too many ids"}),
        (200, []),
        (200, ["1", "2"]),
    ],
    ids=str,
)
async def test_an_answer_without_ids_is_for_none_of_them(status: int, answer: Any) -> None:
    """After a seed without an id, or a refusal of all, each id is asked alone, at once."""
    requests, found = await ask(
        lambda ids: answer if len(ids) > 1 else row(ids[0]),
        lambda ids: status if len(ids) > 1 else 200,
    )

    assert [["1", "2", "3"], ["4", "5"], ["1"], ["2"], ["3"], ["4"], ["5"]] == requests
    assert SEEDS == seeds_of(found)


async def test_a_page_instead_of_many_is_about_none() -> None:
    """An answer that is not of this API answers no id either."""

    def on_seeds(_ids: list[str], _nth: int) -> Any:
        return errors.UnexpectedAnswerError("html", status_code=200)

    api = FakeSeedAPI(on_seeds=on_seeds)
    found = await api.outcomes_of(GIVEN, batch_size=5, max_asks=1)

    assert (1, 5) == (len(api.at("seeds")), len(api.at("seed")))
    assert SEEDS == seeds_of(found)


async def test_a_task_without_a_seed_is_an_answer() -> None:
    """It is not asked for again: a finished one has none, another one says why."""
    states = {"1": "SUCCESS", "2": "FAILURE", "3": "IN_PROGRESS", "4": "CANCEL", "5": "SUCCESS"}
    requests, found = await ask(
        lambda ids: [row(one, status=states[one], seed=None) for one in ids]
    )

    assert [["1", "2", "3"], ["4", "5"]] == requests
    assert [
        errors.SeedUnavailableError,
        errors.TaskFailedError,
        errors.SeedUnavailableError,
        errors.TaskCancelledError,
        errors.SeedUnavailableError,
    ] == [type(found[one].error) for one in IDS]
    assert states == {one: found[one].error.task.status for one in IDS}


@pytest.mark.parametrize(
    "failure", [errors.ServerError(status_code=500), later("1"), down()], ids=str
)
async def test_a_request_for_many_that_fails_counts_for_each(failure: errors.MJError) -> None:
    """It is asked again later, and singly, for one of them may be the reason."""
    api = FakeSeedAPI(
        on_seeds=lambda _ids, _nth: failure,
        on_seed=lambda one, nth: failure if nth == 1 else seed(one),
    )
    found = await api.outcomes_of(GIVEN[:2], concurrency=9, batch_size=3)

    assert [0.0] == api.at("seeds")
    assert [30.0, 60.0] == api.at("seed", "1") == api.at("seed", "2")
    assert {"1": "11", "2": "12"} == seeds_of(found)


async def test_a_request_for_many_uses_up_an_ask() -> None:
    """Where there is one ask in all, its failure is the outcome of each."""
    api = FakeSeedAPI(on_seeds=lambda _ids, _nth: errors.ServerError(status_code=500))
    found = await api.outcomes_of(GIVEN[:2], batch_size=2, max_asks=1)

    assert [] == api.at("seed")
    assert {"1", "2"} == {outcome.error.task_id for outcome in found.values()}  # type: ignore[union-attr]


async def test_many_are_asked_together_again_after_a_429() -> None:
    """A 429 is about all calls, and singly they would be more."""
    api = FakeSeedAPI(
        on_seeds=lambda ids, nth: (
            errors.RateLimitError(status_code=429) if nth == 1 else list(map(seed, ids))
        )
    )
    await api.outcomes_of(GIVEN[:3], batch_size=3)

    assert [0.0, 30.0] == api.at("seeds", "1,2,3")
    assert [] == api.at("seed")


async def test_who_is_alone_is_not_taken_along() -> None:
    """What has to be asked singly stays so, and parts those around it."""
    asked: list[str] = []

    def on_seeds(ids: list[str], _nth: int) -> list[ImageSeed]:
        asked.append(",".join(ids))
        return [seed(one) for one in ids if one != "2"]

    api = FakeSeedAPI(
        on_seeds=on_seeds, on_seed=lambda one, nth: later(one) if nth < 3 else seed(one)
    )
    found = await api.outcomes_of(GIVEN, concurrency=1, batch_size=2)

    assert ["1,2", "3,4"] == asked
    assert [0.0, 30.0, 60.0] == api.at("seed", "2") == api.at("seed", "5")
    assert SEEDS == seeds_of(found)


@pytest.mark.parametrize("form", ["auto", "path"])
async def test_many_in_one_request_need_the_documented_form(form: Any) -> None:
    """It is the only one that takes several ids; that is said before any request."""
    gateway = FakeGateway("documented")
    async with gateway.client(dialect=Dialect(seed=form)) as client:
        with pytest.raises(errors.ConfigurationError, match='Dialect\\(seed="multipart"\\)'):
            client.image_seeds(["1"], batch_size=2)
        client.image_seeds(["1"], batch_size=1)

    assert () == gateway.requests


async def test_the_documented_gateway_answers_one_of_many() -> None:
    """The fake gateway gives the first, and the others are found singly."""
    gateway = FakeGateway("documented")
    for task_id in IDS:
        gateway.add_task(task_id, [(0, "SUCCESS", "100%")], seed=f"1{task_id}")
    async with gateway.client(dialect=DOCUMENTED) as client:
        found = await collect(client.image_seeds(GIVEN, concurrency=1, batch_size=5))

    sent = [json.dumps(one.body.count(b'name="ids"')) for one in gateway.requests]
    assert ["5", "1", "1", "1", "1"] == sent
    assert SEEDS == seeds_of(found)
