"""In any order of events the scheduler keeps its promises."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from _batch_harness import BatchHarness, working
from _many_waits import numbered
from mj_async import Polling
from mj_async._polling.batches import PollRequest
from mj_async._polling.watch import Watch

IDS = st.sampled_from(numbered(7))
TICK = 3.0


class AnyOrder(RuleBasedStateMachine):
    """Joins, leaves, webhooks, answers and cuts in any order, with batches of two."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = BatchHarness(2)
        self.watches: list[Watch] = []
        self.under_way: list[PollRequest] = []

    @rule(task_id=IDS, interval=st.sampled_from([1.0, 3.0, 7.0]))
    def join(self, task_id: str, interval: float) -> None:
        """A wait begins."""
        self.watches += self.harness.join(task_id, polling=Polling(interval=interval, jitter=0))

    @precondition(lambda self: self.watches)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A wait ends."""
        watch = data.draw(st.sampled_from(self.watches))
        self.watches.remove(watch)
        self.harness.scheduler.leave(watch)

    @rule(task_id=IDS)
    def mark_urgent(self, task_id: str) -> None:
        """A webhook comes."""
        self.harness.scheduler.mark_urgent(task_id)

    @rule(has_list=st.booleans())
    def find_out(self, has_list: bool) -> None:  # noqa: FBT001
        """The list turns out to be missing, or to be there."""
        self.harness.has_list = has_list

    @rule(seconds=st.sampled_from([0.0, 0.4, 1.0, 3.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.harness.clock.time += seconds

    @rule()
    def ask(self) -> None:
        """All requests that may start do: for ids that have a wait, and no id twice."""
        busy = {task_id for request in self.under_way for task_id in request.task_ids}
        waiting = {watch.task_id for watch in self.watches}
        for request in self.harness.requests(self.harness.clock.time):
            assert busy.isdisjoint(request.task_ids)
            assert waiting.issuperset(request.task_ids)
            assert len(set(request.task_ids)) == len(request.task_ids)
            assert 1 <= len(request.task_ids) <= (1 if request.is_fetch else 2)
            busy.update(request.task_ids)
            self.under_way.append(request)
        assert self.harness.scheduler.next_check_at() > self.harness.clock.time

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), how=st.sampled_from(["answered", "left out", "cut", "dropped"]))
    def end(self, data: st.DataObject, how: str) -> None:
        """A request ends."""
        request = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(request)
        if how == "cut":
            self.harness.cancel(request)
        elif how == "dropped":
            self.harness.scheduler.drop(request)
        else:
            self.harness.end(
                request, working(request) if how == "answered" or request.is_fetch else {}
            )

    @invariant()
    def four_at_once(self) -> None:
        """At most four requests are in flight."""
        assert len(self.under_way) <= 4

    def teardown(self) -> None:
        """After all answers each id is asked for within two ticks of its time."""
        harness = self.harness
        while self.under_way:
            harness.end(self.under_way.pop())
        harness.has_list = True
        before = {id(watch): watch.polls for watch in self.watches}
        now = harness.clock.time
        harness.clock.time = max(now, harness.scheduler.next_check_at()) if self.watches else now
        latest = max((watch.due for watch in self.watches), default=now)
        harness.run(max(latest, harness.clock.time) + 3 * TICK)
        for watch in self.watches:
            assert watch.polls > before[id(watch)]


AnyOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=30)
TestAnyOrder = AnyOrder.TestCase
