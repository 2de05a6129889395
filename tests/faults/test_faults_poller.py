"""Fault 1, for many waits with one poll: one of them is cancelled, at whatever moment."""

from __future__ import annotations

import gc
import logging
from collections import Counter

import anyio
import attrs
import pytest
from _cancellation_sweep import BACKENDS, Backend, StepCounter

from _many_waits import ManyWaits, RecordingTransport, done_at, numbered
from mj_async import TaskPoller

# What each role does: it waits for the next request to come due, sends some, has stepped down and
# waits for those that it has sent, or just waits.
ROLES = {"leads", "sends", "finishes", "parks"}


@attrs.define
class Scene:
    """Waits of one poller, one of which is cancelled.

    Args:
        count: How many wait, that one counted.
        before: How many of the others begin before it.
        late: Whether it begins a turn of the loop later than those.
        batch_size: How many ids a list has.
        seconds: How long an answer takes.
        roles: What it did when it was cancelled, and how often.
    """

    count: int
    before: int
    late: bool
    batch_size: int = 100
    seconds: float = 0.5
    roles: Counter[str] = attrs.field(factory=Counter, init=False)
    poller: TaskPoller = attrs.field(init=False)

    def look(self) -> None:
        """Note what the one does that is about to be cancelled."""
        waiters = self.poller._waiters
        watch = next((one for one in waiters.waiting if one.task_id == "cancelled"), None)
        if watch is None:
            self.roles["is elsewhere"] += 1
        elif watch is waiters.leader:
            self.roles["sends" if self.poller._scheduler._in_flight else "leads"] += 1
        elif waiters.waiting[watch] is None:
            self.roles["finishes"] += 1
        else:
            self.roles["parks"] += 1

    async def play(self, host: Backend, turns: StepCounter) -> bool:
        """Cancel one at the turn that is due; whether it ended before that."""
        transport, others = RecordingTransport(seconds=self.seconds), numbered(self.count - 1)
        for task_id in ("cancelled", *others):
            transport.gateway.add_task(task_id, done_at(4))
        transport.gateway.add_task("next", done_at(0))
        alive = host.tasks()
        async with (
            transport.client() as client,
            client.task_poller(batch_size=self.batch_size) as self.poller,
        ):
            waits = ManyWaits(transport, self.poller)

            async def wait_for_others() -> None:
                async with anyio.create_task_group() as group:
                    for task_id in others[: self.before]:
                        group.start_soon(waits.wait, task_id)
                    await options()
                    for task_id in others[self.before :]:
                        group.start_soon(waits.wait, task_id)

            async def wait() -> object:
                if self.late:
                    await options()
                    await options()
                return await self.poller.wait_for_task("cancelled")

            async with anyio.create_task_group() as group:
                group.start_soon(wait_for_others)
                await options()
                ended = await host.run_and_cancel(turns, wait)

            self.check(transport, waits, others)
            assert "SUCCESS" == (await self.poller.wait_for_task("next")).status
        assert alive == host.tasks()
        return ended is not None

    def check(self, transport: RecordingTransport, waits: ManyWaits, others: list[str]) -> None:
        """All others have ended with their own tasks; only lists that were cut were repeated."""
        waiters, scheduler, lists = (
            self.poller._waiters,
            self.poller._scheduler,
            -(-self.count // self.batch_size),
        )
        assert dict.fromkeys(others, "SUCCESS") == waits.kinds()
        assert {(one, one) for one in others} == {
            (one, getattr(ended, "id", None)) for one, ended in waits.ended.items()
        }
        assert transport.cancelled <= (1 if self.seconds < 1 else lists)
        assert len(transport.asked) <= 3 * lists + transport.cancelled
        assert max(waits.ended_at.values()) <= 9.0 + self.seconds
        assert ({}, None, ()) == (waiters.waiting, waiters.leader, self.poller.pending())
        assert ({}, set(), 0) == (
            scheduler._watches,
            scheduler._ids_in_flight,
            scheduler._in_flight,
        )


async def options() -> None:
    """Run the other tasks once."""
    await anyio.lowlevel.checkpoint()


def sweep_scene(host: Backend, scene: Scene, stride: int) -> None:
    """Cancel one turn later each time, until the wait ends by itself."""
    turns = StepCounter(before_cancel=scene.look)

    async def main() -> None:
        while not await scene.play(host, turns):
            turns.due += stride

    host.run(turns, main)


# A few of many: a turn with 250 waits takes its time.
STRIDES = {"task": 11, "scope": 11, "trio": 41}


@pytest.mark.parametrize(
    ("host", "count", "batch_size", "stride"),
    [
        *(pytest.param(host, 3, 100, 1, id=f"{host.name}, 3 waits") for host in BACKENDS),
        *(
            pytest.param(host, 3, 1, 3, id=f"{host.name}, 3 waits, 3 lists")
            for host in BACKENDS
            if host.name in STRIDES
        ),
        *(
            pytest.param(host, 250, 100, STRIDES[host.name], id=f"{host.name}, 250 waits")
            for host in BACKENDS
            if host.name in STRIDES
        ),
    ],
)
def test_fault_01_one_of_many_waits_cancelled_at_any_turn_harms_no_other(  # noqa: PLR0917
    host: Backend,
    count: int,
    batch_size: int,
    stride: int,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The others end as they should, and nothing is lost, whatever the one did for all."""
    caplog.set_level(logging.WARNING)
    roles: Counter[str] = Counter()
    for before, late in ((0, False), (1, False), (1, True)):
        seconds = 2.5 if batch_size == 1 else 0.5  # so that lists are in flight together
        scene = Scene(count, before, late, batch_size, seconds)
        sweep_scene(host, scene, stride)
        roles += scene.roles
    gc.collect()

    not_seen = {"leads" if batch_size == 1 else "finishes"}
    if host.on_trio:  # which runs ready tasks in any order
        not_seen.add("finishes")
    assert ROLES - not_seen <= roles.keys()
    assert [] == caplog.records
    assert ("", "") == capsys.readouterr()
