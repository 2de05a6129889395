"""A schedule that learns: after some tasks, it asks rarely at first, and densely at the end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from _crowd import Crowd, Way, done_at, numbered
from mj_async import AsyncMJClient, Polling, errors

pytestmark = pytest.mark.anyio

ADAPTIVE = Polling.adaptive(max_interval=12.0, jitter=0)


async def learn(way: Way, client: AsyncMJClient) -> None:
    """See 20 tasks end, that take from 55 to 65 s."""
    ids = [f"seen {task_id}" for task_id in numbered(20)]
    for number, task_id in enumerate(ids):
        way.gateway.add_task(task_id, done_at(55.0 + number / 2))
    async with client.task_poller(polling=ADAPTIVE) as poller:
        await Crowd(way, poller).wait_for(ids)


@pytest.mark.parametrize("together", [True, False], ids=["a poller's", "the client's own"])
async def test_a_wait_follows_what_was_learnt(together: bool) -> None:  # noqa: FBT001
    """It asks every 12 s long before the usual end, and every 3 s around it."""
    way = Way()
    async with way.client(polling=ADAPTIVE) as client, client.task_poller() as poller:
        await learn(way, client)
        began = way.gateway.now
        way.gateway.add_task("new", done_at(61.0))
        await (poller if together else client).wait_for_task("new")

    ages = [at - began for at in way.at("new")]
    before = [later - sooner for sooner, later in pairwise(ages) if later < 50]
    around = [later - sooner for sooner, later in pairwise(ages) if sooner > 55]
    assert {12.0} == set(before)
    assert around
    assert max(around) <= 4.5
    assert 61 <= ages[-1] <= 64.5
    assert len(ages) <= 9


async def test_before_it_has_learnt_the_intervals_are_the_usual_ones() -> None:
    """The first tasks are asked for as with any schedule, up to its longest interval."""
    way = Way()
    way.gateway.add_task("1", done_at(40.0))
    async with way.client(polling=ADAPTIVE) as client:
        await client.wait_for_task("1")

    assert pytest.approx([0, 3, 6.9, 11.97, 18.561, 27.1293, 38.26809, 50.26809]) == way.at()


async def test_what_outlasts_all_others_is_asked_for_as_usual() -> None:
    """Where too few took longer, the grown interval holds."""
    way = Way()
    async with way.client(polling=ADAPTIVE) as client:
        await learn(way, client)
        began = way.gateway.now
        way.gateway.add_task("slow", done_at(200.0))
        await client.wait_for_task("slow")

    ages = [at - began for at in way.at("slow")]
    assert {12.0} == {round(later - sooner, 6) for sooner, later in pairwise(ages) if sooner > 80}
    assert ages[-1] < 212


async def test_a_plain_schedule_does_not_follow_what_was_learnt() -> None:
    """Learning goes on in any case, and only a learning schedule uses it."""
    way = Way()
    async with way.client() as client:
        await learn(way, client)
        before = len(way.asked)
        way.gateway.add_task("new", done_at(60.0))
        await client.wait_for_task("new")

    assert 21 == len(way.asked) - before


async def test_a_failed_task_teaches_nothing() -> None:
    """Failures are quick, and say nothing about those that succeed."""
    way = Way()
    async with way.client(polling=ADAPTIVE) as client:
        for task_id in numbered(20):
            way.gateway.add_task(task_id, [(0, "SUBMITTED", ""), (1, "FAILURE", "100%")])
            with pytest.raises(errors.TaskFailedError):
                await client.wait_for_task(task_id)
        way.gateway.add_task("new", done_at(5.0))
        before = len(way.asked)
        await client.wait_for_task("new")

    assert 3 == len(way.asked) - before
