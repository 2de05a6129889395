"""Which ids of a bulk lookup are asked for next, and what an answer means for them. Pure.

An id goes from the input to a list, and from there to its outcome, or to a request for its seed.
After a failure that may pass it is put back until its retry is due.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from itertools import count, islice
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from .. import errors
from .._http.retry import SEED_PAUSE, is_temporary, is_timeout
from .._models import ImageSeed, Task
from .._outcomes import SeedOutcome, failure_of, may_come_later
from .breaker import CircuitBreaker

if TYPE_CHECKING:
    from .._models import TaskList

# "outage": the gateway may be down. "no_list": lists cannot be read here, so the seeds are asked
# for at once. "split": it is not known whose failure it is, so each id is asked for alone.
Meaning: TypeAlias = Literal["rate_limited", "outage", "retry", "final", "no_list", "split"]

# Ids without an outcome, those at the back included. Above that the input waits.
MAX_PENDING_IDS = 10_000
# An id may have so many 429s for each request that counts: a 429 is about the whole client.
RATE_LIMITS_PER_ASK = 10
# The most ids that are read before they can be listed, or listed before their seeds can be asked.
MAX_READ_AHEAD = 100
# Seconds without input after which fewer ids than fill a request are listed: the input may wait
# for their outcomes before it gives more.
PARTIAL_LIST_DELAY = 0.5


@attrs.frozen(kw_only=True)
class SeedOptions:
    """The options of `AsyncMJClient.image_seeds`."""

    concurrency: int
    batch_size: int
    ask_again_after: float
    max_asks: int


@attrs.define(eq=False)
class SeedItem:
    """An id without an outcome.

    Args:
        is_listed: True if the next request asks for its seed; else the next one is a list.
        alone: True if that request must ask for this id only.
        asks: The requests of the present kind that count.
        provisional: Those that count only if the gateway turns out to be up.
        rate_limits: The answers with status 429.
    """

    task_id: str
    task: Task | None = None
    is_listed: bool = False
    alone: bool = False
    asks: int = 0
    provisional: int = 0
    rate_limits: int = 0


class SeedQueues:
    """New items, items whose seeds can be asked for, and items that wait for their retry.

    Args:
        concurrency: While so many seeds can be asked for, nothing is listed.
        batch_size: How many seeds one request asks for.
    """

    def __init__(self, concurrency: int, batch_size: int) -> None:
        self._concurrency = concurrency
        self._batch_size = batch_size
        self._new: deque[SeedItem] = deque()
        self._relist: deque[SeedItem] = deque()
        self._ready: deque[SeedItem] = deque()
        self._delayed: list[tuple[float, int, SeedItem]] = []
        self._count = count()  # two items of one instant keep their order
        self.input_ended = False
        self._arrived = 0
        self._quiet = -math.inf, 0  # until when, and how many had arrived when it began

    @property
    def unlisted(self) -> int:
        """The number of new items that have not been listed."""
        return len(self._new)

    @property
    def room(self) -> int:
        """How many more ids may be read."""
        return MAX_READ_AHEAD - len(self._new) if len(self._ready) < MAX_READ_AHEAD else 0

    @property
    def due(self) -> float | None:
        """The time of the first retry."""
        return self._delayed[0][0] if self._delayed else None

    def add(self, item: SeedItem) -> None:
        """Append an item to the queue of its next request."""
        if item.is_listed:
            self._ready.append(item)
        else:
            self._arrived += 1
            self._new.append(item)

    def put_back(self, item: SeedItem, due: float) -> None:
        """Keep an item at the back until its retry is due."""
        heapq.heappush(self._delayed, (due, next(self._count), item))

    def next_list(self, now: float, size: int) -> list[SeedItem]:
        """Return the items to list now, at most `size`; new ones only if they fill a request.

        After the end of the input, or `PARTIAL_LIST_DELAY` without any, fewer are enough.
        """
        self._release_due(now)
        if not self._may_list:
            return []
        if self._relist:
            return _pop(self._relist, size)
        until, arrived = self._quiet
        is_quiet = arrived == self._arrived and until <= now
        fills = len(self._new) >= size
        return _pop(self._new, size) if fills or is_quiet or self.input_ended else []

    def list_due(self, now: float) -> float | None:
        """Return the time of the next list; None if something else must happen first."""
        if not self._new or not self._may_list:
            return self.due
        # By the number that arrived, and not by the time alone: the testing kit's clock jumps
        # forward between two ids.
        if self._quiet[1] != self._arrived:
            self._quiet = now + PARTIAL_LIST_DELAY, self._arrived
        return self._quiet[0] if self.due is None else min(self.due, self._quiet[0])

    def next_seeds(self, now: float) -> list[SeedItem]:
        """Return the items whose seeds the next request asks for."""
        self._release_due(now)
        first = list(islice(self._ready, self._batch_size))
        together = next((at for at, item in enumerate(first) if item.alone), len(first))
        return _pop(self._ready, max(1, together))

    @property
    def _may_list(self) -> bool:
        return len(self._ready) < self._concurrency

    def _release_due(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            item = heapq.heappop(self._delayed)[-1]
            (self._ready if item.is_listed else self._relist).append(item)


class SeedPlanner:
    """The ids of a bulk lookup that have no outcome yet.

    Args:
        options: The options of the lookup.
        emit: Receives each outcome.

    Attributes:
        lists_unreadable: True if the last list could not be read.
        failed_id: The id to probe the gateway with.
    """

    def __init__(self, options: SeedOptions, emit: Callable[[SeedOutcome], None]) -> None:
        self._options = options
        self._emit = emit
        self.queues = SeedQueues(options.concurrency, options.batch_size)
        self.breaker = CircuitBreaker(
            options.concurrency, options.ask_again_after, options.max_asks
        )
        self.lists_unreadable = False
        self._pending = 0
        # Failures that count if the gateway turns out to be up. The time is None if the item has
        # been put back already; else it has no request left, and waits here.
        self._uncommitted: list[tuple[SeedItem, errors.MJError, float | None]] = []
        self.failed_id = ""

    # --- the input ------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """True if each id has its outcome."""
        return self.queues.input_ended and not self._pending

    @property
    def wanted(self) -> int:
        """The number of ids that may be read now."""
        return min(self.queues.room, MAX_PENDING_IDS - self._pending)

    def add_all(self, items: Sequence[str | Task]) -> bool:
        """Add ids, which will be listed, and tasks, which are not. Return True if work arose."""
        before = self.queues.unlisted
        for item in items:
            self._pending += 1
            if isinstance(item, Task):
                self._record_task(SeedItem(item.id), item)
            else:
                self.queues.add(SeedItem(item))
        arrived = self.queues.unlisted - before
        return not before or arrived != len(items) or not self.queues.room

    # --- what an answer means -------------------------------------------------------------

    def record_list(self, items: Sequence[SeedItem], tasks: TaskList) -> None:
        """Record the answer to a list."""
        self._record_success()
        self.lists_unreadable = False
        for item in items:
            if item.task_id in tasks:
                self._record_task(item, tasks[item.task_id])
            else:
                self._fail(item, errors.TaskNotFoundError(task_id=item.task_id))

    def _record_task(self, item: SeedItem, task: Task) -> None:
        if task.seed is not None:
            self._finish(item, ImageSeed(item.task_id, task.seed, "list", task))
        elif task.succeeded:
            self._request_seed(item, task)
        else:
            self._fail(item, _no_seed_error(item.task_id, task))

    def _request_seed(self, item: SeedItem, task: Task | None) -> None:
        item.task, item.is_listed = task, True
        item.asks = item.provisional = 0
        self.queues.add(item)

    def record_seeds(self, items: Sequence[SeedItem], seeds: Sequence[ImageSeed]) -> None:
        """Record the answer to a request for seeds; ids that it omits are asked for alone."""
        self._record_success()
        found = {seed.task_id: seed for seed in seeds}
        found |= {seed.task_id: seed for seed in seeds if seed.seed is not None}
        for item in items:
            seed = found.get(item.task_id)
            if seed is None:
                item.alone = True
                self.queues.add(item)
            elif seed.seed is None:  # the documented answer: a task, which has no seed
                self._fail(item, _no_seed_error(item.task_id, seed.task))
            else:
                self._finish(item, attrs.evolve(seed, task=seed.task or item.task))

    def record_failure(
        self, items: Sequence[SeedItem], error: errors.MJError, now: float, outages: int
    ) -> None:
        """Record the error of a list, or of a request for seeds.

        `outages` is what `breaker.outages` was when the request was sent: if an outage has ended
        since then, the request was lost in it.
        """
        meaning = meaning_of(error, items)
        for item in items if len(items) > 1 and meaning != "rate_limited" else ():
            item.alone = item.is_listed  # whose failure is it?
        if meaning == "outage":
            self._record_provisional(items, error, now, outages)
        else:
            self._record_success()
            for item in items:
                self._apply(item, error, meaning, now)
        waiting = sum(retry_at is not None for *_, retry_at in self._uncommitted)
        if waiting == self._pending and not self.breaker.is_open:
            self.commit()  # no other id is left whose answer could tell

    def _apply(self, item: SeedItem, error: errors.MJError, meaning: Meaning, now: float) -> None:
        item.asks += meaning == "retry"
        item.rate_limits += meaning == "rate_limited"
        limit = self._options.max_asks
        if meaning == "no_list":
            self.lists_unreadable = True
            self._request_seed(item, None)
        elif meaning == "split":
            self.queues.add(item)
        elif (
            meaning == "final"
            or item.asks >= limit
            or item.rate_limits >= RATE_LIMITS_PER_ASK * limit
        ):
            self._fail(item, error)
        else:
            self.queues.put_back(item, self._retry_time(item, error, now))

    def _retry_time(self, item: SeedItem, error: errors.MJError, now: float) -> float:
        wait = self._options.ask_again_after
        return now + delay_before_next_ask(error, wait, for_seed=item.is_listed)

    def _fail(self, item: SeedItem, error: errors.MJError) -> None:
        own = error if error.task_id == item.task_id else copy(error)
        own.task_id = item.task_id
        if isinstance(own, errors.SeedUnavailableError):
            own.task = own.task or item.task
        self._finish(item, None, own)

    def _finish(
        self, item: SeedItem, seed: ImageSeed | None, error: errors.MJError | None = None
    ) -> None:
        self._pending -= 1
        self._emit(SeedOutcome(item.task_id, seed, error))

    # --- whether the gateway is up --------------------------------------------------------

    def record_probe(self, error: errors.MJError | None) -> None:
        """Record the result of a probe."""
        if error is not None and meaning_of(error) == "outage":
            self.breaker.probe_failed()
            self._discard()
        else:
            self.breaker.close()
            self.commit()

    def _record_provisional(
        self, items: Sequence[SeedItem], error: errors.MJError, now: float, outages: int
    ) -> None:
        """Record a failure that counts against the ids only if the gateway turns out to be up."""
        self.failed_id = items[0].task_id
        was_down = self.breaker.failed_probes > 0 or outages != self.breaker.outages
        for item in items:
            item.provisional += not was_down
            retry_at = self._retry_time(item, error, now)
            has_more = item.asks + item.provisional < self._options.max_asks
            if has_more:
                self.queues.put_back(item, retry_at)
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
        uncommitted, self._uncommitted = self._uncommitted, []
        for item, _, retry_at in uncommitted:
            item.provisional = 0
            if retry_at is not None:
                self.queues.put_back(item, retry_at)


def meaning_of(error: errors.MJError, items: Sequence[SeedItem] = ()) -> Meaning:
    """Return what an error means for the ids that one request asked for."""
    is_list = bool(items) and not items[0].is_listed
    is_5xx = isinstance(error, errors.ServerError) and (error.status_code or 0) >= 500
    if isinstance(error, errors.RateLimitError):
        return "rate_limited"
    if is_5xx or isinstance(error, errors.TransportError):
        return "outage"
    if is_list and isinstance(error, errors.UnsupportedError | errors.UnexpectedAnswerError):
        return "no_list"
    may_change = isinstance(error, errors.SeedUnavailableError) and may_come_later(error)
    if may_change or is_temporary(error):
        return "retry"
    return "split" if len(items) > 1 and not is_list else "final"


def delay_before_next_ask(
    error: errors.MJError, ask_again_after: float, *, for_seed: bool
) -> float:
    """Return for how many seconds an id is left alone before it is asked again.

    That is longer than `ask_again_after` for a Retry-After, and after a request for a seed that
    timed out: the gateway goes on with that request.
    """
    pause = SEED_PAUSE if for_seed and is_timeout(error) else 0.0
    return max(ask_again_after, pause, getattr(error, "retry_after", None) or 0.0)


def _no_seed_error(task_id: str, task: Task | None) -> errors.MJError:
    failure = None if task is None else failure_of(task_id, task)
    return failure or errors.SeedUnavailableError(task_id=task_id, task=task)


def _pop(queue: deque[SeedItem], limit: int) -> list[SeedItem]:
    return [queue.popleft() for _ in range(min(limit, len(queue)))]
