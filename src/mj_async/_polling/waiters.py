"""The waiters of a poller: one of them leads and sends the requests for all (leader/followers).

So a poller needs no background task, and may be entered in one task and closed in another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

import anyio

from .. import errors
from .._clock import Wakeup

if TYPE_CHECKING:
    from .._clock import Clock
    from .._gateway.endpoints import Gateway
    from .._lifecycle import Lifecycle
    from .batches import Answers, BatchScheduler, PollRequest
    from .watch import Watch

# So many waiters share an event: an event for each would be a quarter of the memory of a wait. A
# waiter that is woken for another one goes back to wait.
_WAITERS_PER_EVENT = 4
# Seconds for which the news of a former leader waits for its requests in flight. They end sooner,
# but for those that the gate holds back: these are cut, and the next leader repeats them.
_MAX_DELAY = 15.0


class Waiters:
    """The watches of a poller whose callers wait now; the leader's caller sends the requests.

    `waiting` has the event that each watch waits for, None for a leader, in the order of joining.
    """

    def __init__(
        self, scheduler: BatchScheduler, gateway: Gateway, clock: Clock, lifecycle: Lifecycle
    ) -> None:
        self.waiting: dict[Watch, anyio.Event | None] = {}
        self.leader: Watch | None = None
        self._scheduler = scheduler
        self._gateway = gateway
        self._clock = clock
        self._lifecycle = lifecycle
        self._wakeup = Wakeup(clock)
        self._next_leader: Watch | None = None
        self._is_outlasted = False
        self._event = anyio.Event()
        self._event_users = _WAITERS_PER_EVENT
        # No deadline is before this one. A scope with a timer for each waiter would be a third of
        # the cost of a wait.
        self._next_deadline = math.inf

    async def wait_for_news(self, watch: Watch) -> None:
        """Wait until a watch has news, and meanwhile lead if no other waiter does."""
        self._join(watch)
        try:
            while not watch.has_news:
                if self.leader is None and self._next_leader in (None, watch):
                    await self._lead(watch)
                else:
                    self.waiting[watch] = event = self._shared_event()
                    await event.wait()
        finally:
            self._leave(watch)

    def wake(self, watches: Iterable[Watch]) -> None:
        """Wake the waiters that have news, and let the leader look for requests again."""
        for watch in watches:
            event = self.waiting.get(watch)
            if event is not None and watch.has_news:
                event.set()
        self._wakeup.set()

    def cancel(self) -> None:
        """End all waits: the poller is closed."""
        self._expire(list(self.waiting))

    def _join(self, watch: Watch) -> None:
        if not self.waiting:
            self._lifecycle.scopes.add(self)
        self.waiting[watch] = None
        self._clock.note_activity()
        self._scheduler.join(watch, self._clock.now())
        if watch.is_urgent or watch.ends_at < self._next_deadline:
            self._next_deadline = min(watch.ends_at, self._next_deadline)
            self._wakeup.set()
        leader = self.leader or self._next_leader
        if leader is not None and watch.ends_at > leader.ends_at:
            self._is_outlasted = True

    def _leave(self, watch: Watch) -> None:
        del self.waiting[watch]
        self._clock.note_activity()
        self._scheduler.leave(watch)
        if watch is self._next_leader:
            self._elect()
        if not self.waiting:
            self._lifecycle.scopes.discard(self)
            self._next_deadline = math.inf

    def _shared_event(self) -> anyio.Event:
        if self._event_users == _WAITERS_PER_EVENT or self._event.is_set():
            self._event, self._event_users = anyio.Event(), 0
        self._event_users += 1
        return self._event

    async def _lead(self, leader: Watch) -> None:
        """Send the requests for all waiters as they come due, until another one has to lead."""
        self.leader, self._next_leader, self.waiting[leader] = leader, None, None
        in_flight: set[PollRequest] = set()
        try:
            async with anyio.create_task_group() as group:
                while True:
                    # At least one turn of the loop, so that all waits of this instant can join.
                    await self._wakeup.wait(
                        self._scheduler.next_check_at(),
                        None if self._next_deadline == math.inf else self._next_deadline,
                    )
                    self._expire_late()
                    if leader.has_news or self._is_outlasted:
                        break
                    while (request := self._scheduler.next_request(self._clock.now())) is not None:
                        in_flight.add(request)
                        group.start_soon(self._send, request, in_flight)
                self._step_down()
                if in_flight:
                    await self._finish(leader, in_flight)
                    group.cancel_scope.cancel()
        except BaseExceptionGroup as faults:  # of a hook or a transport of the caller's
            raise faults.exceptions[0] from None
        finally:
            if self.leader is leader:
                self._step_down()

    async def _finish(self, leader: Watch, in_flight: set[PollRequest]) -> None:
        """Wait for the requests of a former leader, before its caller gets the news."""
        until = math.inf
        while self._clock.now() < until and not leader.is_expired:
            leads_again = not leader.has_news and self.leader is self._next_leader is None
            if leads_again or not any(map(self._scheduler.is_awaited, in_flight)):
                break
            if leader.has_news and until == math.inf:
                until = self._clock.now() + _MAX_DELAY
            await self._wakeup.wait(None if until == math.inf else until)

    def _step_down(self) -> None:
        self.leader = None
        self._elect()

    def _elect(self) -> None:
        """Wake the waiter that leads next: the one whose deadline is the last.

        When that deadline cuts its requests, no other waiter needs them.
        """
        parked = [
            watch
            for watch, event in self.waiting.items()
            if event is not None and not watch.has_news
        ]
        self._is_outlasted = False
        # Of equal deadlines the last one to come: if all are cancelled, it is cancelled last.
        self._next_leader = max(reversed(parked), key=attrgetter("ends_at"), default=None)
        event = self.waiting[self._next_leader] if self._next_leader else None
        if event is not None:
            event.set()
        else:  # a former leader without news may have to lead again
            self._wakeup.set()

    async def _send(self, request: PollRequest, in_flight: set[PollRequest]) -> None:
        """Send a request and deliver what comes back; repeat it at once if it is cut."""
        try:
            answers = await self._ask(request)
        except Exception:  # of a hook or a transport of the caller's: wait for the next tick
            self._scheduler.drop(request)
            raise
        except BaseException:
            self._scheduler.repeat(request, self._clock.now())
            raise
        else:
            self.wake(self._scheduler.on_answers(request, answers, self._clock.now()))
        finally:
            in_flight.discard(request)
            self._wakeup.set()

    async def _ask(self, request: PollRequest) -> Answers:
        try:
            if request.is_fetch:
                (task_id,) = request.task_ids
                return {task_id: await self._gateway.poll(task_id)}
            return await self._gateway.lists.poll(list(request.task_ids))
        except errors.MJError as error:
            return dict.fromkeys(request.task_ids, error)

    def _expire_late(self) -> None:
        now = self._clock.now()
        if now >= self._next_deadline:
            self._expire([watch for watch in self.waiting if watch.ends_at <= now])
            deadlines = (watch.ends_at for watch in self.waiting if watch.ends_at > now)
            self._next_deadline = min(deadlines, default=math.inf)

    def _expire(self, watches: list[Watch]) -> None:
        for watch in watches:
            watch.expire()
        self.wake(watches)
