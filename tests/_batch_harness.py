"""A scheduler with a clock that is set by hand, and its watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import attrs

from _fakes import task
from mj_async import Polling
from mj_async._clock import Clock
from mj_async._lifecycle import Lifecycle
from mj_async._polling.batches import Answers, BatchScheduler, PollRequest
from mj_async._polling.watch import WaitContext, Watch


class HandClock(Clock):
    """A clock that is set by hand."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def wall_time(self) -> float:
        return self.time


async def never_wait(_watch: Watch) -> NoReturn:
    """Refuse to wait: the test answers."""
    raise AssertionError("the test answers")


@attrs.define(eq=False)
class BatchHarness:
    """A scheduler with its clock; it reads the changes of its watches."""

    batch_size: int = 100
    jitter: float = 0.0
    clock: HandClock = attrs.field(factory=HandClock)
    has_list: bool = True
    scheduler: BatchScheduler = attrs.field(init=False)
    woken: list[str] = attrs.field(factory=list)
    reads: bool = True

    def __attrs_post_init__(self) -> None:
        self.scheduler = BatchScheduler(
            interval=3.0,
            jitter=self.jitter,
            batch_size=self.batch_size,
            has_list=lambda: self.has_list,
        )

    def join(self, *task_ids: str, **options: Any) -> list[Watch]:
        """Start some waits."""
        return [self._join(task_id, options) for task_id in task_ids]

    def _join(self, task_id: str, options: dict[str, Any]) -> Watch:
        context = WaitContext(
            clock=self.clock,
            lifecycle=Lifecycle(self.clock),
            polling=Polling(factor=1.0, jitter=0),
            had_good_answer=lambda: True,
            slack=4.5,
        )
        watch = context.watch(task_id, options.get("timeout"), options.get("polling"), never_wait)
        watch.start()
        watch.polls = options.get("polls", 0)
        self.scheduler.join(watch, self.clock.time)
        return watch

    def requests(self, at: float) -> list[PollRequest]:
        """Start all requests that may start at a time."""
        self.clock.time = at
        found = []
        while (request := self.scheduler.next_request(at)) is not None:
            found.append(request)
        return found

    def ids(self, at: float) -> list[str]:
        """Return the ids of the requests of a time: "1 2" by the list, "/3" alone."""
        return [label(request) for request in self.requests(at)]

    def end(
        self, request: PollRequest, answers: Answers | None = None, at: float | None = None
    ) -> None:
        """End a request; without answers all its tasks are still working."""
        self.clock.time = self.clock.time if at is None else at
        answers = working(request) if answers is None else answers
        for watch in self.scheduler.on_answers(request, answers, self.clock.time):
            self.woken.append(watch.task_id)
            if self.reads and watch.task is not None and watch.task.status == "IN_PROGRESS":
                watch.next_update()

    def cancel(self, request: PollRequest) -> None:
        """End a request that was cut off."""
        self.scheduler.repeat(request, self.clock.time)

    def run(
        self, until: float, answer: Callable[[PollRequest], Answers] | None = None
    ) -> list[tuple[float, str]]:
        """Send all requests before a time, with answers at once; return them."""
        done = []
        while self.clock.time < until:
            while (request := self.scheduler.next_request(self.clock.time)) is not None:
                done.append((round(self.clock.time, 6), label(request)))
                self.end(request, None if answer is None else answer(request))
            self.clock.time = self.scheduler.next_check_at()
        return done


def label(request: PollRequest) -> str:
    """Return the ids of a request: "1 2" by the list, "/3" alone."""
    return "/" * request.is_fetch + " ".join(request.task_ids)


def working(request: PollRequest) -> Answers:
    """Answer that all are working."""
    return {task_id: task(id=task_id) for task_id in request.task_ids}
