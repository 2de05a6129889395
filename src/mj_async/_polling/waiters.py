"""Who waits with a poller: they do themselves what has to be done for all, one at a time."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Self
from weakref import WeakSet, WeakValueDictionary

import anyio
import attrs

from .. import errors
from .._clock import Wakeup
from .batches import BatchScheduler, Place

if TYPE_CHECKING:
    from .._clock import Clock
    from .._config import Polling
    from .._gateway.endpoints import Gateway
    from .._lifecycle import Lifecycle
    from .._models import Task
    from .batches import Answers, PollRequest
    from .watch import Watch

# So many wait for the same event, for one each would be a quarter of what a wait takes. Whoever is
# woken for another one's sake goes back to wait.
_SHARE_AN_EVENT = 4


class Seat(Place):
    """The place of one who waits, and what it is doing for all.

    Args:
        watch: The wait.
        seats: All who wait.
    """

    __slots__ = ("_seats", "carrying", "event", "job", "until")

    def __init__(self, watch: Watch, seats: Seats) -> None:
        super().__init__(watch)
        self.until = math.inf if watch.deadline is None else watch.deadline
        self.job: PollRequest | None = None
        self.event: anyio.Event | None = None
        self.carrying: anyio.CancelScope | None = None
        self._seats = seats

    def __enter__(self) -> Self:
        self._seats.join(self)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._seats.leave(self)

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, and nobody to tell."""
        return self.job is None and not self.watch.has_news

    def wake(self) -> None:
        """End what it awaits: there is news, or something to do."""
        if self.event is not None:
            self.event.set()
        if self.carrying is not None:
            self.carrying.cancel()

    def step(self) -> Awaitable[None]:
        """Wait to be woken, or do what has to be done for all."""
        return self._seats.step(self)


class Seats:
    """All who wait. One of them leads: it hands out the requests, and ends whose time is over.

    Args:
        driver: Asks.
        lifecycle: Ends all waits when the poller is closed.

    Attributes:
        taken: Who waits, the first to come first.
        leader: Who leads.
    """

    def __init__(self, driver: Driver, lifecycle: Lifecycle) -> None:
        self.taken: dict[Seat, None] = {}
        self.leader: Seat | None = None
        self._driver = driver
        self._agenda = driver.agenda
        self._lifecycle = lifecycle
        self._heir: Seat | None = None
        self._event = anyio.Event()
        self._sharing = _SHARE_AN_EVENT
        # Nobody's time is over before that. A scope with a timer for each would be a third of what
        # a wait takes.
        self._until = math.inf

    def sit(self, watch: Watch) -> Seat:
        """Make the place of a watch, which is to be entered."""
        return Seat(watch, self)

    def join(self, seat: Seat) -> None:
        """Let one wait."""
        if not self.taken:
            self._lifecycle.enter(self)
        self.taken[seat] = None
        self._driver.clock.note_activity()
        self._agenda.join(seat, self._driver.clock.now())
        if seat.watch.hinted or seat.until < self._until:
            self._until = min(seat.until, self._until)
            self._driver.kick()

    def leave(self, seat: Seat) -> None:
        """Let one go; what it was to do is done by another."""
        del self.taken[seat]
        self._driver.clock.note_activity()
        self._agenda.leave(seat)
        if seat.job is not None:  # handed to one who was just leaving
            self._agenda.repeat(seat.job, self._driver.clock.now())
            self._driver.kick()
        if seat is self._heir:
            self._promote()
        if not self.taken:
            self._lifecycle.leave(self)
            self._until = math.inf

    def cancel(self) -> None:
        """End all waits, for the poller is closed."""
        self._end(self.taken)
        self._driver.kick()

    def step(self, seat: Seat) -> Awaitable[None]:
        """Give what one who waits is to do now."""
        if seat.job is not None:
            return self._carry(seat, seat.job)
        if self.leader is None:
            return self._lead(seat)
        seat.event = self._event_for_one_more()
        return seat.event.wait()

    def _event_for_one_more(self) -> anyio.Event:
        if self._sharing == _SHARE_AN_EVENT or self._event.is_set():
            self._event, self._sharing = anyio.Event(), 0
        self._sharing += 1
        return self._event

    async def _carry(self, seat: Seat, job: PollRequest) -> None:
        """Send a request for all, unless there is news for whoever sends it."""
        try:
            with self._lifecycle.move_on_at(seat.watch.deadline) as seat.carrying:
                await self._driver.carry(job)
            if self._driver.clock.now() >= seat.until:
                seat.watch.end()
        finally:
            seat.job = seat.carrying = None

    async def _lead(self, seat: Seat) -> None:
        """Hand out the requests as they come due, until there is one for oneself."""
        self.leader, self._heir = seat, None
        try:
            while seat.is_idle:
                await self._driver.sleep(None if self._until == math.inf else self._until)
                self._end_the_late()
                self._hand_out()
        finally:
            self.leader = None
            self._promote()

    def _hand_out(self) -> None:
        """Give each request to the one it is for who will wait longest for the answer."""
        while (job := self._driver.next_job()) is not None:
            places = self._agenda.waiting(job.task_ids)
            idle = [seat for seat in places if isinstance(seat, Seat) and seat.is_idle]
            carrier = max(idle, key=lambda seat: (seat.until, seat is not self.leader))
            carrier.job = job
            carrier.wake()

    def _end_the_late(self) -> None:
        now = self._driver.clock.now()
        if now >= self._until:
            self._end(seat for seat in self.taken if seat.until <= now)
            times = (seat.until for seat in self.taken if seat.until > now)
            self._until = min(times, default=math.inf)

    def _end(self, seats: Iterable[Seat]) -> None:
        for seat in seats:
            seat.watch.end()
            seat.wake()

    def _promote(self) -> None:
        """Wake somebody to lead; whoever comes before it may as well."""
        self._heir = next((seat for seat in self.taken if seat.is_idle), None)
        if self._heir is not None:
            self._heir.wake()


