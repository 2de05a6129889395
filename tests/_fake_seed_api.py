"""A fake of the API that a bulk lookup asks: answers from functions, and when each was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from mj_async import ImageSeed, SeedOutcome, Task, TaskList, errors
from mj_async._lifecycle import Lifecycle
from mj_async._seeds.lookup import SeedLookup
from mj_async._seeds.planner import SeedOptions
from mj_async.testing._clock import GatewayClock

T = TypeVar("T")
NO_ACCOUNT = "无可用的账号实例"


@attrs.frozen
class After:
    """An answer that comes after some seconds."""

    seconds: float
    answer: Any


Answer: TypeAlias = ImageSeed | TaskList | Task | errors.MJError | After


def page(ids: Sequence[str], _nth: int = 1) -> TaskList:
    """Return a list of tasks that have all succeeded."""
    return TaskList([Task(task_id, status="SUCCESS") for task_id in ids])


def seed(task_id: str, _nth: int = 1) -> ImageSeed:
    """Return a seed that contains the id."""
    return ImageSeed(task_id, f"1{task_id}", "image-seed")


def later(task_id: str) -> errors.SeedUnavailableError:
    """Return the error of a gateway that had no luck (code 9)."""
    return errors.SeedUnavailableError(task_id=task_id, code=9)


def down() -> errors.TransportError:
    """Return the error of a gateway that is away."""
    return errors.TransportError("connection refused")


@attrs.define(eq=False)
class FakeSeedAPI:
    """Answers a bulk lookup; `nth` counts the requests of that kind for that id, from 1.

    Args:
        on_seed: Answers (id, nth).
        on_list: Answers (ids, nth of the first id).
        on_fetch: Answers (id, nth).
        on_seeds: Answers (ids, nth of the first id) with a sequence of seeds.
    """

    on_seed: Callable[[str, int], Any] = seed
    on_list: Callable[[list[str], int], Any] = page
    on_fetch: Callable[[str, int], Any] = lambda task_id, _nth: Task(task_id)
    on_seeds: Callable[[list[str], int], Any] = lambda ids, _nth: list(map(seed, ids))
    list_size: int = 100
    clock: GatewayClock = attrs.field(factory=GatewayClock)
    asked: list[tuple[float, str, str]] = attrs.field(factory=list)
    busy: int = 0
    busiest: int = 0
    _nth: Counter[tuple[str, str]] = attrs.field(factory=Counter)

    def __attrs_post_init__(self) -> None:
        self.clock.follow("virtual")

    async def fetch_once(self, task_id: str) -> Task:
        """Answer /fetch."""
        answer: Task = await self._answer("fetch", [task_id], self.on_fetch, task_id)
        return answer

    async def list_once(self, task_ids: list[str]) -> TaskList:
        """Answer the list."""
        answer: TaskList = await self._answer("list", task_ids, self.on_list, task_ids)
        return answer

    async def seed_once(self, task_id: str) -> ImageSeed:
        """Answer image-seed."""
        answer: ImageSeed = await self._answer("seed", [task_id], self.on_seed, task_id)
        return answer

    async def seeds_once(self, task_ids: list[str]) -> list[ImageSeed]:
        """Answer image-seed for many."""
        answer: list[ImageSeed] = await self._answer("seeds", task_ids, self.on_seeds, task_ids)
        return answer

    async def _answer(
        self, verb: str, ids: list[str], answer: Callable[[T, int], Any], asked: T
    ) -> Any:
        self.asked.append((round(self.clock.now(), 6), verb, ",".join(ids)))
        self.clock.note_activity()
        self._nth[verb, ids[0]] += 1
        given = answer(asked, self._nth[verb, ids[0]])
        self.busy += verb.startswith("seed")
        self.busiest = max(self.busiest, self.busy)
        try:
            await self.clock.sleep(given.seconds if isinstance(given, After) else 0.0)
        finally:
            self.busy -= verb.startswith("seed")
        given = given.answer if isinstance(given, After) else given
        if isinstance(given, errors.MJError):
            raise given
        return given

    def at(self, verb: str, ids: str | None = None) -> list[float]:
        """Return the times of these requests."""
        return [at for at, kind, which in self.asked if kind == verb and ids in (None, which)]

    def run(self, tasks: Any, **options: Any) -> SeedLookup:
        """Make a lookup, with the options of `AsyncMJClient.image_seeds`."""
        lifecycle = options.pop("lifecycle", None) or Lifecycle(self.clock)
        defaults = {"concurrency": 4, "batch_size": 1, "ask_again_after": 30.0, "max_asks": 3}
        return SeedLookup(
            tasks=tasks,
            gateway=self,
            options=SeedOptions(**{**defaults, **options}),
            clock=self.clock,
            lifecycle=lifecycle,
        )

    async def outcomes_of(self, tasks: Any, **options: Any) -> dict[str, SeedOutcome]:
        """Look up all seeds; each id has one outcome."""
        return await collect(self.run(tasks, **options))


async def collect(run: Any) -> dict[str, SeedOutcome]:
    """Collect the outcomes; each id has one."""
    found: dict[str, SeedOutcome] = {}
    async with run as outcomes:
        async for outcome in outcomes:
            assert outcome.task_id not in found
            found[outcome.task_id] = outcome
    return found


def seeds_of(found: dict[str, SeedOutcome]) -> dict[str, str | None]:
    """Return the seeds that were found; None for an error."""
    return {
        task_id: outcome.seed.seed if outcome.seed else None for task_id, outcome in found.items()
    }
