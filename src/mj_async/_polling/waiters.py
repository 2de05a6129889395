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
_WAITERS_PER_EVENT = 4


class Waiter(Place):
    """The place of one who waits, and what it is doing for all.

    Args:
        watch: The wait.
        waiters: All who wait.
    """

    __slots__ = ("_waiters", "event", "request", "sending", "until")

    def __init__(self, watch: Watch, waiters: Waiters) -> None:
        super().__init__(watch)
        self.until = math.inf if watch.deadline is None else watch.deadline
        self.request: PollRequest | None = None
        self.event: anyio.Event | None = None
        self.sending: anyio.CancelScope | None = None
        self._waiters = waiters

    def __enter__(self) -> Self:
        self._waiters.join(self)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._waiters.leave(self)

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, and nobody to tell."""
        return self.request is None and not self.watch.has_news

    def wake(self) -> None:
        """End what it awaits: there is news, or something to do."""
        if self.event is not None:
            self.event.set()
        if self.sending is not None:
            self.sending.cancel()

    def step(self) -> Awaitable[None]:
        """Wait to be woken, or do what has to be done for all."""
        return self._waiters.step(self)


class Waiters:
    """All who wait. One of them leads: it hands out the requests, and ends whose time is over.

    Args:
        driver: Asks.
        lifecycle: Ends all waits when the poller is closed.

    Attributes:
        waiting: Who waits, the first to come first.
        leader: Who leads.
    """

    def __init__(self, driver: Driver, lifecycle: Lifecycle) -> None:
        self.waiting: dict[Waiter, None] = {}
        self.leader: Waiter | None = None
        self._driver = driver
        self._scheduler = driver.scheduler
        self._lifecycle = lifecycle
        self._next_leader: Waiter | None = None
        self._event = anyio.Event()
        self._event_users = _WAITERS_PER_EVENT
        # Nobody's time is over before that. A scope with a timer for each would be a third of what
        # a wait takes.
        self._next_deadline = math.inf

    def sit(self, watch: Watch) -> Waiter:
        """Make the place of a watch, which is to be entered."""
        return Waiter(watch, self)

    def join(self, waiter: Waiter) -> None:
        """Let one wait."""
        if not self.waiting:
            self._lifecycle.enter(self)
        self.waiting[waiter] = None
        self._driver.clock.note_activity()
        self._scheduler.join(waiter, self._driver.clock.now())
        if waiter.watch.is_urgent or waiter.until < self._next_deadline:
            self._next_deadline = min(waiter.until, self._next_deadline)
            self._driver.wake()

    def leave(self, waiter: Waiter) -> None:
        """Let one go; what it was to do is done by another."""
        del self.waiting[waiter]
        self._driver.clock.note_activity()
        self._scheduler.leave(waiter)
        if waiter.request is not None:  # handed to one who was just leaving
            self._scheduler.repeat(waiter.request, self._driver.clock.now())
            self._driver.wake()
        if waiter is self._next_leader:
            self._elect()
        if not self.waiting:
            self._lifecycle.leave(self)
            self._next_deadline = math.inf

    def cancel(self) -> None:
        """End all waits, for the poller is closed."""
        self._end(self.waiting)
        self._driver.wake()

    def step(self, waiter: Waiter) -> Awaitable[None]:
        """Give what one who waits is to do now."""
        if waiter.request is not None:
            return self._send(waiter, waiter.request)
        if self.leader is None:
            return self._lead(waiter)
        waiter.event = self._shared_event()
        return waiter.event.wait()

    def _shared_event(self) -> anyio.Event:
        if self._event_users == _WAITERS_PER_EVENT or self._event.is_set():
            self._event, self._event_users = anyio.Event(), 0
        self._event_users += 1
        return self._event

    async def _send(self, waiter: Waiter, request: PollRequest) -> None:
        """Send a request for all, unless there is news for whoever sends it."""
        try:
            with self._lifecycle.move_on_at(waiter.watch.deadline) as waiter.sending:
                await self._driver.send(request)
            if self._driver.clock.now() >= waiter.until:
                waiter.watch.expire()
        finally:
            waiter.request = waiter.sending = None

    async def _lead(self, waiter: Waiter) -> None:
        """Hand out the requests as they come due, until there is one for oneself."""
        self.leader, self._next_leader = waiter, None
        try:
            while waiter.is_idle:
                await self._driver.sleep(
                    None if self._next_deadline == math.inf else self._next_deadline
                )
                self._expire_late()
                self._dispatch()
        finally:
            self.leader = None
            self._elect()

    def _dispatch(self) -> None:
        """Give each request to the one it is for who will wait longest for the answer."""
        while (request := self._driver.next_request()) is not None:
            places = self._scheduler.waiting(request.task_ids)
            idle = [waiter for waiter in places if isinstance(waiter, Waiter) and waiter.is_idle]
            sender = max(idle, key=lambda waiter: (waiter.until, waiter is not self.leader))
            sender.request = request
            sender.wake()

    def _expire_late(self) -> None:
        now = self._driver.clock.now()
        if now >= self._next_deadline:
            self._end(waiter for waiter in self.waiting if waiter.until <= now)
            times = (waiter.until for waiter in self.waiting if waiter.until > now)
            self._next_deadline = min(times, default=math.inf)

    def _end(self, waiters: Iterable[Waiter]) -> None:
        for waiter in waiters:
            waiter.watch.expire()
            waiter.wake()

    def _elect(self) -> None:
        """Wake somebody to lead; whoever comes before it may as well."""
        self._next_leader = next((waiter for waiter in self.waiting if waiter.is_idle), None)
        if self._next_leader is not None:
            self._next_leader.wake()


class WatchRegistry:
    """All watches of a poller, as long as somebody holds them."""

    def __init__(self) -> None:
        self._first: WeakValueDictionary[str, Watch] = WeakValueDictionary()
        self._more: WeakSet[Watch] = WeakSet()  # of ids that are waited for already

    def add(self, watch: Watch) -> None:
        """Count it among those who wait, until nobody holds it any more."""
        if self._first.setdefault(watch.task_id, watch) is not watch:
            self._more.add(watch)

    def open_watches(self, task_id: str) -> list[Watch]:
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
        scheduler: What to ask, and when.
        clock: Time.
        poll: Asks once for one task.
        poll_list: Asks once for several tasks, and gives those that were found.
    """

    scheduler: BatchScheduler
    clock: Clock
    poll: Callable[[str], Awaitable[Task]]
    poll_list: Callable[[list[str]], Awaitable[list[Task]]]
    _wakeup: Wakeup = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._wakeup = Wakeup(self.clock)

    async def sleep(self, deadline: float | None = None) -> None:
        """Sleep until the agenda may have something, until a deadline, or until `kick`."""
        # At least one turn of the loop, in which all that come at this instant can join.
        await self._wakeup.wait(self.scheduler.next_check_at(), deadline)

    def wake(self) -> None:
        """End the sleep: something has changed."""
        self._wakeup.set()

    def next_request(self) -> PollRequest | None:
        """Begin the next request, if there is one; it must be carried."""
        return self.scheduler.next_request(self.clock.now())

    async def send(self, request: PollRequest) -> None:
        """Send a request and tell what came back; one that is cut off will be repeated.

        Raises:
            Exception: A fault in a hook or transport of the caller's; it is not repeated now.
        """
        try:
            answers = await self._ask(request)
        except Exception:
            self.scheduler.drop(request)
            raise
        except BaseException:  # it was cut off
            self.scheduler.repeat(request, self.clock.now())
            raise
        else:
            self.scheduler.on_answers(request, answers, self.clock.now())
        finally:
            self.wake()

    async def _ask(self, request: PollRequest) -> Answers:
        try:
            if request.is_fetch:
                (task_id,) = request.task_ids
                return {task_id: await self.poll(task_id)}
            return {task.id: task for task in await self.poll_list(list(request.task_ids))}
        except errors.MJError as error:
            return dict.fromkeys(request.task_ids, error)


def make_driver(gateway: Gateway, clock: Clock, polling: Polling, batch_size: int) -> Driver:
    """Make what asks a gateway at the ticks of a schedule."""
    scheduler = BatchScheduler(
        interval=polling.interval,
        jitter=polling.jitter,
        batch_size=batch_size,
        has_list=lambda: gateway.lists.usable,
    )
    return Driver(scheduler=scheduler, clock=clock, poll=gateway.poll, poll_list=gateway.lists.poll)
