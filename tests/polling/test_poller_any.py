"""Waits that come and go at any time, on a gateway with any faults: all end as they should."""

from __future__ import annotations

import gc
import random
from collections.abc import Awaitable, Callable

import anyio
import attrs
import httpx
import pytest

from _many_waits import Asked, RecordingTransport, done_at, numbered
from mj_async import Task, TaskPoller, errors

pytestmark = pytest.mark.anyio

FAULTS: list[httpx.Response | type[Exception]] = [
    httpx.Response(500),
    httpx.Response(429),
    httpx.Response(429, headers={"retry-after": "3"}),
    httpx.Response(200, json=[]),
    httpx.Response(200, html="<!doctype html><title>maintenance</title>"),
    httpx.ReadError,
]


@attrs.define
class Chaos:
    """Waits of one poller that do what chance says.

    Args:
        chance: Says it.
        transport: To the gateway.
        ended: How each wait ended, by id.
    """

    chance: random.Random
    transport: RecordingTransport = attrs.field(factory=RecordingTransport)
    ended: dict[str, str] = attrs.field(factory=dict)

    def fail_sometimes(self, _asked: Asked) -> httpx.Response | None:
        """Fail every third time."""
        if self.chance.random() < 0.67:
            return None
        fault = self.chance.choice(FAULTS)
        if isinstance(fault, type):
            raise fault("reset")  # a new one: an error keeps the frames that raised it
        return fault

    async def dawdle(self, _task: Task) -> None:
        """Wait in a callback, or return at once."""
        await self.transport.sleep(max(0.0, self.chance.uniform(-9.0, 9.0)))

    async def wait(self, poller: TaskPoller, task_id: str) -> None:
        """Wait in some way."""
        await self.transport.sleep(self.chance.uniform(0.0, 20.0))
        self.transport.gateway.add_task(task_id, done_at(self.chance.uniform(0.0, 40.0)))
        how = self.chance.choice([self._to_the_end, self._until_cancelled, self._for_a_look])
        self.ended[task_id] = await how(poller, task_id)

    async def _to_the_end(self, poller: TaskPoller, task_id: str) -> str:
        timeout = self.chance.choice([None, 600.0, 15.0])
        try:
            task = await poller.wait_for_task(task_id, on_update=self.dawdle, timeout=timeout)
        except errors.WaitTimeoutError:
            return "SUCCESS" if timeout == 15.0 else "timed out"
        return task.status if task.id == task_id else "another task"

    async def _until_cancelled(self, poller: TaskPoller, task_id: str) -> str:
        clock = self.transport.gateway._clock
        with clock.move_on_at(clock.now() + self.chance.uniform(0.0, 30.0)):
            await poller.wait_for_task(task_id)
        return "SUCCESS"

    async def _for_a_look(self, poller: TaskPoller, task_id: str) -> str:
        async for _task in poller.watch_task(task_id):
            await self.dawdle(_task)
            if self.chance.random() < 0.3:
                break
        return "SUCCESS"

    async def feed(self, poller: TaskPoller, task_ids: list[str]) -> None:
        """Deliver webhooks for half a minute, some of them trusted."""
        for _ in range(60):
            await self.transport.sleep(self.chance.uniform(0.0, 1.0))
            status = self.chance.choice(["SUBMITTED", "IN_PROGRESS"])
            body = {"id": self.chance.choice(task_ids), "status": status, "progress": "30%"}
            poller.feed(body, trusted=self.chance.random() < 0.3)


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_happens_all_end_as_they_should(seed: int) -> None:
    """Each wait gets its own task, no wait starves, and nothing is left behind."""
    chance = random.Random(seed)
    chaos, ids = Chaos(chance), numbered(chance.choice([1, 2, 3, 8, 40]))
    transport = chaos.transport
    transport.gateway.add_task("first", done_at(0))
    async with transport.client() as client:
        await client.fetch_task("first")  # so that a page is not taken for a wrong address
        transport.seconds = chance.choice([0.0, 0.2, 2.0, 7.0])
        transport.override = chance.choice([chaos.fail_sometimes, lambda _: None])
        poller = client.task_poller(batch_size=chance.choice([1, 3, 100]))
        async with anyio.create_task_group() as group:
            group.start_soon(chaos.feed, poller, ids)
            for task_id in ids:
                group.start_soon(chaos.wait, poller, task_id)
        asked = len(transport.asked)
        await transport.gateway.advance(100.0)

        check_nothing_is_left(poller)
    assert dict.fromkeys(ids, "SUCCESS") == chaos.ended
    assert transport.most_in_flight <= 4
    assert asked == len(transport.asked)


def check_nothing_is_left(poller: TaskPoller) -> None:
    """There are no waits, no requests in flight, and nothing is pending."""
    gc.collect()  # errors and their frames hold each other
    scheduler = poller._scheduler
    assert ({}, None, ()) == (poller._waiters.waiting, poller._waiters.leader, poller.pending())
    assert ({}, set(), 0) == (scheduler._watches, scheduler._ids_in_flight, scheduler._in_flight)


async def sweep(scene: Callable[[int], Awaitable[None]]) -> None:
    """Play a scene with one turn of the loop more each time."""
    for turns in range(0, 140, 3):
        with anyio.fail_after(10):
            await scene(turns)


async def test_it_may_close_at_any_turn() -> None:
    """All waits end with ClientStateError or with their task, and nothing is left."""

    async def scene(turns: int) -> None:
        transport, ids = RecordingTransport(seconds=0.5), numbered(3)
        ended: list[str] = []

        async def wait(task_id: str) -> None:
            try:
                ended.append((await poller.wait_for_task(task_id)).status)
            except errors.ClientStateError:
                ended.append("closed")

        async with transport.client() as client:
            poller = client.task_poller()
            async with anyio.create_task_group() as group:
                for task_id in ids:
                    transport.gateway.add_task(task_id, done_at(2))
                    group.start_soon(wait, task_id)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                await poller.aclose()
            scheduler = poller._scheduler
            assert ({}, {}) == (poller._waiters.waiting, scheduler._watches)
            assert 0 == scheduler._in_flight
        assert 3 == len(ended)
        assert {"SUCCESS", "closed"} >= set(ended)

    await sweep(scene)


async def test_a_run_may_be_left_at_any_turn() -> None:
    """Nothing is asked any more, and the client may be used afterwards."""

    async def scene(turns: int) -> None:
        transport, ids = RecordingTransport(seconds=0.5), numbered(3)
        for task_id in ids:
            transport.gateway.add_task(task_id, done_at(2))
        async with transport.client() as client:
            async with client.wait_for_tasks(ids) as outcomes:
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
            asked = len(transport.asked)
            await transport.gateway.advance(10.0)

            assert asked == len(transport.asked)
            assert set() == client._lifecycle.scopes
            with pytest.raises(errors.ClientStateError):
                await anext(outcomes)

    await sweep(scene)
