"""Whatever happens: each id has one outcome, no more is asked than may be, and no run stands still.

The combinations are drawn at random, from seeds that are written down.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from _fake_seed_api import NO_ACCOUNT, After, FakeSeedAPI, down, later
from mj_async import ImageSeed, SeedOutcome, Task, TaskList, errors

pytestmark = pytest.mark.anyio

KINDS = ("seed", "seed", "seed", "carried", "missing", "failed", "unfinished", "seedless")
OUTCOMES: dict[str, type[errors.MJError] | None] = {
    "seed": None,
    "carried": None,
    "missing": errors.TaskNotFoundError,
    "failed": errors.TaskFailedError,
    "unfinished": errors.SeedUnavailableError,
    "seedless": errors.SeedUnavailableError,
}
STATUSES = {"failed": "FAILURE", "unfinished": "IN_PROGRESS"}
DISTURBANCES = (
    down,
    lambda: errors.RequestTimeoutError("slow"),
    lambda: errors.RateLimitError(status_code=429),
    lambda: errors.ServerError(status_code=500),
    lambda: errors.ServerError(status_code=408),
    errors.ServerError,
)


class World:
    """A gateway with its tasks, its bad times and its moods, drawn from a seed."""

    def __init__(self, number: int) -> None:
        draw = self.draw = random.Random(number)
        self.plan = {
            "concurrency": draw.choice([1, 2, 4, 9]),
            "batch_size": draw.choice([1, 1, 3, 10]),
            "ask_again_after": draw.choice([0.0, 1.0, 30.0]),
            "max_asks": draw.choice([1, 2, 3, 6]),
        }
        self.truth = {
            str(one): draw.choice(KINDS) for one in range(draw.choice([0, 1, 2, 30, 250]))
        }
        self.mood = draw.choice([0.0, 0.0, 0.1, 0.4, 0.95])
        self.has_list = draw.random() < 0.8
        self.away: list[tuple[float, float]] = []
        for _ in range(draw.choice([0, 0, 1, 3])):
            begin = (self.away[-1][1] if self.away else 0.0) + draw.uniform(0.0, 60.0)
            self.away.append((begin, begin + draw.uniform(0.0, draw.choice([2.0, 40.0, 120.0]))))
        self.api = FakeSeedAPI(
            on_seed=lambda one, _nth: self.answer(3.0, self.seed(one)),
            on_list=lambda ids, _nth: self.answer(0.5, self.page(ids)),
            on_fetch=lambda one, _nth: self.answer(0.2, Task(one)),
            on_seeds=lambda ids, _nth: self.answer(3.0, self.seeds(ids)),
            list_size=draw.choice([1, 100, 100]),
        )

    def answer(self, longest: float, given: Any) -> After:
        """Answer, in a bad time or a bad mood otherwise."""
        seconds = self.draw.uniform(0.0, longest)
        times = (self.api.clock.now(), self.api.clock.now() + seconds)
        if any(begin <= at < end for begin, end in self.away for at in times):
            return After(seconds, down())
        disturbed = self.draw.random() < self.mood
        return After(seconds, self.draw.choice(DISTURBANCES)() if disturbed else given)

    def page(self, ids: list[str]) -> Any:
        """List what there is."""
        if not self.has_list:
            return errors.UnsupportedError(status_code=404)
        known = [one for one in ids if self.truth[one] != "missing"]
        tasks = [
            Task(
                one,
                status=STATUSES.get(self.truth[one], "SUCCESS"),
                seed="5" if self.truth[one] == "carried" else None,
            )
            for one in known
        ]
        return TaskList(tasks, [one for one in ids if one not in known])

    def seed(self, task_id: str) -> Any:
        """Return a seed, or the error that says why there is no seed, now or at all."""
        kind = self.truth[task_id]
        if self.draw.random() < self.mood:
            return self.draw.choice(
                [
                    later(task_id),
                    errors.SeedUnavailableError(task_id=task_id, code=5),
                    errors.SeedUnavailableError(task_id=task_id, code=3, description=NO_ACCOUNT),
                ]
            )
        if OUTCOMES[kind] is None:
            return ImageSeed(task_id, "5", "image-seed")
        if kind == "missing":
            return errors.TaskNotFoundError(task_id=task_id)
        return errors.SeedUnavailableError(task_id=task_id, code=3 if kind == "seedless" else 4)

    def seeds(self, ids: list[str]) -> Any:
        """Give some of the seeds, or refuse all."""
        if self.draw.random() < 0.1:
            return errors.APIError(status_code=400)
        some = [
            one for one in ids if self.draw.random() < 0.6 and OUTCOMES[self.truth[one]] is None
        ]
        return [ImageSeed(one, "5", "documented") for one in some]

    def source(self, received: dict[str, SeedOutcome]) -> Any:
        """Give the ids, a few of them twice, in one of several ways."""
        ids = list(self.truth)
        ids += self.draw.choices(ids, k=len(ids) // 5) if ids else []
        kind = self.draw.choice(["list", "iterator", "pausing", "tasks", "asking back"])
        if kind == "pausing":
            return self.pausing(ids)
        if kind == "asking back":
            return self.asking_back(ids, received)
        if kind == "tasks":
            done = [one for one in ids if self.truth[one] in ("seed", "seedless")]
            return [Task(one, status="SUCCESS") if one in done else one for one in ids]
        return ids if kind == "list" else iter(ids)

    async def pausing(self, ids: list[str]) -> AsyncIterator[str]:
        """Give ids with pauses."""
        for one in ids:
            await self.api.clock.sleep(self.draw.choice([0.0] * 9 + [4.0]))
            yield one

    async def asking_back(
        self, ids: list[str], received: dict[str, SeedOutcome]
    ) -> AsyncIterator[str]:
        """Yield a few ids, and the next few when their outcomes have come."""
        for at in range(0, len(ids), 7):
            for one in ids[at : at + 7]:
                yield one
            while not set(ids[: at + 7]) <= set(received):
                await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("number", range(60))
async def test_whatever_happens_each_id_has_one_outcome(number: int) -> None:
    """Failures, restarts, 429s, slow readers and inputs of any kind, in any combination."""
    world = World(number)
    received: dict[str, SeedOutcome] = {}
    slowness = world.draw.choice([0.0, 0.0, 4.0])
    gone = False
    with anyio.fail_after(30):
        try:
            async with world.api.run(world.source(received), **world.plan) as outcomes:
                async for outcome in outcomes:
                    assert outcome.task_id not in received
                    received[outcome.task_id] = outcome
                    await world.api.clock.sleep(world.draw.uniform(0.0, slowness))
        except (errors.TransportError, errors.ServerError):
            gone = True

    assert gone or set(world.truth) == set(received)
    assert gone <= bool(world.away or world.mood)
    assert world.api.busiest <= world.plan["concurrency"]
    assert 0 == world.api.busy
    if not (world.mood or world.away):
        check_truth(world, received)


def check_truth(world: World, received: dict[str, SeedOutcome]) -> None:
    """Without disturbances each outcome is true."""
    for task_id, outcome in received.items():
        expected = OUTCOMES[world.truth[task_id]]
        kinds = {expected, errors.SeedUnavailableError if not world.has_list else expected}
        assert (None if outcome.error is None else type(outcome.error)) in kinds
    singly = Counter(ids for _, verb, ids in world.api.asked if verb == "seed")

    assert set(singly.values()) <= {1}