class Crowd:
    """All watches of a poller, as long as somebody holds them."""

    def __init__(self) -> None:
        self._first: WeakValueDictionary[str, Watch] = WeakValueDictionary()
        self._more: WeakSet[Watch] = WeakSet()  # of ids that are waited for already

    def add(self, watch: Watch) -> None:
        """Count it among those who wait, until nobody holds it any more."""
        if self._first.setdefault(watch.task_id, watch) is not watch:
            self._more.add(watch)

    def of(self, task_id: str) -> list[Watch]:
        """Give those of an id that wait."""
        first = self._first.get(task_id)
        more = [watch for watch in self._more if watch.task_id == task_id]
        return [watch for watch in (first, *more) if watch is not None and watch.is_open]

    def __iter__(self) -> Iterator[Watch]:
        """Give all that wait."""
        watches = [*self._first.values(), *self._more]
        return (watch for watch in watches if watch.is_open)


@attrs.define(kw_only=True, eq=False)
class Driver:
    """Sleeps until there is something to ask, and asks.

    Args:
        agenda: What to ask, and when.
        clock: Time.
        poll: Asks once for one task.
        poll_list: Asks once for several tasks, and gives those that were found.
    """

    agenda: BatchScheduler
    clock: Clock
    poll: Callable[[str], Awaitable[Task]]
    poll_list: Callable[[list[str]], Awaitable[list[Task]]]
    _wakeup: Wakeup = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._wakeup = Wakeup(self.clock)

    async def sleep(self, deadline: float | None = None) -> None:
        """Sleep until the agenda may have something, until a deadline, or until `kick`."""
        # At least one turn of the loop, in which all that come at this instant can join.
        await self._wakeup.wait(self.agenda.look_again_at(), deadline)

    def kick(self) -> None:
        """End the sleep: something has changed."""
        self._wakeup.set()

    def next_job(self) -> PollRequest | None:
        """Begin the next request, if there is one; it must be carried."""
        return self.agenda.next_job(self.clock.now())

    async def carry(self, job: PollRequest) -> None:
        """Send a request and tell what came back; one that is cut off will be repeated.

        Raises:
            Exception: A fault in a hook or transport of the caller's; it is not repeated now.
        """
        try:
            answers = await self._ask(job)
        except Exception:
            self.agenda.drop(job)
            raise
        except BaseException:  # it was cut off
            self.agenda.repeat(job, self.clock.now())
            raise
        else:
            self.agenda.end(job, answers, self.clock.now())
        finally:
            self.kick()

    async def _ask(self, job: PollRequest) -> Answers:
        try:
            if job.alone:
                (task_id,) = job.task_ids
                return {task_id: await self.poll(task_id)}
            return {task.id: task for task in await self.poll_list(list(job.task_ids))}
        except errors.MJError as error:
            return dict.fromkeys(job.task_ids, error)


def make_driver(gateway: Gateway, clock: Clock, polling: Polling, batch_size: int) -> Driver:
    """Make what asks a gateway at the ticks of a schedule."""
    agenda = BatchScheduler(
        interval=polling.interval,
        jitter=polling.jitter,
        batch_size=batch_size,
        has_list=lambda: gateway.lists.usable,
    )
    return Driver(agenda=agenda, clock=clock, poll=gateway.poll, poll_list=gateway.lists.poll)
