"""A gateway that goes away in the middle of a run: who is asked whether it lives, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from _fake_seed_api import After, FakeSeedAPI, collect, down, later, page, seed, seeds_of
from mj_async import Dialect, Task, TaskList, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

DONE = [(0, "SUCCESS", "100%")]
IDS = ["1", "2", "3", "4", "5", "6"]
GIVEN = [Task(task_id, status="SUCCESS") for task_id in IDS]
SEEDS = {task_id: f"1{task_id}" for task_id in IDS}


def api_down(begin: float, end: float, **answers: Any) -> FakeSeedAPI:
    """Make a gateway that is down between two times."""
    api = FakeSeedAPI()

    def unless_down(answer: Callable[..., Any]) -> Callable[..., Any]:
        return lambda asked, nth: down() if begin <= api.clock.now() < end else answer(asked, nth)

    api.on_seed = unless_down(answers.get("on_seed", seed))
    api.on_list = unless_down(answers.get("on_list", page))
    api.on_fetch = unless_down(answers.get("on_fetch", api.on_fetch))
    api.on_seeds = unless_down(answers.get("on_seeds", api.on_seeds))
    return api


async def test_after_so_many_failures_it_is_asked_whether_the_gateway_lives() -> None:
    """Two failures in a row, with a concurrency of two, are followed by a list of one id."""
    api = FakeSeedAPI(
        on_seed=lambda one, nth: After(float(one), down()) if nth == 1 else seed(one),
        on_list=lambda ids, _nth: After(0.5, page(ids)),
    )
    found = await api.outcomes_of(GIVEN[:3], concurrency=2)

    assert [
        (0.0, "seed", "1"),
        (0.0, "seed", "2"),
        (1.0, "seed", "3"),
        (2.0, "list", "2"),
        (31.0, "seed", "1"),
        (32.0, "seed", "2"),
        (34.0, "seed", "3"),
    ] == api.asked
    assert {"1": "11", "2": "12", "3": "13"} == seeds_of(found)


async def test_fewer_failures_are_not() -> None:
    """Where another answer comes between, the row begins again."""
    failing = {"1": down(), "2": later("2"), "3": down()}
    api = FakeSeedAPI(
        on_seed=lambda one, nth: After(float(one), failing[one]) if nth == 1 else seed(one)
    )
    found = await api.outcomes_of(GIVEN[:3], concurrency=2)

    assert [] == api.at("list")
    assert SEEDS == {**SEEDS, **seeds_of(found)}


async def test_failures_count_where_the_gateway_lives() -> None:
    """A route that always fails uses up the ids, though the list answers each time."""
    api = FakeSeedAPI(on_seed=lambda _one, _nth: errors.ServerError(status_code=500))
    found = await api.outcomes_of(GIVEN[:2], concurrency=2)

    assert [0.0, 30.0, 60.0] == api.at("seed", "1") == api.at("seed", "2") == api.at("list")
    assert {errors.ServerError} == {type(outcome.error) for outcome in found.values()}


@pytest.mark.parametrize("max_asks", [2, 3])
async def test_a_restart_counts_against_no_id(max_asks: int) -> None:
    """While the gateway is silent the run holds, and asks every 30 s; nothing of it counts."""
    back = 30.0 * (max_asks - 1)
    api = api_down(0.0, back, on_seed=lambda one, nth: later(one) if nth <= max_asks else seed(one))
    found = await api.outcomes_of(GIVEN[:4], max_asks=max_asks)

    assert [30.0 * number for number in range(max_asks)] == api.at("list")
    assert [0.0, *(back + 30.0 * number for number in range(max_asks))] == api.at("seed", "1")
    assert {one: f"1{one}" for one in "1234"} == seeds_of(found)


async def test_the_last_ask_of_an_id_is_not_lost_in_a_restart() -> None:
    """An id with no ask left waits until it is known whether its failure counts."""
    api = api_down(60.0, 80.0, on_seed=lambda one, nth: later(one) if nth < 3 else seed(one))
    found = await api.outcomes_of(GIVEN[:4], concurrency=4)

    assert [60.0, 90.0] == api.at("list")
    assert [0.0, 30.0, 60.0, 90.0] == api.at("seed", "1")
    assert {one: f"1{one}" for one in "1234"} == seeds_of(found)


async def test_the_last_ask_is_known_to_count_when_another_answer_comes() -> None:
    """Until then its outcome waits; here the answer takes five seconds."""
    api = FakeSeedAPI(on_seed=lambda one, _nth: down() if one == "1" else After(5.0, seed(one)))
    at: dict[str, float] = {}
    async with api.run(GIVEN[:2], max_asks=1) as outcomes:
        async for outcome in outcomes:
            at[outcome.task_id] = api.clock.now()

    assert {"1": 5.0, "2": 5.0} == at


async def test_the_last_ask_counts_when_nobody_is_left_to_tell() -> None:
    """The outcome of an id alone comes at once, also where the input is silent."""
    received: list[float] = []
    api = FakeSeedAPI(on_seed=lambda _one, _nth: down())

    async def silent() -> AsyncIterator[Task]:
        yield GIVEN[0]
        await anyio.sleep_forever()

    async with api.run(silent(), max_asks=1) as outcomes:
        async for outcome in outcomes:
            received.append(api.clock.now())
            assert isinstance(outcome.error, errors.TransportError)
            break

    assert [0.0] == received


async def test_failures_that_are_spread_over_the_back_are_forgiven_as_well() -> None:
    """Two ids that fail in turn are four failures in a row, and then none counts."""
    api = api_down(0.0, 85.0)
    found = await api.outcomes_of(GIVEN[:2], concurrency=4)

    assert [0.0, 30.0, 90.0] == api.at("seed", "1") == api.at("seed", "2")
    assert [30.0, 60.0, 90.0] == api.at("list")
    assert {"1": "11", "2": "12"} == seeds_of(found)


@pytest.mark.parametrize("seconds", [20.0, 50.0], ids=["during the silence", "after it"])
async def test_a_request_from_before_the_silence_does_not_count(seconds: float) -> None:
    """Whenever it fails: it died with the gateway that it was sent to."""
    api = FakeSeedAPI()

    def on_seed(one: str, nth: int) -> Any:
        if nth == 1:
            return After(seconds, down()) if one == "1" else down()
        return later(one) if nth == 2 else seed(one)

    api.on_seed = on_seed
    api.on_list = lambda ids, _nth: down() if api.clock.now() < 30.0 else page(ids)
    found = await api.outcomes_of(GIVEN[:4], concurrency=3, max_asks=2)

    assert [0.0, seconds + 30.0, seconds + 60.0] == api.at("seed", "1")
    assert {"1": "11", "2": "12", "3": "13", "4": "14"} == seeds_of(found)


async def test_an_answer_during_the_question_does_not_count_what_led_to_it() -> None:
    """What the gateway had sent before it went says nothing of what came after."""
    api = FakeSeedAPI()

    def on_seed(one: str, nth: int) -> Any:
        if nth > 1:
            return seed(one)
        return After(5.0, seed(one)) if one == "1" else down()

    api.on_seed = on_seed
    api.on_list = lambda ids, nth: After(10.0, down()) if nth == 1 else page(ids)
    found = await api.outcomes_of(GIVEN[:4], concurrency=3, max_asks=2, ask_again_after=15.0)

    assert [0.0, 15.0] == api.at("list")
    assert {"1": "11", "2": "12", "3": "13", "4": "14"} == seeds_of(found)


async def test_a_gateway_that_stays_away_ends_the_run() -> None:
    """After so many silent questions all that was received is given, then the last error."""
    api = api_down(5.0, 1e9)
    ids = [str(number) for number in range(1, 60)]
    received: list[str] = []
    async with api.run(ids, concurrency=4) as outcomes:
        with pytest.raises(errors.TransportError, match="connection refused"):
            async for outcome in outcomes:
                received.append(outcome.task_id)
                await api.clock.sleep(0.5)

    _, first, *others = api.at("list")
    assert [first + 30.0, first + 60.0] == others
    assert len(received) == len(set(received)) == sum(at < 5.0 for at in api.at("seed"))


async def test_questions_come_at_fixed_instants() -> None:
    """The run asks every ask_again_after, from start to start, and max_asks times."""
    api = FakeSeedAPI(
        on_seed=lambda _one, _nth: down(),
        on_list=lambda _ids, _nth: After(4.0, errors.ServerError(status_code=502)),
    )
    async with api.run(GIVEN, concurrency=2) as outcomes:
        with pytest.raises(errors.ServerError):
            await anext(outcomes)

    assert [0.0, 30.0, 60.0] == api.at("list")
    assert 64.0 == api.clock.now()
    assert {0.0} == set(api.at("seed"))


async def test_silences_are_counted_in_a_row() -> None:
    """A gateway that comes back in between has all its chances again."""
    api = FakeSeedAPI()
    dead = [(0.0, 40.0), (61.0, 130.0)]

    def unless_dead(answer: Any) -> Any:
        now = api.clock.now()
        return down() if any(begin <= now < end for begin, end in dead) else answer

    api.on_seed = lambda one, nth: unless_dead(After(2.0, later(one) if nth < 3 else seed(one)))
    api.on_list = lambda ids, _nth: unless_dead(page(ids))
    found = await api.outcomes_of(GIVEN[:2], concurrency=2)

    assert [0.0, 30.0, 60.0] == api.at("list")[:3]
    assert {"1": "11", "2": "12"} == seeds_of(found)


async def test_without_a_list_one_task_is_fetched() -> None:
    """Where the list could not be read, /fetch tells whether the gateway lives."""
    api = api_down(
        10.0,
        50.0,
        on_list=lambda _ids, _nth: errors.UnsupportedError(status_code=404),
        on_seed=lambda one, nth: After(10.0, later(one)) if nth == 1 else seed(one),
    )
    found = await api.outcomes_of(["1", "2"], concurrency=2)

    assert [0.0] == api.at("list")
    assert [40.0, 70.0] == api.at("fetch")
    assert {"1": "11", "2": "12"} == seeds_of(found)


@pytest.mark.parametrize("kind", [errors.AuthenticationError, errors.PermissionDeniedError])
async def test_a_refusal_of_the_key_ends_the_run_here_as_well(kind: Any) -> None:
    """The question whether the gateway lives may be answered by a 401."""
    api = FakeSeedAPI(on_seed=lambda _one, _nth: down(), on_list=lambda _ids, _nth: kind())
    with pytest.raises(kind):
        await api.outcomes_of(GIVEN, concurrency=2)

    assert [0.0] == api.at("list")


@pytest.mark.parametrize(
    "answer", [TaskList([], ["2"]), errors.RateLimitError(status_code=429)], ids=["list", "429"]
)
async def test_any_answer_to_a_probe_is_a_success(answer: Any) -> None:
    """The run goes on, and the failures count."""
    api = FakeSeedAPI(on_seed=lambda _one, _nth: down(), on_list=lambda _ids, _nth: answer)
    found = await api.outcomes_of(GIVEN[:2], concurrency=2, max_asks=1)

    assert 2 == len(api.at("seed"))
    assert {errors.TransportError} == {type(outcome.error) for outcome in found.values()}


async def test_a_list_that_fails_is_a_failure_as_well() -> None:
    """With one at a time, a silent list is followed by the question at once."""
    api = api_down(0.0, 10.0)
    found = await api.outcomes_of(["1", "2"], concurrency=1, max_asks=2)

    assert [(0.0, "1,2"), (0.0, "1"), (30.0, "1"), (30.0, "1,2")] == [
        (at, ids) for at, verb, ids in api.asked if verb == "list"
    ]
    assert {"1": "11", "2": "12"} == seeds_of(found)


@pytest.mark.parametrize("silences", [1, 3])
async def test_the_same_on_the_wire(silences: int) -> None:
    """Four 503s and as many silent questions, at exact instants; the fourth is one too many."""
    gateway = FakeGateway()
    for task_id in IDS:
        gateway.add_task(task_id, DONE, seed=f"1{task_id}")
    gateway.fail_next(4 + silences, status=503)
    dialect = Dialect(auth="bearer", ids="json")
    async with gateway.client(dialect=dialect) as client:
        if silences == 3:
            with pytest.raises(errors.ServerError):
                await collect(client.image_seeds(GIVEN[:4]))
        else:
            found = await collect(client.image_seeds(GIVEN[:4]))

            assert {one: f"1{one}" for one in "1234"} == seeds_of(found)

    verbs = [request.target.rpartition("/")[2] for request in gateway.requests]
    asked = [round(one.at, 6) for one in gateway.requests if one.method == "POST"]
    assert ["image-seed"] * 4 + ["list-by-condition"] == verbs[:5]
    assert [30.0 * number for number in range(min(3, silences + 1))] == asked
