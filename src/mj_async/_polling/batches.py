"""One poll for many waits: which ids to ask for next, and when, in ticks and batches.

It decides and does not wait: the time of the clock is an argument.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .. import errors
from .._models import Task

if TYPE_CHECKING:
    from .watch import Watch

Answers: TypeAlias = Mapping[str, Task | errors.MJError]

MAX_IN_FLIGHT = 4
# Webhooks are unsigned: a flood of forged ones must not become a flood of requests.
_URGENT_PER_TICK = 2
_URGENT_REQUESTS_PER_TICK = 10


@attrs.frozen
class PollRequest:
    """One request: a `/fetch` of one id, or a list.

    `at` is the time of the clock from which it may be sent, or at which it was sent.
    """

    at: float
    task_ids: tuple[str, ...]
    is_fetch: bool = False


@attrs.define(kw_only=True, eq=False)
class BatchScheduler:
    """The requests of all waits of a poller.

    A tick is `interval` long. At its start the ids that are due, to the nearest tick, are put into
    batches, and the batches are spread evenly over the tick. Ids that a list leaves out are fetched
    one by one, at most `batch_size` a tick.

    Args:
        interval: Seconds of a tick.
        jitter: The share by which a tick may be shorter or longer.
        batch_size: The most ids in one list call.
        has_list: Returns True if the gateway has a list, as far as is known.
    """

    interval: float
    jitter: float
    batch_size: int
    has_list: Callable[[], bool]
    _watches: dict[str, tuple[Watch, ...]] = attrs.field(factory=dict, init=False)
    _queue: deque[PollRequest] = attrs.field(factory=deque, init=False)
    _ids_in_flight: set[str] = attrs.field(factory=set, init=False)
    _in_flight: int = attrs.field(default=0, init=False)
    _tick: float = attrs.field(default=0.0, init=False)
    _next_tick: float = attrs.field(default=0.0, init=False)
    _fetches_left: int = attrs.field(default=0, init=False)
    _urgent: dict[str, None] = attrs.field(factory=dict, init=False)
    _urgent_from: float = attrs.field(default=0.0, init=False)
    _urgent_counts: dict[str, int] = attrs.field(factory=dict, init=False)

    # --- the waits ------------------------------------------------------------------------

    def join(self, watch: Watch, now: float) -> None:
        """Add a watch; it is due at the next tick, and the first one to come starts a tick."""
        if not self._watches and (watch.polls == 0 or now >= self._next_tick):
            self._next_tick = now
        others = self._watches.get(watch.task_id, ())
        self._watches[watch.task_id] = (*others, watch)
        if watch.is_urgent and self._urgent_counts.get(watch.task_id, 0) <= _URGENT_PER_TICK:
            self._urgent[watch.task_id] = None

    def leave(self, watch: Watch) -> None:
        """Remove a watch; an id without a watch is not asked for any more."""
        task_id = watch.task_id
        others = list(self._watches.pop(task_id))
        others.remove(watch)
        if others:
            self._watches[task_id] = tuple(others)
        else:
            self._urgent.pop(task_id, None)

    def mark_urgent(self, task_id: str) -> None:
        """Make the poll of an id due now; after too many such calls, at the next tick."""
        if task_id not in self._watches:
            return
        self._urgent_counts[task_id] = self._urgent_counts.get(task_id, 0) + 1
        if self._urgent_counts[task_id] <= _URGENT_PER_TICK:
            self._urgent[task_id] = None
        for watch in self._watches[task_id]:
            watch.is_urgent = True

    # --- what to send ---------------------------------------------------------------------

    def next_request(self, now: float) -> PollRequest | None:
        """Start the next request that may be sent now; `on_answers`, `repeat` or `drop` ends it."""
        if now >= self._next_tick:
            self._start_tick(now)
        if self._urgent and now >= self._urgent_from:
            self._queue_urgent(now)
        while self._in_flight < MAX_IN_FLIGHT and self._queue and self._queue[0].at <= now:
            request = self._queue.popleft()
            due = [one for one in request.task_ids if self._is_due(one, now)]
            if not request.is_fetch and not self.has_list():
                self._spread(due, now, is_fetch=True)
            elif due:
                return self._start(PollRequest(now, tuple(due), request.is_fetch))
        return None

    def next_check_at(self) -> float:
        """Return the time at which `next_request` may have one, if nothing happens before."""
        times = [self._next_tick]
        if self._in_flight < MAX_IN_FLIGHT:
            times += [self._queue[0].at] if self._queue else []
            times += [self._urgent_from] if self._urgent and self._ready_urgent() else []
        return min(times)

    def is_awaited(self, request: PollRequest) -> bool:
        """Return True if a watch without news waits for the answer to a request."""
        return bool(self._without_news(request.task_ids))

    def _start_tick(self, now: float) -> None:
        late = now - self._next_tick
        self._tick = self._next_tick if late < self.interval else now
        length = self.interval * random.uniform(1.0 - self.jitter, 1.0 + self.jitter)
        self._next_tick = self._tick + length
        self._fetches_left = self.batch_size
        self._urgent_counts.clear()
        # What the last tick did not come to is among the due, and the first of them.
        self._queue.clear()
        # Ids in flight come last: their answer may come in time, so `next_request` looks again.
        due = [one for one in self._watches if one in self._ids_in_flight or self._is_due(one, now)]
        due.sort(key=lambda one: (one in self._ids_in_flight, self._due_at(one)))
        self._spread(due, now, is_fetch=not self.has_list())

    def _queue_urgent(self, now: float) -> None:
        ready = self._ready_urgent()[: self.batch_size]
        if ready:
            self._urgent_from = now + self.interval / _URGENT_REQUESTS_PER_TICK
            for task_id in ready:
                del self._urgent[task_id]
            self._queue.appendleft(PollRequest(now, tuple(ready)))

    def _ready_urgent(self) -> list[str]:
        idle = [task_id for task_id in self._urgent if task_id not in self._ids_in_flight]
        return [task_id for task_id in idle if self._without_news([task_id])]

    def _without_news(self, task_ids: Iterable[str]) -> list[Watch]:
        return [
            watch
            for task_id in task_ids
            for watch in self._watches.get(task_id, ())
            if not watch.has_news
        ]

    def _due_at(self, task_id: str) -> float:
        due = math.inf
        for watch in self._watches.get(task_id, ()):
            if not watch.has_news:
                due = min(due, -math.inf if watch.is_urgent else watch.due)
        return due

    def _is_due(self, task_id: str, now: float) -> bool:
        due = self._due_at(task_id)
        is_due = due <= now or due < self._tick + self.interval / 2
        return is_due and task_id not in self._ids_in_flight

    def _spread(self, task_ids: list[str], now: float, *, is_fetch: bool) -> None:
        """Queue requests for ids evenly over the rest of the tick, instead of all at once."""
        size = self.batch_size
        if is_fetch:
            size, task_ids = 1, task_ids[: self._fetches_left]
            self._fetches_left -= len(task_ids)
        starts = range(0, len(task_ids), size)
        step = (self._next_tick - now) / max(1, len(starts))
        for number, start in enumerate(starts):
            batch = tuple(task_ids[start : start + size])
            self._queue.append(PollRequest(now + step * number, batch, is_fetch))
        self._queue = deque(sorted(self._queue, key=attrgetter("at")))

    def _start(self, request: PollRequest) -> PollRequest:
        self._in_flight += 1
        self._ids_in_flight.update(request.task_ids)
        for watch in self._without_news(request.task_ids):
            watch.count_poll()
        return request

    # --- what came back -------------------------------------------------------------------

    def drop(self, request: PollRequest) -> None:
        """End a request without an answer; its ids are due at the next tick."""
        self._in_flight -= 1
        self._ids_in_flight.difference_update(request.task_ids)

    def repeat(self, request: PollRequest, now: float) -> None:
        """End a request that was cut, and put it first in the queue again."""
        self.drop(request)
        self._queue.appendleft(attrs.evolve(request, at=now))

    def on_answers(self, request: PollRequest, answers: Answers, now: float) -> list[Watch]:
        """End a request, and pass its answers to the watches; fetch the ids that are left out.

        Returns:
            The watches that have news now.
        """
        self.drop(request)
        have_news = []
        for task_id, answer in answers.items():
            # A refused key is refused for all: the others need not ask.
            is_for_all = isinstance(answer, errors.AuthenticationError)
            for watch in self._without_news(tuple(self._watches) if is_for_all else [task_id]):
                own = answer
                if isinstance(answer, errors.MJError):  # each wait raises its own
                    own = copy(answer)
                    own.task_id = watch.task_id
                if watch.on_answer(own, request.at):
                    have_news.append(watch)
        left_out = [one for one in request.task_ids if one not in answers]
        self._spread(left_out, now, is_fetch=True)
        return have_news
