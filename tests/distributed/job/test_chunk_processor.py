"""ChunkProcessor: outcomes that are not final are tried again later, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from distributed._redis_server import RedisServer
from mj_async import SeedOutcome, Task, errors
from mj_async.distributed import SeedJob
from mj_async.distributed._job.chunk_processor import ChunkProcessor, is_retryable
from mj_async.distributed._job.store import JobStore

from ._scripted_gateway import ScriptedGateway
from .test_seed_job import work_on

pytestmark = pytest.mark.anyio

MakeJob = Callable[..., SeedJob]
IDS = [str(number) for number in range(12)]
SOON = {"ask_again_after": 0.1}


async def outcomes_of(job: SeedJob) -> dict[str, SeedOutcome]:
    """Return all outcomes by id."""
    async with job.outcomes() as outcomes:
        return {outcome.task_id: outcome async for outcome in outcomes}


@pytest.mark.parametrize(("lacking", "asked"), [(1, 2), (2, 3), (9, 3)])
async def test_three_asks(make_job: MakeJob, lacking: int, asked: int) -> None:
    """An id without a final outcome is looked up at most three times, any other id once."""
    job, gateway = make_job(), ScriptedGateway()
    gateway.missing_seeds["3"] = lacking
    await job.submit(IDS)
    await work_on(job, gateway, **SOON)

    found = await outcomes_of(job)
    assert dict.fromkeys(IDS, 1) | {"3": asked} == gateway.asked
    assert (lacking < 3) == (found["3"].error is None)
    assert (lacking < 3) == found["3"].final
    assert (0 if lacking < 3 else 1) == (await job.progress()).seedless
    assert 0 == (await job.progress()).dead


async def test_delivered_when_it_is_done(make_job: MakeJob, redis: RedisServer) -> None:
    """A chunk that another worker has finished is not looked up, and does not go back."""
    job, gateway = make_job(), ScriptedGateway()
    await job.submit(IDS)
    await work_on(job, gateway)
    async with JobStore(redis.url, job.name) as store, gateway.client() as client:
        await ChunkProcessor(store, client, 4, 30.0).look_up(0, IDS[:10])

    assert dict.fromkeys(IDS, 1) == gateway.asked
    assert 12 == (await job.progress()).done


async def test_a_waiting_chunk_blocks_no_other(make_job: MakeJob) -> None:
    """While a chunk waits for its next try, the worker looks up others."""
    job, gateway = make_job(chunk_size=2), ScriptedGateway()
    for task_id in IDS[:6]:
        gateway.missing_seeds[task_id] = 1
    await job.submit(IDS)
    with anyio.move_on_after(20):
        async with anyio.create_task_group() as group:

            async def work() -> None:
                await work_on(job, gateway, ask_again_after=3600)

            group.start_soon(work)
            await gateway.until_asked(*IDS)
            while (await job.progress()).done < 6:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            group.cancel_scope.cancel()

    assert (6, 0) == ((progress := await job.progress()).done, progress.running)


async def test_a_gateway_that_is_down_for_a_while(make_job: MakeJob) -> None:
    """The worker waits for it, and no chunk becomes dead."""
    job, gateway = make_job(chunk_size=4), ScriptedGateway()
    gateway.is_away = True
    await job.submit(IDS)

    async def come_back() -> None:
        while gateway.connects < 3:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        gateway.is_away = False

    async with anyio.create_task_group() as group:
        group.start_soon(come_back)
        await work_on(job, gateway, **SOON)

    progress = await job.progress()
    assert (12, 0, 0) == (progress.done, progress.seedless, progress.dead)


async def test_a_gateway_that_stays_down(make_job: MakeJob) -> None:
    """The work ends with its error, which counts against no chunk."""
    job, gateway = make_job(chunk_size=4), ScriptedGateway()
    gateway.is_away = True
    await job.submit(IDS)
    for _ in range(3):
        with pytest.raises(errors.TransportError, match="connection refused"):
            await work_on(job, gateway, **SOON)

    progress = await job.progress()
    assert (0, 0, 0) == (progress.done, progress.dead, progress.running)
    gateway.is_away = False
    await work_on(job, gateway)
    assert 12 == (await job.progress()).done


@pytest.mark.parametrize("lists", [True, False])
async def test_ids_that_always_fail(make_job: MakeJob, lists: bool) -> None:  # noqa: FBT001
    """If the gateway always fails for a few ids but is up, the worker does not wait for it."""
    job, gateway = make_job(), ScriptedGateway()
    gateway.fails, gateway.lists = set(IDS[:2]), lists
    await job.submit(IDS)
    await work_on(job, gateway, **SOON)

    assert (12, 2, 0) == ((progress := await job.progress()).done, progress.seedless, progress.dead)
    assert {3} == {gateway.asked[task_id] for task_id in IDS[:2]}
    assert {1} == {gateway.asked[task_id] for task_id in IDS[2:]}


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (None, False),
        (errors.ServerError(status_code=502), True),
        (errors.SeedUnavailableError(task_id="1", task=Task("1", status="SUCCESS"), code=9), True),
        (errors.SeedUnavailableError(task_id="1", task=Task("1", status="MODAL")), False),
        (errors.TaskNotFoundError(task_id="1"), False),
    ],
)
def test_what_comes_later(error: Any, later: bool) -> None:  # noqa: FBT001
    """A gateway in trouble may answer soon; a task that has not ended will not."""
    assert later == is_retryable(SeedOutcome("1", error=error))
