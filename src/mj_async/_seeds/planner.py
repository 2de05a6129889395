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
from .._http.retry import SEED_PAUSE, is_temporary, is_timeout
from .._models import ImageSeed, Task
from .._outcomes import SeedOutcome, failure_of, may_come_later
from .breaker import CircuitBreaker
from .queues import SeedItem, SeedQueues

if TYPE_CHECKING:
    from .._models import TaskList

Meaning: TypeAlias = Literal["refused", "silence", "later", "final"]
RunMeaning: TypeAlias = Meaning | Literal["directly", "singly"]

# Ids without an outcome: those at the back and all others. Above that the input waits.
MAX_PENDING_IDS = 10_000
# How many 429s an id may have for each request that counts: a 429 is about the whole client.
RATE_LIMITS_PER_ASK = 10
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
        options: How the run asks.
        emit: Takes an outcome.
    """

    def __init__(self, options: SeedOptions, emit: Callable[[SeedOutcome], None]) -> None:
        self._options = options
        self._emit = emit
        self._queues = SeedQueues(options.concurrency, options.batch_size)
        self.breaker = CircuitBreaker(
            options.concurrency, options.ask_again_after, options.max_asks
        )
        self.input_ended = False
        self.lists_unreadable = False  # whether the last list could not be read
        self._pending = 0
        # Failures that count if the gateway turns out to be up. The time is None where the item
        # has been put back already; else it has no request left, and waits here.
        self._uncommitted: list[tuple[SeedItem, errors.MJError, float | None]] = []
        self._failed_id = ""

    # --- the input ------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether every id has its outcome."""
        return self.input_ended and not self._pending

    @property
    def wanted(self) -> int:
        """How many ids may be read now."""
        room = min(self._queues.room, MAX_PENDING_IDS - self._pending)
        return 0 if self.input_ended else max(0, room)

    def add_all(self, items: Sequence[str | Task]) -> bool:
        """Take ids, to be listed, and tasks, which tell by themselves.

        Returns:
            Whether somebody may have something to do now who had not before.
        """
        before = self._queues.unlisted
        for item in items:
            self._pending += 1
            if isinstance(item, Task):
                self._record_task(SeedItem(item.id), item)
            else:
                self._queues.add(SeedItem(item))
        arrived = self._queues.unlisted - before
        return not before or arrived != len(items) or not self._queues.room

    # --- what is asked next ---------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When there will be something to ask; None: not before something else happens."""
        return self.breaker.probe_at if self.breaker.is_open else self._queues.due

    def next_probe(self, now: float) -> str | None:
        """Give an id to find out with whether the gateway lives; None: not now."""
        return self._failed_id if self.breaker.try_probe(now) else None

    def next_list(self, now: float, size: int) -> list[SeedItem]:
        """Give what is to be listed now, so many at most."""
        if self.breaker.is_open:
            return []
        return self._queues.next_list(now, size, partial=self.input_ended)

    def list_due(self, now: float) -> float | None:
        """When there will be something to list; None: not before something else happens."""
        partial = None if self.breaker.is_open else self._queues.partial_due(now)
        return min((at for at in (self.due, partial) if at is not None), default=None)

    def next_seeds(self, now: float) -> list[SeedItem]:
        """Give those whose seeds are to be asked for now, in one request."""
        return [] if self.breaker.is_open else self._queues.next_seeds(now)

    # --- what an answer means -------------------------------------------------------------

    def record_list(self, items: Sequence[SeedItem], tasks: TaskList) -> None:
        """Take the answer to a list."""
        self._record_success()
        self.lists_unreadable = False
        for item in items:
            if item.task_id in tasks:
                self._record_task(item, tasks[item.task_id])
            else:
                self._fail(item, errors.TaskNotFoundError(task_id=item.task_id))

    def _record_task(self, item: SeedItem, task: Task) -> None:
        outcome = classify(item.task_id, task)
        if outcome is None:
            self._ask_for_seed(item, task)
        else:
            self._finish(outcome)

    def _ask_for_seed(self, item: SeedItem, task: Task | None) -> None:
        item.task, item.is_listed = task, True
        item.asks = item.provisional = 0
        self._queues.add(item)

    def record_seeds(self, items: Sequence[SeedItem], seeds: Sequence[ImageSeed]) -> None:
        """Take the answer to a request for seeds; whom it leaves out is asked for alone."""
        self._record_success()
        found = {seed.task_id: seed for seed in seeds}
        found |= {seed.task_id: seed for seed in seeds if seed.seed is not None}
        for item in items:
            seed = found.get(item.task_id)
            if seed is None:
                item.alone = True
                self._queues.add(item)
            elif seed.seed is None:  # the documented answer, a task without one
                self._fail(item, no_seed_error(item.task_id, seed.task))
            else:
                whole = attrs.evolve(seed, task=seed.task or item.task)
                self._finish(SeedOutcome(item.task_id, whole))

    def record_failure(
        self, items: Sequence[SeedItem], error: errors.MJError, now: float, *, outages: int = 0
    ) -> None:
        """Record what a list, or a request for seeds, failed with.

        Args:
            items: The ids that it asked for.
            error: Its error.
            now: The time.
            outages: `breaker.outages` at the time at which it was sent.
        """
        meaning = _meaning_for(items, error)
        for item in items if len(items) > 1 and meaning != "refused" else ():
            item.alone = item.is_listed  # whose failure is it?
        if meaning == "silence":
            self._record_provisional(items, error, now, outages)
        else:
            self._record_success()
            self.lists_unreadable = self.lists_unreadable or meaning == "directly"
            for item in items:
                self._apply(item, error, meaning, now)
        waiting = sum(retry_at is not None for _, _, retry_at in self._uncommitted)
        if waiting == self._pending and not self.breaker.is_open:
            self.commit()  # nobody is left whose answer could tell

    def _apply(
        self, item: SeedItem, error: errors.MJError, meaning: RunMeaning, now: float
    ) -> None:
        most = self._options.max_asks
        if meaning == "directly":
            self._ask_for_seed(item, None)
        elif meaning == "singly":
            self._queues.add(item)
        elif meaning == "refused":
            item.rate_limits += 1
            self._put_back(
                item, error, now, exhausted=item.rate_limits >= RATE_LIMITS_PER_ASK * most
            )
        elif meaning == "later":
            item.asks += 1
            self._put_back(item, error, now, exhausted=item.asks >= most)
        else:
            self._fail(item, error)

    def _put_back(
        self, item: SeedItem, error: errors.MJError, now: float, *, exhausted: bool
    ) -> None:
        if exhausted:
            self._fail(item, error)
        else:
            self._queues.put_back(item, self._retry_time(item, error, now))

    def _retry_time(self, item: SeedItem, error: errors.MJError, now: float) -> float:
        wait = self._options.ask_again_after
        return now + delay_before_next_ask(error, wait, for_seed=item.is_listed)

    def _fail(self, item: SeedItem, error: errors.MJError) -> None:
        own = error if error.task_id == item.task_id else copy(error)
        own.task_id = item.task_id
        if isinstance(own, errors.SeedUnavailableError):
            own.task = own.task or item.task
        self._finish(SeedOutcome(item.task_id, error=own))

    def _finish(self, outcome: SeedOutcome) -> None:
        self._pending -= 1
        self._emit(outcome)

    # --- whether the gateway lives --------------------------------------------------------

    def record_probe(self, error: errors.MJError | None) -> None:
        """Take the answer to whether the gateway lives."""
        if error is not None and meaning_of(error) == "silence":
            self.breaker.probe_failed()
            self._discard()
        else:
            self.breaker.close()
            self.commit()

    def _record_provisional(
        self, items: Sequence[SeedItem], error: errors.MJError, now: float, outages: int
    ) -> None:
        """Record a failure that counts against the ids only if the gateway turns out to be up."""
        self._failed_id = items[0].task_id
        was_down = self.breaker.failed_probes > 0 or outages != self.breaker.outages
        for item in items:
            retry_at = self._retry_time(item, error, now)
            item.provisional += not was_down
            has_more = item.asks + item.provisional < self._options.max_asks
            if has_more:
                self._queues.put_back(item, retry_at)
            if not was_down:
                self._uncommitted.append((item, error, None if has_more else retry_at))
        if not was_down:
            self.breaker.record_failure(now)

    def _record_success(self) -> None:
        self.breaker.record_success()
        if not self.breaker.is_open:
            self.commit()

    def commit(self) -> None:
        """Count the provisional failures: the gateway is up."""
        uncommitted, self._uncommitted = self._uncommitted, []
        for item, error, retry_at in uncommitted:
            item.asks, item.provisional = item.asks + item.provisional, 0
            if retry_at is not None:
                self._fail(item, error)

    def _discard(self) -> None:
        """Forget the provisional failures: the gateway is down."""
        uncommitted, self._uncommitted = self._uncommitted, []
        for item, _, retry_at in uncommitted:
            item.provisional = 0
            if retry_at is not None:
                self._queues.put_back(item, retry_at)


