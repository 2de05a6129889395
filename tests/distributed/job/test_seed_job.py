"""SeedJob in one process: submit, work, collect, and its progress."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from distributed._redis_server import RedisServer
from mj_async import AsyncMJClient, SeedOutcome, errors
from mj_async.distributed import JobProgress, SeedJob
from mj_async.distributed._job.state import JobState
from mj_async.distributed._job.submitter import has_room
from mj_async.testing import FakeGateway

from ._scripted_gateway import ScriptedGateway

pytestmark = pytest.mark.anyio
# No logic here depends on the event loop, so one is enough.
ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])

IDS = [str(number) for number in range(100, 125)]
MakeJob = Callable[..., SeedJob]


def lines_of(directory: Path) -> list[dict[str, Any]]:
    """Return the collected lines, in order."""
    parts = [path.read_text("utf-8") for path in sorted(directory.iterdir())]
    return [json.loads(line) for part in parts for line in part.splitlines()]


async def work_on(job: SeedJob, gateway: ScriptedGateway, **options: Any) -> None:
    """Work on a job, with a new client."""
    async with gateway.client() as client:
        await job.work(client, **options)


async def test_every_kind_of_outcome(make_job: MakeJob, tmp_path: Path) -> None:
    """Each id has its line, in the order of the ids, also if its outcome is not final."""
    gateway, job = FakeGateway(), make_job(chunk_size=2)
    gateway.add_task("done", [(0, "SUCCESS", "100%")], seed="42", prompt="小猪")
    gateway.add_task("failed", [(0, "FAILURE", "10%")])
    gateway.add_task("waits", [(0, "IN_PROGRESS", "10%")])
    await job.submit(["done", "failed", "waits", "missing", "done"])
    async with gateway.client() as client:
        await job.work(client)
    await job.collect(tmp_path / "new" / "output")

    lines = lines_of(tmp_path / "new" / "output")
    assert ["done", "failed", "waits", "missing"] == [line["task_id"] for line in lines]
    assert ["42", None, None, None] == [line["seed"] for line in lines]
    assert [
        (None, None),
        ("TaskFailedError", None),
        ("SeedUnavailableError", False),
        ("TaskNotFoundError", None),
    ] == [((line["error"] or {}).get("type"), (line["error"] or {}).get("final")) for line in lines]
    assert ["part-000000.jsonl", "part-000001.jsonl"] == sorted(
        path.name for path in (tmp_path / "new" / "output").iterdir()
    )
    progress = await job.progress()
    assert (4, True, 4, 3, 4) == (
        progress.total,
        progress.complete,
        progress.done,
        progress.seedless,
        progress.collected,
    )
    assert (0, 0, 0) == (progress.running, progress.dead, progress.workers)
    assert 0 < progress.per_second <= 4
    assert progress.finished
    assert progress.all_collected


async def test_outcomes(make_job: MakeJob) -> None:
    """`outcomes` yields the outcomes in order; a part is collected when the next one begins."""
    job, gateway = make_job(), ScriptedGateway(prompt="a\u2028b\x85c")
    await job.submit(IDS)
    await work_on(job, gateway)
    seen: list[SeedOutcome] = []
    async with job.outcomes() as outcomes:
        async for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 15:
                break
        assert 10 == (await job.progress()).collected
    async with job.outcomes() as outcomes:
        seen += [outcome async for outcome in outcomes]
        assert None is await anext(outcomes, None)

    assert IDS[:15] + IDS[10:] == [outcome.task_id for outcome in seen]
    seed = seen[0].unwrap()
    assert ("7100", "image-seed") == (seed.seed, seed.source)
    assert seed.task is not None
    assert "a\u2028b\x85c" == seed.task.prompt
    assert (await job.progress()).all_collected


async def test_outcomes_must_be_entered(make_job: MakeJob) -> None:
    """Before they are entered and after they are left, the error shows how to use them."""
    job: Any = make_job()
    await job.submit([])
    with pytest.raises(errors.ClientStateError, match=r"async with job\.outcomes"):
        async for _ in job.outcomes():
            pass
    async with job.outcomes() as outcomes:
        pass

    with pytest.raises(errors.ClientStateError, match=r"async with job\.outcomes"):
        await anext(aiter(outcomes))


@pytest.mark.parametrize("ids", [[], iter(()), ["1"]], ids=["none", "iterator", "one"])
async def test_few_ids(make_job: MakeJob, ids: Any, tmp_path: Path) -> None:
    """A job with no id, or with one, ends like any other."""
    job, count = make_job(chunk_size=1), len(ids) if isinstance(ids, list) else 0
    await job.submit(ids)
    await work_on(job, ScriptedGateway(), concurrency=1)
    await job.collect(str(tmp_path / "out"))

    assert count == len(lines_of(tmp_path / "out"))
    assert (await job.progress()).all_collected


async def test_submitted_again(make_job: MakeJob, tmp_path: Path) -> None:
    """Submitting the same ids again adds nothing, whether before, during or after the work."""
    job, gateway = make_job(), ScriptedGateway()

    async def asynchronous() -> AsyncIterator[str]:
        for one in IDS:
            yield one

    await job.submit(IDS)
    await job.submit(one for one in IDS + IDS)
    await work_on(job, gateway)
    await job.submit(asynchronous())
    await job.collect(tmp_path)

    assert IDS == [line["task_id"] for line in lines_of(tmp_path)]
    assert {1} == set(gateway.asked.values())


async def test_more_after_whole_chunks(make_job: MakeJob) -> None:
    """A complete job accepts no further chunk."""
    job = make_job()
    await job.submit(IDS[:20])

    with pytest.raises(errors.ConfigurationError, match="was submitted with other ids"):
        await job.submit(IDS)


@ONE_LOOP
@pytest.mark.parametrize(
    "others",
    [IDS[:20], IDS[:24], [*IDS, "more"], [*IDS, *map(str, range(10))], [*IDS[:-1], "x"], IDS[::-1]],
    ids=["fewer chunks", "fewer", "more", "more chunks", "another", "other order"],
)
async def test_other_ids(make_job: MakeJob, others: list[str]) -> None:
    """Other ids under the name of the same job are refused, and change nothing."""
    job = make_job()
    await job.submit(IDS)
    before = await job.progress()

    with pytest.raises(errors.ConfigurationError, match="was submitted with other ids; next: "):
        await job.submit(others)
    assert before == await job.progress()


class Broken:
    """An iterable of ids that raises an error at the end."""

    def __init__(self, count: int, error: BaseException) -> None:
        self._ids, self._error = iter(IDS[:count]), error

    def __iter__(self) -> Iterator[str]:
        yield from self._ids
        raise self._error

    async def asynchronous(self) -> AsyncIterator[str]:
        """The same as an async iterable."""
        for one in self:
            await anyio.lowlevel.checkpoint()
            yield one


@ONE_LOOP
@pytest.mark.parametrize("error", [OSError(5, "no"), TimeoutError(), ValueError("x"), KeyError(1)])
async def test_a_source_that_breaks(make_job: MakeJob, error: Exception, tmp_path: Path) -> None:
    """The caller gets the error of its own iterable, and the job can continue later."""
    job, gateway = make_job(), ScriptedGateway()
    with pytest.raises(type(error)) as raised:
        await job.submit(Broken(12, error))
    assert error is raised.value
    with pytest.raises(type(error)) as raised:
        await job.submit(Broken(23, error).asynchronous())
    assert error is raised.value
    progress = await job.progress()
    assert (20, False) == (progress.total, progress.complete)
    await job.submit(IDS)
    await work_on(job, gateway)
    await job.collect(tmp_path)

    assert IDS == [line["task_id"] for line in lines_of(tmp_path)]


async def test_killed_before_publishing(redis: RedisServer, make_job: MakeJob) -> None:
    """A chunk that was recorded but not published is published the next time."""
    job = make_job()
    with pytest.raises(OSError, match="cut"):
        await job.submit(Broken(20, OSError("cut")))
    queue = f"streaq:mj_async:{job.name}"
    *_, last = [
        line for line in redis.ask("xrange", f"{queue}:queues:normal", "-", "+") if "-" in line
    ]
    redis.ask("xdel", f"{queue}:queues:normal", last)
    redis.ask("del", f"{queue}:task:data:000001")
    gateway = ScriptedGateway()
    await job.submit(IDS[:20])
    await work_on(job, gateway)

    assert set(IDS[:20]) == set(gateway.asked)


@ONE_LOOP
@pytest.mark.parametrize("bad", ["", "a\nb", "x" * 257, "\ud800", None])
async def test_bad_ids(make_job: MakeJob, bad: Any) -> None:
    """In a list, an invalid id is refused before anything is sent; in an iterator, when read."""
    job = make_job()
    with pytest.raises(errors.ConfigurationError):
        await job.submit([*IDS, bad])
    with pytest.raises(errors.ConfigurationError, match="there is no job"):
        await job.progress()
    with pytest.raises(errors.ConfigurationError):
        await job.submit(iter([*IDS, bad]))

    assert not (await job.progress()).complete


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a/b", ".a", "-a", "猪", "a\n", "x" * 101, None]
)
def test_odd_names(name: Any) -> None:
    """An invalid name is refused at once."""
    with pytest.raises(errors.ConfigurationError, match="must have 1 to 100 of A-Z a-z 0-9"):
        SeedJob("redis://localhost", name)


@pytest.mark.parametrize(
    "options", [{"chunk_size": 0}, {"chunk_size": 1.5}, {"lease": 0}, {"lease": float("nan")}]
)
def test_bad_options(options: dict[str, Any]) -> None:
    """An invalid option is refused at once."""
    with pytest.raises(errors.ConfigurationError, match=next(iter(options))):
        SeedJob("redis://localhost", "job", **options)


async def test_bad_work(make_job: MakeJob) -> None:
    """An invalid argument of `work` is refused before anything is sent."""
    not_a_client: Any = "client"
    with pytest.raises(errors.ConfigurationError, match="client"):
        await make_job().work(not_a_client)
    async with ScriptedGateway().client() as client:
        with pytest.raises(errors.ConfigurationError, match="concurrency"):
            await make_job().work(client, concurrency=0)


def test_repr() -> None:
    """The repr does not show the address of Redis, which may hold a password."""
    job = SeedJob("redis://:secret@localhost", "job", chunk_size=10)

    assert "SeedJob(name='job', chunk_size=10)" == repr(job)


async def test_jobs_are_independent(make_job: MakeJob, tmp_path: Path, redis: RedisServer) -> None:
    """Two jobs in one Redis, worked on at the same time, do not affect each other."""
    one, other = make_job(), SeedJob(redis.url, f"{make_job().name}.other", chunk_size=3)
    gateways = ScriptedGateway(), ScriptedGateway()
    await one.submit(IDS)
    await other.submit(IDS[5:9])
    async with anyio.create_task_group() as group:
        group.start_soon(work_on, one, gateways[0])
        group.start_soon(work_on, other, gateways[1])
    await one.collect(tmp_path / "one")
    await other.collect(tmp_path / "other")

    assert IDS == [line["task_id"] for line in lines_of(tmp_path / "one")]
    assert IDS[5:9] == [line["task_id"] for line in lines_of(tmp_path / "other")]
    assert [set(IDS), set(IDS[5:9])] == [set(gateway.asked) for gateway in gateways]


@pytest.mark.parametrize("concurrency", [1, 2, 5, 8])
async def test_concurrency(make_job: MakeJob, concurrency: int) -> None:
    """At most `concurrency` requests for seeds run at once."""
    job, gateway = make_job(), ScriptedGateway()
    await job.submit(IDS)
    await work_on(job, gateway, concurrency=concurrency)

    assert 1 <= gateway.most_at_once <= concurrency


async def test_progress_during_the_work(make_job: MakeJob) -> None:
    """During the work, the progress shows the running ids and the workers."""
    job, gateway = make_job(), ScriptedGateway(IDS[0], IDS[24])
    await job.submit(IDS)
    progress = await job.progress()
    assert (25, 0, 0, 0.0) == (
        progress.total,
        progress.running,
        progress.workers,
        progress.per_second,
    )
    async with anyio.create_task_group() as group:
        group.start_soon(work_on, job, gateway)
        await gateway.until_asked(*IDS)
        progress = await job.progress()
        while progress.done < 10:
            progress = await job.progress()
        gateway.release()

    assert (10, 15, 1) == (progress.done, progress.running, progress.workers)
    assert not progress.finished
    progress = await job.progress()
    assert (25, 0, 0) == (progress.done, progress.running, progress.workers)


async def test_all_wait_for_the_submission(make_job: MakeJob, tmp_path: Path) -> None:
    """Worker and collector may start before the job is submitted."""
    job, gateway = make_job(), ScriptedGateway()
    async with anyio.create_task_group() as group:
        group.start_soon(work_on, job, gateway)
        group.start_soon(job.collect, tmp_path)
        await anyio.sleep(0.1)
        await job.submit(IDS)

    assert IDS == [line["task_id"] for line in lines_of(tmp_path)]


@ONE_LOOP
async def test_no_such_job(make_job: MakeJob) -> None:
    """Methods that need a job raise an error if it does not exist."""
    for ask in (make_job().progress, make_job().dead, make_job().send_again):
        with pytest.raises(errors.ConfigurationError, match=r"there is no job .*; next: submit it"):
            await ask()


@ONE_LOOP
async def test_another_version(redis: RedisServer, make_job: MakeJob, tmp_path: Path) -> None:
    """No method changes a job of another version."""
    job = make_job()
    await job.submit(IDS)
    redis.ask("hset", f"mj_async:job:{job.name}", "version", "0")
    gateway = ScriptedGateway()

    for part in (job.submit(IDS), work_on(job, gateway), job.collect(tmp_path), job.send_again()):
        with pytest.raises(errors.ConfigurationError, match="made by another version"):
            await part
    assert not gateway.asked


def _state(ended_chunks: int, waiting_bytes: int, chunk_size: int) -> JobState:
    progress = JobProgress(
        total=0,
        complete=False,
        done=0,
        seedless=0,
        collected=0,
        running=0,
        dead=0,
        workers=0,
        per_second=0.0,
    )
    return JobState(
        chunk_size=chunk_size,
        digest="",
        submitted_chunks=0,
        ended_chunks=ended_chunks,
        waiting_bytes=waiting_bytes,
        progress=progress,
    )


def test_flow_control() -> None:
    """The limits are 200,000 ids without an outcome, but at least 20 chunks, and 32 MB of parts."""
    assert has_room(_state(0, 0, 500), 399)
    assert not has_room(_state(0, 0, 500), 400)
    assert has_room(_state(1, 0, 500), 400)
    assert has_room(_state(0, 0, 50_000), 19)
    assert not has_room(_state(0, 0, 50_000), 20)
    assert has_room(_state(0, 2**25 - 1, 500), 0)
    assert not has_room(_state(0, 2**25, 500), 0)


async def test_submit_waits_for_room(redis: RedisServer, make_job: MakeJob) -> None:
    """`submit` waits while there is no room, and then continues."""
    job = make_job()
    await job.submit([])
    redis.ask("hset", f"mj_async:job:{job.name}", "complete", "0", "waiting", str(2**25))
    async with anyio.create_task_group() as group:
        group.start_soon(job.submit, IDS)
        await anyio.sleep(0.3)
        assert 0 == (await job.progress()).total
        redis.ask("hset", f"mj_async:job:{job.name}", "waiting", "0")

    progress = await job.progress()
    assert (25, True) == (progress.total, progress.complete)


async def test_a_closed_client(make_job: MakeJob) -> None:
    """A closed client ends the work with its own error; the ids stay for other workers."""
    job, gateway = make_job(), ScriptedGateway()
    await job.submit(IDS)
    client: AsyncMJClient = gateway.client()
    await client.aclose()
    with pytest.raises(errors.ClientStateError, match="closed"):
        await job.work(client)
    await work_on(job, gateway)

    assert (await job.progress()).finished
