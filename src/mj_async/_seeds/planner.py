"""What an answer means for the ids of a run of seeds. It neither asks nor waits.

An id goes from the input to the list, and from there to its outcome, or to those whose seed is
asked for. After a failure that may pass it goes to the back, until it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from .. import errors
from .._http.retry import Meaning, delay_before_next_ask, meaning_of
from .._models import ImageSeed, Task
from .._outcomes import SeedOutcome, classify, seedless
from .breaker import CircuitBreaker
from .queues import SeedItem, SeedQueues

if TYPE_CHECKING:
    from .._models import TaskList

RunMeaning: TypeAlias = Meaning | Literal["directly", "singly"]

# Ids without an outcome: those at the back and all others. Above that the input waits.
MOST_UNDER_WAY = 10_000
# How many 429s an id may have for each request that counts: a 429 is about the whole client.
REFUSALS = 10
_UNREADABLE = (errors.UnsupportedError, errors.UnexpectedAnswerError)


@attrs.frozen(kw_only=True)
class SeedOptions:
    """How a run asks, as `AsyncMJClient.image_seeds` was told."""

    concurrency: int
    batch_size: int
    ask_again_after: float
    max_asks: int


class SeedPlanner:
    """All ids of a run that have no outcome yet.

    Args:
        plan: How the run asks.
        give: Takes an outcome.
    """

    def __init__(self, plan: SeedOptions, give: Callable[[SeedOutcome], None]) -> None:
        self._plan = plan
        self._give = give
        self._queues = SeedQueues(plan.concurrency, plan.batch_size)
        self.pulse = CircuitBreaker(plan.concurrency, plan.ask_again_after, plan.max_asks)
        self.input_ended = False
        self.listless = False  # whether the last list could not be read
        self._under_way = 0
        # Failed in a row; the next answer tells whether that counts.
        self._doubtful: list[SeedItem] = []
        self._spent: list[tuple[float, SeedItem, errors.MJError]] = []  # those with no ask left
        self._failed_id = ""

    # --- the input ------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether every id has its outcome."""
        return self.input_ended and not self._under_way

    @property
    def wanted(self) -> int:
        """How many ids may be read now."""
        room = min(self._queues.room, MOST_UNDER_WAY - self._under_way)
        return 0 if self.input_ended else max(0, room)

    def add_all(self, items: Sequence[str | Task]) -> bool:
        """Take ids, to be listed, and tasks, which tell by themselves.

        Returns:
            Whether somebody may have something to do now who had not before.
        """
        before = self._queues.fresh
        for item in items:
            self._under_way += 1
            if isinstance(item, Task):
                self._sort(SeedItem(item.id), item)
            else:
                self._queues.add(SeedItem(item))
        came = self._queues.fresh - before
        return not before or came != len(items) or not self._queues.room

    # --- what is asked next ---------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When there will be something to ask; None: not before something else happens."""
        return self.pulse.due if self.pulse.held else self._queues.due

    def take_pulse(self, now: float) -> str | None:
        """Give an id to find out with whether the gateway lives; None: not now."""
        return self._failed_id if self.pulse.take(now) else None

    def take_list(self, now: float, size: int) -> list[SeedItem]:
        """Give what is to be listed now, so many at most."""
        if self.pulse.held:
            return []
        return self._begun(self._queues.take_list(now, size, part=self.input_ended))

    def list_due(self, now: float) -> float | None:
        """When there will be something to list; None: not before something else happens."""
        part = None if self.pulse.held else self._queues.part_due(now)
        return min((at for at in (self.due, part) if at is not None), default=None)

    def take_seeds(self, now: float) -> list[SeedItem]:
        """Give those whose seeds are to be asked for now, in one request."""
        return [] if self.pulse.held else self._begun(self._queues.take_seeds(now))

    def _begun(self, entries: list[SeedItem]) -> list[SeedItem]:
        for entry in entries:
            entry.era = self.pulse.era
        return entries

    # --- what an answer means -------------------------------------------------------------

    def listed(self, entries: Sequence[SeedItem], tasks: TaskList) -> None:
        """Take the answer to a list."""
        self._answered()
        self.listless = False
        for entry in entries:
            if entry.task_id in tasks:
                self._sort(entry, tasks[entry.task_id])
            else:
                self._fail(entry, errors.TaskNotFoundError(task_id=entry.task_id))

    def _sort(self, entry: SeedItem, task: Task) -> None:
        outcome = classify(entry.task_id, task)
        if outcome is None:
            self._ask_for_seed(entry, task)
        else:
            self._land(outcome)

    def _ask_for_seed(self, entry: SeedItem, task: Task | None) -> None:
        entry.task, entry.listed = task, True
        entry.asks = entry.doubts = 0
        self._queues.add(entry)

    def seeded(self, entries: Sequence[SeedItem], seeds: Sequence[ImageSeed]) -> None:
        """Take the answer to a request for seeds; whom it leaves out is asked for alone."""
        self._answered()
        found = {seed.task_id: seed for seed in seeds}
        found |= {seed.task_id: seed for seed in seeds if seed.seed is not None}
        for entry in entries:
            seed = found.get(entry.task_id)
            if seed is None:
                entry.alone = True
                self._queues.add(entry)
            elif seed.seed is None:  # the documented answer, a task without one
                self._fail(entry, seedless(entry.task_id, seed.task))
            else:
                whole = attrs.evolve(seed, task=seed.task or entry.task)
                self._land(SeedOutcome(entry.task_id, whole))

    def failed(self, entries: Sequence[SeedItem], error: errors.MJError, now: float) -> None:
        """Take what a list, or a request for seeds, failed with."""
        meaning = _meaning_for(entries, error)
        for entry in entries if len(entries) > 1 and meaning != "refused" else ():
            entry.alone = entry.listed  # whose failure is it?
        if meaning == "silence":
            self._doubt(entries, error, now)
        else:
            self._answered()
            self.listless = self.listless or meaning == "directly"
            for entry in entries:
                self._take(entry, error, meaning, now)
        if len(self._spent) == self._under_way and not self.pulse.held:
            self.settle()  # nobody is left whose answer could tell

    def _take(
        self, entry: SeedItem, error: errors.MJError, meaning: RunMeaning, now: float
    ) -> None:
        most = self._plan.max_asks
        if meaning == "directly":
            self._ask_for_seed(entry, None)
        elif meaning == "singly":
            self._queues.add(entry)
        elif meaning == "refused":
            entry.refusals += 1
            self._put_back(entry, error, now, exhausted=entry.refusals >= REFUSALS * most)
        elif meaning == "later":
            entry.asks += 1
            self._put_back(entry, error, now, exhausted=entry.asks >= most)
        else:
            self._fail(entry, error)

    def _put_back(
        self, entry: SeedItem, error: errors.MJError, now: float, *, exhausted: bool
    ) -> None:
        if exhausted:
            self._fail(entry, error)
        else:
            self._queues.put_back(entry, self._due(entry, error, now))

    def _due(self, entry: SeedItem, error: errors.MJError, now: float) -> float:
        wait = self._plan.ask_again_after
        return now + delay_before_next_ask(error, wait, for_seed=entry.listed)

    def _fail(self, entry: SeedItem, error: errors.MJError) -> None:
        own = error if error.task_id == entry.task_id else copy(error)
        own.task_id = entry.task_id
        if isinstance(own, errors.SeedUnavailableError):
            own.task = own.task or entry.task
        self._land(SeedOutcome(entry.task_id, error=own))

    def _land(self, outcome: SeedOutcome) -> None:
        self._under_way -= 1
        self._give(outcome)

    # --- whether the gateway lives --------------------------------------------------------

    def probed(self, error: errors.MJError | None) -> None:
        """Take the answer to whether the gateway lives."""
        if error is not None and meaning_of(error) == "silence":
            self.pulse.is_silent()
            self._forgive()
        else:
            self.pulse.lives()
            self.settle()

    def _doubt(self, entries: Sequence[SeedItem], error: errors.MJError, now: float) -> None:
        """Take a failure that may be the gateway's, and not the ids'."""
        self._failed_id = entries[0].task_id
        known = self.pulse.silences > 0 or entries[0].era != self.pulse.era
        for entry in entries:
            entry.doubts += not known
            due = self._due(entry, error, now)
            if entry.asks + entry.doubts < self._plan.max_asks:
                self._queues.put_back(entry, due)
            else:
                self._spent.append((due, entry, error))
        if not known:  # that the gateway was down when it was asked
            self._doubtful += entries
            self.pulse.failed(now)

    def _answered(self) -> None:
        self.pulse.answered()
        if not self.pulse.held:
            self.settle()

    def settle(self) -> None:
        """Count the failures in a row, for the gateway lives; those with no ask left end."""
        for entry in self._doubtful:
            entry.asks, entry.doubts = entry.asks + entry.doubts, 0
        spent, self._doubtful, self._spent = self._spent, [], []
        for _, entry, error in spent:
            self._fail(entry, error)

    def _forgive(self) -> None:
        """Do not count them: it does not."""
        for entry in self._doubtful:
            entry.doubts = 0
        for due, entry, _ in self._spent:
            self._queues.put_back(entry, due)
        self._doubtful, self._spent = [], []


def _meaning_for(entries: Sequence[SeedItem], error: errors.MJError) -> RunMeaning:
    """Tell what an error means for those who were asked for together.

    "directly": there is no list to be read, so their seeds are asked for. "singly": a refusal of
    many is not known to be that of one.
    """
    listed = entries[0].listed
    if not listed and isinstance(error, _UNREADABLE):
        return "directly"
    meaning = meaning_of(error)
    return "singly" if meaning == "final" and listed and len(entries) > 1 else meaning
