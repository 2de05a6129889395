"""How a run of seeds ends before its time: a refused key, a break, a cancellation, a closing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
import sniffio
import trio

from _fake_seed_api import After, FakeSeedAPI, collect, down, later, seed, seeds_of
from mj_async import Dialect, SeedOutcome, Task, errors
from mj_async._lifecycle import Lifecycle
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

DONE = [(0, "SUCCESS", "100%")]
GIVEN = [Task(str(number), status="SUCCESS") for number in range(1, 9)]


def tasks_running() -> int:
    """Count the tasks of the event loop."""
    if sniffio.current_async_library() == "asyncio":
        return len(asyncio.all_tasks())
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.parametrize("kind", [errors.AuthenticationError, errors.PermissionDeniedError])
@pytest.mark.parametrize("where", ["seed", "list", "seeds"])
async def test_a_refused_key_cuts_what_is_under_way(kind: Any, where: str) -> None:
    """401 and 403 end the run at that instant; what was read is given, then the error."""

    def on_seed(one: str, _nth: int) -> Any:
        slow = After(1.0, kind(status_code=401)) if one == "4" and where == "seed" else None
        return slow or After(0.5 if one in "12" else 60.0, seed(one))

    api = FakeSeedAPI(
        on_seed=on_seed,
        on_list=lambda ids, nth: After(1.0, kind(status_code=401)),
        on_seeds=lambda _ids, _nth: After(1.0, kind(status_code=401)),
    )
    given = [*GIVEN, *(["9"] if where == "list" else [])]
    found: list[SeedOutcome] = []
    batch_size = 2 if where == "seeds" else 1
    async with api.run(given, concurrency=8, batch_size=batch_size) as outcomes:
        with pytest.raises(kind):
            async for outcome in outcomes:
                found.append(outcome)  # noqa: PERF401  # it raises at its end

        assert 1.0 == api.clock.now()
        assert 0 == api.busy
        with pytest.raises(kind):
            await anext(outcomes)

    assert ([] if where == "seeds" else ["1", "2"]) == sorted(one.task_id for one in found)


async def test_what_waits_for_its_verdict_is_no_outcome_when_the_run_ends() -> None:
    """An id whose last ask failed in a row that is not over has none yet."""
    api = FakeSeedAPI(on_seed=lambda _one, _nth: down(), on_list=lambda _ids, _nth: down())
    found: list[SeedOutcome] = []
    async with api.run(GIVEN, concurrency=4, max_asks=1) as outcomes:
        with pytest.raises(errors.TransportError):
            async for outcome in outcomes:
                found.append(outcome)  # noqa: PERF401  # it raises at its end

    assert [] == found


@pytest.mark.parametrize("held", [False, True], ids=["goes on", "on hold"])
async def test_a_refused_key_gives_them_their_verdict(held: bool) -> None:  # noqa: FBT001
    """A gateway that refuses the key lives: what has failed for good before has its outcome."""
    refusal = errors.AuthenticationError(status_code=401)
    api = FakeSeedAPI(
        on_seed=lambda one, _nth: down() if one in "123" else After(1.0, refusal),
        on_list=lambda _ids, _nth: After(0.5, refusal),
    )
    found: list[SeedOutcome] = []
    async with api.run(GIVEN[:4], concurrency=3 if held else 4, max_asks=1) as outcomes:
        with pytest.raises(errors.AuthenticationError):
            async for outcome in outcomes:
                found.append(outcome)  # noqa: PERF401  # it raises at its end

    assert ["1", "2", "3"] == sorted(one.task_id for one in found)
    assert (0.5 if held else 1.0) == api.clock.now()


# --- leaving, wherever the run is -------------------------------------------------------------


def in_flight(api: FakeSeedAPI) -> None:
    """Have requests under way."""
    api.on_seed = lambda one, nth: After(5.0 if one != "1" else 0.0, seed(one))


def at_the_back(api: FakeSeedAPI) -> None:
    """Have all others at the back."""
    api.on_seed = lambda one, nth: seed(one) if one == "1" else later(one)


def on_hold(api: FakeSeedAPI) -> None:
    """Have a gateway that is gone."""
    api.on_seed = lambda one, nth: seed(one) if one == "1" else down()
    api.on_list = lambda _ids, _nth: down()


def asking(api: FakeSeedAPI) -> None:
    """Have the question under way whether it lives."""
    api.on_seed = lambda one, nth: seed(one) if one == "1" else down()
    api.on_list = lambda _ids, _nth: After(math.inf, down())


def full(api: FakeSeedAPI) -> None:
    """Receive more outcomes than are read."""
    api.on_seed = seed


STATES = [in_flight, at_the_back, on_hold, asking, full]
each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)


@each_state
@pytest.mark.parametrize("how", ["break", "error", "cancel"])
async def test_a_run_may_be_left_at_any_time(
    state: Callable[[FakeSeedAPI], None], how: str
) -> None:
    """A break, an error of the body and a cancellation leave no task and no request behind."""
    api = FakeSeedAPI()
    state(api)
    before = tasks_running()
    left = False
    with anyio.CancelScope() as scope:
        try:
            async with api.run(GIVEN, concurrency=2) as outcomes:
                async for _outcome in outcomes:
                    await api.clock.sleep(1.0)
                    left = True
                    if how == "cancel":
                        scope.cancel()
                    elif how == "error":
                        raise LookupError("mine")  # noqa: TRY301  # as a body does
                    else:
                        break
        except LookupError:
            assert "error" == how

    assert left
    assert 1.0 == api.clock.now()
    assert (before, 0) == (tasks_running(), api.busy)
    assert ("cancel" == how) is scope.cancelled_caught


@each_state
async def test_closing_the_client_ends_the_run(state: Callable[[FakeSeedAPI], None]) -> None:
    """What was received is given, and then it is said that the client is closed."""
    api = FakeSeedAPI()
    state(api)
    lifecycle = Lifecycle(api.clock)
    before = tasks_running()
    found: list[SeedOutcome] = []
    async with api.run(GIVEN, concurrency=2, lifecycle=lifecycle) as outcomes:
        found.append(await anext(outcomes))
        await api.clock.sleep(1.0)
        lifecycle.close()
        with pytest.raises(errors.ClientStateError, match="closed"):
            async for outcome in outcomes:
                found.append(outcome)  # noqa: PERF401  # it raises at its end

    assert before == tasks_running()
    assert 1 <= len(found) < len(GIVEN)
    assert 1.0 == api.clock.now()


@pytest.mark.parametrize("how", ["slots", "gate", "back"])
async def test_no_slot_is_taken_by_a_run_that_was_left(how: str) -> None:
    """With one connection in all, the next call goes through, wherever the run was."""
    gateway = FakeGateway()
    for task in GIVEN:
        gateway.add_task(task.id, DONE, seed=f"1{task.id}")
    dialect = Dialect(auth="bearer")
    async with gateway.client(max_connections=1, dialect=dialect) as client:
        gateway.fail_next(1, status=503 if how == "back" else 200, body=b'{"code":1,"result":"5"}')
        if how == "gate":
            gateway.fail_next(1, status=429, headers={"retry-after": "5"})
        async with client.image_seeds(GIVEN, concurrency=4) as outcomes:
            await anext(outcomes)
        task = await client.fetch_task("1")
        found = await collect(client.image_seeds(GIVEN))

    assert "1" == task.id
    assert {one.id: f"1{one.id}" for one in GIVEN} == seeds_of(found)


async def test_an_ended_run_stays_ended() -> None:
    """After its end, and after it was left, it gives nothing more."""
    api = FakeSeedAPI()
    async with api.run(["1"]) as outcomes:
        assert 1 == len([outcome async for outcome in outcomes])
        with pytest.raises(StopAsyncIteration):
            await anext(outcomes)
    with pytest.raises(errors.ClientStateError, match="async with"):
        await anext(outcomes)


async def test_a_run_that_waits_for_its_source_ends_with_the_client() -> None:
    """Closing the client ends a run of seeds, also where its input has nothing to give."""

    async def silent() -> AsyncIterator[str]:
        await anyio.sleep_forever()
        yield "never"

    gateway = FakeGateway()
    client = gateway.client()

    async def close() -> None:
        await anyio.sleep(0.01)
        await client.aclose()

    with anyio.fail_after(2):
        async with client.image_seeds(silent()) as outcomes, anyio.create_task_group() as group:
            group.start_soon(close)
            with pytest.raises(errors.ClientStateError):
                await anext(outcomes)
