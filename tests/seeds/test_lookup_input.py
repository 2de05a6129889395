"""What goes into a run of seeds: any iterable, read as fast as the outcomes are taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from _fake_seed_api import After, FakeSeedAPI, later, seed, seeds_of
from mj_async import AsyncMJClient, Task, TaskList, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio


def carrying(ids: list[str], _nth: int) -> TaskList:
    """List tasks that carry their seeds."""
    return TaskList([Task(one, status="SUCCESS", seed=f"1{one}") for one in ids])


class Counting:
    """A source that counts how far it was read."""

    def __init__(self, items: Any) -> None:
        self._items = iter(items)
        self.read = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        self.read += 1
        return item


async def one_by_one(items: Any) -> AsyncIterator[Any]:
    """Give items asynchronously."""
    for item in items:
        await anyio.lowlevel.checkpoint()
        yield item


@pytest.mark.parametrize("make", [iter, one_by_one, list], ids=["plain", "asynchronous", "list"])
async def test_ids_are_listed_by_the_hundred_from_any_input(make: Any) -> None:
    """250 ids are three list calls, however they come."""
    api = FakeSeedAPI(on_list=carrying)
    found = await api.outcomes_of(make([str(number) for number in range(250)]))

    assert [100, 100, 50] == [ids.count(",") + 1 for _, _, ids in api.asked]
    assert 250 == len(found)


async def test_a_source_that_pauses_is_not_waited_for() -> None:
    """What it has given is listed after half a second of silence, that it may see outcomes."""
    api = FakeSeedAPI(on_list=carrying)
    received: list[str] = []

    async def wants_outcomes() -> AsyncIterator[str]:
        for number in range(0, 9, 3):
            for one in range(number, number + 3):
                yield str(one)
            while len(received) < number + 3:
                await anyio.lowlevel.checkpoint()

    async with api.run(wants_outcomes()) as outcomes:
        async for outcome in outcomes:
            received.append(outcome.task_id)  # noqa: PERF401  # the source looks at it

    assert ["0,1,2", "3,4,5", "6,7,8"] == [ids for _, _, ids in api.asked]
    assert [1.0, 2.0, 3.0] == api.at("list")  # the first half was not all silent


async def test_a_source_that_pauses_holds_up_nobody() -> None:
    """While it is silent, those at the back are asked again."""
    api = FakeSeedAPI(on_seed=lambda one, nth: later(one) if nth == 1 else seed(one))

    async def silent() -> AsyncIterator[str]:
        yield "1"
        await anyio.sleep_forever()

    async with api.run(silent()) as outcomes:
        outcome = await anext(outcomes)

    assert "11" == outcome.unwrap().seed
    assert [0.5, 30.5] == api.at("seed")


async def test_the_input_is_read_no_further_than_needed() -> None:
    """A slow reader has two hundred ids more under way than it has read, and a few."""
    source = Counting(str(number) for number in range(2_000))
    api = FakeSeedAPI(on_list=carrying)
    ahead = 0
    taken = 0
    async with api.run(source) as outcomes:
        async for _outcome in outcomes:
            taken += 1
            await api.clock.sleep(1.0)
            ahead = max(ahead, source.read - taken)

    assert (2_000, 2_000) == (taken, source.read)
    assert ahead <= 210


async def test_the_next_hundred_are_read_while_a_list_is_under_way() -> None:
    """A source that is slow does not have to wait for the gateway as well."""
    source = Counting(str(number) for number in range(1_000))
    api = FakeSeedAPI(on_list=lambda ids, nth: After(10.0, carrying(ids, nth)))
    async with api.run(source):
        await api.clock.sleep(5.0)

        assert 200 == source.read


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_seeds_are_asked_no_further_than_needed(concurrency: int) -> None:
    """The requests follow the reader: two times `concurrency`, and the requests in flight."""
    api = FakeSeedAPI()
    ahead = 0
    taken = 0
    async with api.run(map(str, range(60)), concurrency=concurrency) as outcomes:
        async for _outcome in outcomes:
            taken += 1
            await api.clock.sleep(1.0)
            ahead = max(ahead, len(api.at("seed")) - taken)

    assert 60 == taken
    assert ahead <= 3 * concurrency


async def test_tasks_that_carry_their_seeds_are_read_no_further_either() -> None:
    """They cost no request, and still wait for the reader."""
    source = Counting(Task(str(number), seed="5") for number in range(1_000))
    api = FakeSeedAPI()
    ahead = 0
    taken = 0
    async with api.run(source) as outcomes:
        async for _outcome in outcomes:
            taken += 1
            await api.clock.sleep(1.0)
            ahead = max(ahead, source.read - taken)

    assert (1_000, []) == (taken, api.asked)
    assert ahead <= 110


async def test_tasks_and_ids_may_be_mixed() -> None:
    """Seeds of tasks are asked for at once, or not at all; ids are listed together."""
    tasks: list[Any] = [Task(str(n), status="SUCCESS") if n % 3 else str(n) for n in range(600)]
    api = FakeSeedAPI()
    found = await api.outcomes_of(tasks)

    assert {str(number): f"1{number}" for number in range(600)} == seeds_of(found)
    assert {str(number) for number in range(0, 600, 3)} == {
        one for _, verb, ids in api.asked if verb == "list" for one in ids.split(",")
    }
    assert 600 == len(api.at("seed"))


async def test_an_endless_repetition_stops_nobody_else() -> None:
    """An input that repeats itself is read on, and lets others run meanwhile."""
    api = FakeSeedAPI(on_list=carrying)

    def repeating() -> Iterator[str]:
        while True:
            yield "1"

    with anyio.move_on_after(0.1) as scope:
        async with api.run(repeating()) as outcomes:
            async for _outcome in outcomes:
                pass

    assert scope.cancelled_caught


async def test_a_repeated_id_is_asked_once_while_it_waits_and_after() -> None:
    """Also if the first one waits to be asked again, or has its outcome."""
    api = FakeSeedAPI(on_seed=lambda one, nth: later(one) if nth == 1 else seed(one))
    found = await api.outcomes_of(iter(["1", "2", Task("1", status="SUCCESS"), "2", "1"]))

    assert {"1": "11", "2": "12"} == seeds_of(found)
    assert (2, 2) == (len(api.at("seed", "1")), len(api.at("seed", "2")))


# --- what goes wrong in it --------------------------------------------------------------------


@pytest.mark.parametrize("make", [iter, one_by_one], ids=["plain", "asynchronous"])
async def test_a_bad_id_ends_the_input_and_is_raised_at_the_end(make: Any) -> None:
    """Those before it are looked up, and asked again if need be; those after it are not read."""
    api = FakeSeedAPI(on_seed=lambda one, nth: later(one) if nth == 1 else seed(one))
    received: list[str] = []
    async with api.run(make(["1", "2", "a/b", "3"])) as outcomes:
        with pytest.raises(errors.ConfigurationError, match="has a slash"):
            async for outcome in outcomes:
                received.append(outcome.unwrap().task_id)  # noqa: PERF401  # it raises at its end
        with pytest.raises(errors.ConfigurationError, match="has a slash"):
            await anext(outcomes)

    assert ["1", "2"] == sorted(received)
    assert [30.0, 30.0] == [round(at) for at in api.at("seed")[2:]]


async def test_a_refused_key_is_raised_before_a_bad_id() -> None:
    """What has ended the run counts more than what has ended the input."""
    api = FakeSeedAPI(on_seed=lambda _one, _nth: errors.AuthenticationError(status_code=401))
    async with api.run(iter(["1", ""])) as outcomes:
        with pytest.raises(errors.AuthenticationError):
            await anext(outcomes)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_input_that_is_cancelled_by_itself_does_not_stand_still() -> None:
    """Where a source waits for a task of its own that is cancelled, the run ends with that."""

    async def source() -> AsyncIterator[str]:
        yield "1"
        lookup = asyncio.create_task(asyncio.sleep(60))
        lookup.cancel()
        await lookup

    received: list[str] = []
    with anyio.fail_after(2):
        async with FakeSeedAPI().run(source()) as outcomes:
            with pytest.raises(asyncio.CancelledError):
                async for outcome in outcomes:
                    received.append(outcome.task_id)  # noqa: PERF401  # it raises at its end

    assert ["1"] == received


class NotReady:
    """An input that cannot be begun."""

    def __iter__(self) -> Iterator[str]:
        raise LookupError("not ready")


async def test_an_input_that_cannot_be_begun_ends_the_run() -> None:
    """What it raises comes out as it is."""
    async with FakeSeedAPI().run(NotReady()) as outcomes:
        with pytest.raises(LookupError, match="not ready"):
            await anext(outcomes)


async def test_an_asynchronous_input_is_closed() -> None:
    """A generator is not left in the middle, however the run is left."""
    closed: list[str] = []

    async def source(name: str) -> AsyncIterator[str]:
        try:
            for number in range(1_000):
                yield str(number)
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append(name)

    async with FakeSeedAPI(on_list=carrying).run(source("left")) as outcomes:
        await anext(outcomes)
    refused = FakeSeedAPI(on_list=lambda _ids, _nth: errors.AuthenticationError(status_code=401))
    with pytest.raises(errors.AuthenticationError):
        await refused.outcomes_of(source("refused"))

    assert ["left", "refused"] == closed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"max_asks": 0}, "max_asks must be a whole number"),
        ({"max_asks": 1.5}, "max_asks must be a whole number"),
        ({"ask_again_after": -1.0}, "ask_again_after must be a finite number"),
        ({"ask_again_after": float("nan")}, "ask_again_after must be a finite number"),
        ({"ask_again_after": None}, "ask_again_after must be a finite number"),
    ],
    ids=str,
)
def test_options_are_checked_before_anything(options: Any, message: str) -> None:
    """An option that cannot work is refused by its name."""
    with pytest.raises(errors.ConfigurationError, match=message):
        AsyncMJClient("sk-key", base_url="https://gateway.test").image_seeds(["1"], **options)


async def test_no_pause_at_all_is_allowed() -> None:
    """With 0 an id is asked again at once, and as often as any other."""
    api = FakeSeedAPI(on_seed=lambda one, _nth: After(1.0, later(one)))
    await api.outcomes_of(["1"], ask_again_after=0.0)

    assert [0.0, 1.0, 2.0] == api.at("seed")


@pytest.mark.parametrize(
    ("ids", "good"),
    [(["a", None, None, "b"], 1), ([None, "a"], 0), ([*map(str, range(50)), "a/b", "c"], 50)],
    ids=["None in the middle", "None first", "a slash"],
)
async def test_a_bad_id_neither_ends_a_run_quietly_nor_takes_others_with_it(
    ids: list[Any], good: int
) -> None:
    """The ids before a bad one are looked up, and then it is an error."""
    gateway = FakeGateway()
    received = 0
    async with gateway.client() as client:
        async with client.image_seeds(iter(ids)) as outcomes:
            with pytest.raises(errors.ConfigurationError):
                async for _outcome in outcomes:
                    received += 1

    assert good == received