def _meaning_for(items: Sequence[SeedItem], error: errors.MJError) -> RunMeaning:
    """Tell what an error means for those who were asked for together.

    "directly": there is no list to be read, so their seeds are asked for. "singly": a refusal of
    many is not known to be that of one.
    """
    is_listed = items[0].is_listed
    if not is_listed and isinstance(error, _UNREADABLE):
        return "directly"
    meaning = meaning_of(error)
    return "singly" if meaning == "final" and is_listed and len(items) > 1 else meaning


def meaning_of(error: errors.MJError) -> Meaning:
    """Tell what an error says of an id that a run of seeds has asked for.

    "refused" is a 429, "silence" says that nobody may be there, "later" may be had later.
    """
    match error:
        case errors.RateLimitError():
            return "refused"
        case errors.TransportError():
            return "silence"
        case errors.ServerError() if (error.status_code or 0) >= 500:
            return "silence"
        case errors.SeedUnavailableError() if may_come_later(error):
            return "later"
    return "later" if is_temporary(error) else "final"


def delay_before_next_ask(
    error: errors.MJError, ask_again_after: float, *, for_seed: bool
) -> float:
    """Say how long a run of seeds leaves an id alone that may be had later.

    Args:
        error: What was heard of it.
        ask_again_after: The run's.
        for_seed: Whether the seed was asked for, and not the list.

    Returns:
        Seconds: longer than the run's after a time-out, or for a Retry-After.
    """
    pause = SEED_PAUSE if for_seed and is_timeout(error) else 0.0
    return max(ask_again_after, pause, getattr(error, "retry_after", None) or 0.0)


def classify(task_id: str, task: Task) -> SeedOutcome | None:
    """Tell what a task says of its seed; None: it must be asked for."""
    if task.seed is not None:
        return SeedOutcome(task_id, ImageSeed(task_id, task.seed, "list", task))
    return None if task.succeeded else SeedOutcome(task_id, error=no_seed_error(task_id, task))


def no_seed_error(task_id: str, task: Task | None) -> errors.MJError:
    """Make the error of a task that shows no seed."""
    failure = None if task is None else failure_of(task_id, task)
    return failure or errors.SeedUnavailableError(task_id=task_id, task=task)
