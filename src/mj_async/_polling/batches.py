"""What to ask next for many waits, and when: ticks, batches, what is under way. No waiting."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .. import errors
from .._models import Task

if TYPE_CHECKING:
    from .watch import Watch

Answers: TypeAlias = Mapping[str, Task | errors.MJError]

MAX_IN_FLIGHT = 4
# Webhooks are unsigned: whoever floods us with them must not make us flood the gateway.
_URGENT_PER_TICK = 2
_URGENT_REQUESTS_PER_TICK = 10


@attrs.frozen
class PollRequest:
    """One request.

    Args:
        at: When it may begin, or has begun, as a time of the clock.
        task_ids: Whom it asks for.
        alone: Whether by `/fetch`, which takes one id, instead of by the list.
    """

    at: float
    task_ids: tuple[str, ...]
    is_fetch: bool = False


@attrs.define(eq=False, weakref_slot=False)
class Place:
    """A watch for which is asked.

    Args:
        watch: The wait.
    """

    watch: Watch

    def wake(self) -> None:
        """Tell whoever waits that there is news."""
        raise NotImplementedError


@attrs.define(kw_only=True, eq=False)
class BatchScheduler:
    """The requests of all waits that are asked for together.

    A tick is `interval` long. At its start the watches that are due, to the nearest tick, are
    put into batches, and these are spread evenly over it. Ids that a list leaves out are asked
    for alone, at most `batch_size` a tick.

    Args:
        interval: Seconds of a tick.
        jitter: The share by which a tick may be shorter or longer.
        batch_size: How many ids are asked for in one list.
        has_list: Whether the gateway has a list, as far as is known.
    """

    interval: float
    jitter: float
    batch_size: int
    has_list: Callable[[], bool]
    _places: dict[str, tuple[Place, ...]] = attrs.field(factory=dict, init=False)
    _queue: deque[PollRequest] = attrs.field(factory=deque, init=False)
    _ids_in_flight: set[str] = attrs.field(factory=set, init=False)
    _in_flight: int = attrs.field(default=0, init=False)
    _tick: float = attrs.field(default=0.0, init=False)
    _next_tick: float = attrs.field(default=0.0, init=False)
    _fetches_left: int = attrs.field(default=0, init=False)
    _urgent: dict[str, None] = attrs.field(factory=dict, init=False)
    _urgent_from: float = attrs.field(default=0.0, init=False)
    _urgent_counts: dict[str, int] = attrs.field(factory=dict, init=False)

    # --- who waits ------------------------------------------------------------------------

    def join(self, place: Place, now: float) -> None:
        """Ask for a watch from the next tick on; the first one to come begins a tick."""
        watch = place.watch
        if not self._places and (watch.polls == 0 or now >= self._next_tick):
            self._next_tick = now
        self._places[watch.task_id] = (*self.places(watch.task_id), place)
        if watch.is_urgent and self._urgent_counts.get(watch.task_id, 0) <= _URGENT_PER_TICK:
            self._urgent[watch.task_id] = None

    def leave(self, place: Place) -> None:
        """Ask for it no more."""
        task_id = place.watch.task_id
        others = tuple(one for one in self._places.pop(task_id) if one is not place)
        if others:
            self._places[task_id] = others
        else:
            self._urgent.pop(task_id, None)

    def places(self, task_id: str) -> tuple[Place, ...]:
        """Give the places of an id."""
        return self._places.get(task_id, ())

    def waiting(self, task_ids: Iterable[str]) -> Iterator[Place]:
        """Give the places of those ids that have no news yet."""
        places = (place for one in task_ids for place in self._places.get(one, ()))
        return (place for place in places if not place.watch.has_news)

    def mark_urgent(self, task_id: str) -> None:
        """Bring the poll of an id forward to now; too many hints wait for the next tick."""
        if task_id not in self._places:
            return
        self._urgent_counts[task_id] = self._urgent_counts.get(task_id, 0) + 1
        if self._urgent_counts[task_id] <= _URGENT_PER_TICK:
            self._urgent[task_id] = None
        for place in self._places[task_id]:
            place.watch.is_urgent = True

    # --- what to ask ----------------------------------------------------------------------

    def next_request(self, now: float) -> PollRequest | None:
        """Begin the next request, if there is one for now; `on_answers` must follow."""
        if now >= self._next_tick:
            self._start_tick(now)
        self._queue_urgent(now)
        while self._in_flight < MAX_IN_FLIGHT and self._queue and self._queue[0].at <= now:
            request = self._queue.popleft()
            wanted = tuple(one for one in request.task_ids if self._is_due(one, now))
            if not request.is_fetch and not self.has_list():
                self._queue_fetches(wanted, now)
            elif wanted:
                return self._start(PollRequest(now, wanted, request.is_fetch))
        return None

    def next_check_at(self) -> float:
        """Give the time at which `next_request` may have one, if nothing happens before."""
        times = [self._next_tick]
        if self._in_flight < MAX_IN_FLIGHT:
            times += [self._queue[0].at] if self._queue else []
            times += [self._urgent_from] if self._ready_urgent() else []
        return min(times)

    def _start_tick(self, now: float) -> None:
        late = now - self._next_tick
        self._tick = self._next_tick if late < self.interval else now
        length = self.interval * random.uniform(1.0 - self.jitter, 1.0 + self.jitter)
        self._next_tick = self._tick + length
        self._fetches_left = self.batch_size
        self._urgent_counts.clear()
        # What the last tick did not come to is among the due, and the first of them.
        self._queue.clear()
        # Those whose answer is still to come are asked last, if it leaves them due: it is
        # looked at again before each request.
        due = [one for one in self._places if one in self._ids_in_flight or self._is_due(one, now)]
        due.sort(key=lambda one: (one in self._ids_in_flight, self._due_at(one)))
        if self.has_list():
            batches = (due[at : at + self.batch_size] for at in range(0, len(due), self.batch_size))
            self._spread([PollRequest(now, tuple(batch)) for batch in batches], now)
        else:
            self._queue_fetches(due, now)

    def _queue_urgent(self, now: float) -> None:
        ready = self._ready_urgent()[: self.batch_size]
        if not ready or now < self._urgent_from:
            return
        # Many at once are one request; a flood must not keep the gateway busy for good.
        self._urgent_from = now + self.interval / _URGENT_REQUESTS_PER_TICK
        for task_id in ready:
            del self._urgent[task_id]
        self._queue.appendleft(PollRequest(now, tuple(ready)))

    def _ready_urgent(self) -> list[str]:
        idle = (task_id for task_id in self._urgent if task_id not in self._ids_in_flight)
        return [task_id for task_id in idle if any(self.waiting([task_id]))]

    def _due_at(self, task_id: str) -> float:
        """Give when an id is due; infinity where nobody waits for news of it."""
        due = math.inf
        for place in self._places.get(task_id, ()):
            watch = place.watch
            if not watch.has_news:
                due = min(due, -math.inf if watch.is_urgent else watch.due)
        return due

    def _is_due(self, task_id: str, now: float) -> bool:
        due = self._due_at(task_id)
        is_due = due <= now or due < self._tick + self.interval / 2
        return is_due and task_id not in self._ids_in_flight

    def _queue_fetches(self, task_ids: Iterable[str], now: float) -> None:
        few = list(task_ids)[: self._fetches_left]
        self._fetches_left -= len(few)
        self._spread([PollRequest(now, (task_id,), is_fetch=True) for task_id in few], now)

    def _spread(self, requests: list[PollRequest], now: float) -> None:
        """Queue jobs evenly over what is left of the tick, rather than fire them at once."""
        step = (self._next_tick - now) / max(1, len(requests))
        spread = [
            attrs.evolve(request, at=now + step * number) for number, request in enumerate(requests)
        ]
        self._queue = deque(sorted([*self._queue, *spread], key=lambda request: request.at))

    def _start(self, request: PollRequest) -> PollRequest:
        self._in_flight += 1
        self._ids_in_flight.update(request.task_ids)
        for place in self.waiting(request.task_ids):
            place.watch.count_poll()
        return request

    # --- what came back -------------------------------------------------------------------

    def drop(self, request: PollRequest) -> None:
        """Forget a request that `next_request` gave; whom it was for is due at the next tick."""
        self._in_flight -= 1
        self._ids_in_flight.difference_update(request.task_ids)

    def repeat(self, request: PollRequest, now: float) -> None:
        """Ask again for what was cut off."""
        self.drop(request)
        self._queue.appendleft(attrs.evolve(request, at=now))

    def on_answers(self, request: PollRequest, answers: Answers, now: float) -> None:
        """Take in what a request has brought.

        Args:
            request: As `next_request` gave it.
            answers: By id.
            now: The time of the clock.
        """
        self.drop(request)
        for task_id, answer in answers.items():
            self._deliver(task_id, answer, request.at)
            if isinstance(answer, errors.AuthenticationError):  # others need not ask to know
                for other in tuple(self._places):
                    self._deliver(other, answer, request.at)
        self._queue_fetches((one for one in request.task_ids if one not in answers), now)

    def _deliver(self, task_id: str, answer: Task | errors.MJError, asked_at: float) -> None:
        for place in self.places(task_id):
            if place.watch.has_news:
                continue
            own = answer
            if isinstance(answer, errors.MJError):  # each raises its own
                own = copy(answer)
                own.task_id = place.watch.task_id
            if place.watch.on_answer(own, asked_at):
                place.wake()
