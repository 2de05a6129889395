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

_AT_ONCE = 4
# Webhooks are unsigned: whoever floods us with them must not make us flood the gateway.
_HINTS_A_TICK = 2
_HINT_JOBS_A_TICK = 10


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
    alone: bool = False


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
    _jobs: deque[PollRequest] = attrs.field(factory=deque, init=False)
    _under_way: set[str] = attrs.field(factory=set, init=False)
    _requests: int = attrs.field(default=0, init=False)
    _tick: float = attrs.field(default=0.0, init=False)
    _next_tick: float = attrs.field(default=0.0, init=False)
    _alone_left: int = attrs.field(default=0, init=False)
    _hints: dict[str, None] = attrs.field(factory=dict, init=False)
    _hints_from: float = attrs.field(default=0.0, init=False)
    _hinted: dict[str, int] = attrs.field(factory=dict, init=False)

    # --- who waits ------------------------------------------------------------------------

    def join(self, place: Place, now: float) -> None:
        """Ask for a watch from the next tick on; the first one to come begins a tick."""
        watch = place.watch
        if not self._places and (watch.polls == 0 or now >= self._next_tick):
            self._next_tick = now
        self._places[watch.task_id] = (*self.places(watch.task_id), place)
        if watch.hinted and self._hinted.get(watch.task_id, 0) <= _HINTS_A_TICK:
            self._hints[watch.task_id] = None

    def leave(self, place: Place) -> None:
        """Ask for it no more."""
        task_id = place.watch.task_id
        others = tuple(one for one in self._places.pop(task_id) if one is not place)
        if others:
            self._places[task_id] = others
        else:
            self._hints.pop(task_id, None)

    def places(self, task_id: str) -> tuple[Place, ...]:
        """Give the places of an id."""
        return self._places.get(task_id, ())

    def waiting(self, task_ids: Iterable[str]) -> Iterator[Place]:
        """Give the places of those ids that have no news yet."""
        places = (place for one in task_ids for place in self._places.get(one, ()))
        return (place for place in places if not place.watch.has_news)

    def hint(self, task_id: str) -> None:
        """Bring the poll of an id forward to now; too many hints wait for the next tick."""
        if task_id not in self._places:
            return
        self._hinted[task_id] = self._hinted.get(task_id, 0) + 1
        if self._hinted[task_id] <= _HINTS_A_TICK:
            self._hints[task_id] = None
        for place in self._places[task_id]:
            place.watch.hinted = True

    # --- what to ask ----------------------------------------------------------------------

    def next_job(self, now: float) -> PollRequest | None:
        """Begin the next request, if there is one for now; `end` must follow."""
        if now >= self._next_tick:
            self._open_tick(now)
        self._take_hints(now)
        while self._requests < _AT_ONCE and self._jobs and self._jobs[0].at <= now:
            job = self._jobs.popleft()
            wanted = tuple(one for one in job.task_ids if self._is_wanted(one, now))
            if not job.alone and not self.has_list():
                self._ask_alone(wanted, now)
            elif wanted:
                return self._begin(PollRequest(now, wanted, job.alone))
        return None

    def look_again_at(self) -> float:
        """Give the time at which `next_job` may have one, if nothing happens before."""
        times = [self._next_tick]
        if self._requests < _AT_ONCE:
            times += [self._jobs[0].at] if self._jobs else []
            times += [self._hints_from] if self._ready_hints() else []
        return min(times)

    def _open_tick(self, now: float) -> None:
        late = now - self._next_tick
        self._tick = self._next_tick if late < self.interval else now
        length = self.interval * random.uniform(1.0 - self.jitter, 1.0 + self.jitter)
        self._next_tick = self._tick + length
        self._alone_left = self.batch_size
        self._hinted.clear()
        # What the last tick did not come to is among the due, and the first of them.
        self._jobs.clear()
        # Those whose answer is still to come are asked last, if it leaves them due: it is
        # looked at again before each request.
        due = [one for one in self._places if one in self._under_way or self._is_wanted(one, now)]
        due.sort(key=lambda one: (one in self._under_way, self._due(one)))
        if self.has_list():
            batches = (due[at : at + self.batch_size] for at in range(0, len(due), self.batch_size))
            self._spread([PollRequest(now, tuple(batch)) for batch in batches], now)
        else:
            self._ask_alone(due, now)

    def _take_hints(self, now: float) -> None:
        ready = self._ready_hints()[: self.batch_size]
        if not ready or now < self._hints_from:
            return
        # Many at once are one request; a flood must not keep the gateway busy for good.
        self._hints_from = now + self.interval / _HINT_JOBS_A_TICK
        for task_id in ready:
            del self._hints[task_id]
        self._jobs.appendleft(PollRequest(now, tuple(ready)))

    def _ready_hints(self) -> list[str]:
        idle = (task_id for task_id in self._hints if task_id not in self._under_way)
        return [task_id for task_id in idle if any(self.waiting([task_id]))]

    def _due(self, task_id: str) -> float:
        """Give when an id is due; infinity where nobody waits for news of it."""
        due = math.inf
        for place in self._places.get(task_id, ()):
            watch = place.watch
            if not watch.has_news:
                due = min(due, -math.inf if watch.hinted else watch.due)
        return due

    def _is_wanted(self, task_id: str, now: float) -> bool:
        due = self._due(task_id)
        is_due = due <= now or due < self._tick + self.interval / 2
        return is_due and task_id not in self._under_way

    def _ask_alone(self, task_ids: Iterable[str], now: float) -> None:
        few = list(task_ids)[: self._alone_left]
        self._alone_left -= len(few)
        self._spread([PollRequest(now, (task_id,), alone=True) for task_id in few], now)

    def _spread(self, jobs: list[PollRequest], now: float) -> None:
        """Queue jobs evenly over what is left of the tick, rather than fire them at once."""
        step = (self._next_tick - now) / max(1, len(jobs))
        spread = [attrs.evolve(job, at=now + step * number) for number, job in enumerate(jobs)]
        self._jobs = deque(sorted([*self._jobs, *spread], key=lambda job: job.at))

    def _begin(self, job: PollRequest) -> PollRequest:
        self._requests += 1
        self._under_way.update(job.task_ids)
        for place in self.waiting(job.task_ids):
            place.watch.begin_poll()
        return job

    # --- what came back -------------------------------------------------------------------

    def drop(self, job: PollRequest) -> None:
        """Forget a request that `next_job` gave; whom it was for is due at the next tick."""
        self._requests -= 1
        self._under_way.difference_update(job.task_ids)

    def repeat(self, job: PollRequest, now: float) -> None:
        """Ask again for what was cut off."""
        self.drop(job)
        self._jobs.appendleft(attrs.evolve(job, at=now))

    def end(self, job: PollRequest, answers: Answers, now: float) -> None:
        """Take in what a request has brought.

        Args:
            job: As `next_job` gave it.
            answers: By id.
            now: The time of the clock.
        """
        self.drop(job)
        for task_id, answer in answers.items():
            self._tell(task_id, answer, job.at)
            if isinstance(answer, errors.AuthenticationError):  # others need not ask to know
                for other in tuple(self._places):
                    self._tell(other, answer, job.at)
        self._ask_alone((one for one in job.task_ids if one not in answers), now)

    def _tell(self, task_id: str, answer: Task | errors.MJError, asked_at: float) -> None:
        for place in self.places(task_id):
            if place.watch.has_news:
                continue
            own = answer
            if isinstance(answer, errors.MJError):  # each raises its own
                own = copy(answer)
                own.task_id = place.watch.task_id
            if place.watch.take(own, asked_at):
                place.wake()
