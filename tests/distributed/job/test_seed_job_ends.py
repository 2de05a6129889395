"""SeedJob: cancellation, lost locks, silent workers, failures of Redis and of files."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from distributed._redis_server import RedisServer
from mj_async import errors
from mj_async.distributed import SeedJob
from mj_async.distributed._job.chunk_processor import ChunkProcessor
from mj_async.distributed._job.collector import PartConsumer
from mj_async.distributed._job.jsonl import pack
from mj_async.distributed._job.lock import JobLock
from mj_async.distributed._job.store import JobStore

from ._scripted_gateway import ScriptedGateway
from .test_seed_job import IDS, lines_of, work_on

pytestmark = pytest.mark.anyio

MakeJob = Callable[..., SeedJob]


async def work_and_cancel(job: SeedJob, gateway: ScriptedGateway, *task_ids: str) -> None:
    """Work on a job until these ids are requested and all others answered; then cancel it."""
    async with anyio.create_task_group() as group:
        group.start_soon(work_on, job, gateway)
        await gateway.until_asked(*task_ids)
        await anyio.sleep(0.1)
        group.cancel_scope.cancel()


async def test_cancelled_work(make_job: MakeJob, tmp_path: Path) -> None:
    """Cancelled work gives its chunks back at once; no answered id is requested again."""
    job, gateway = make_job(), ScriptedGateway(IDS[7])
    await job.submit(IDS)
    await work_and_cancel(job, gateway, *IDS[:20])
    progress = await job.progress()
    assert (0, 0) == (progress.running, progress.workers)
    gateway.release()
    with anyio.fail_after(10):  # the lease is longer
        await work_on(job, gateway)
    await job.collect(tmp_path)

    assert IDS == [line["task_id"] for line in lines_of(tmp_path)]
    assert {IDS[7]: 2} == {one: count for one, count in gateway.asked.items() if count > 1}


async def test_cancelled_at_any_moment(make_job: MakeJob, tmp_path: Path) -> None:
    """A cancelled method raises nothing else, at any moment, and can continue later."""
    job, gateway = make_job(lease=0.3), ScriptedGateway()
    parts = (
        partial(job.submit, IDS),
        partial(work_on, job, gateway),
        partial(job.collect, tmp_path),
    )
    for part in parts:
        for seconds in (0, 0.002, 0.01, 0.04):
            with anyio.move_on_after(seconds):
                await part()
        with anyio.fail_after(30):
            await part()

    assert IDS == [line["task_id"] for line in lines_of(tmp_path)]


async def test_cancelled_outcomes(make_job: MakeJob) -> None:
    """`outcomes` releases its lock at once after a cancellation or an exception of the caller."""
    job, mine = make_job(), OSError(28, "mine")
    await job.submit(IDS)
    with anyio.move_on_after(0.2):
        async with job.outcomes() as outcomes:
            await anext(aiter(outcomes))
    with pytest.raises(OSError, match="mine") as raised:
        async with job.outcomes():
            raise mine
    assert mine is raised.value

    began = time.monotonic()
    async with job.outcomes():
        assert 3 > time.monotonic() - began


@pytest.mark.parametrize("mine", [KeyError("mine"), RuntimeError("mine")])
async def test_a_client_that_breaks(make_job: MakeJob, mine: Exception) -> None:
    """The caller gets any other exception of a client unchanged; five make a chunk dead."""
    job, gateway = make_job(chunk_size=25), ScriptedGateway()
    await job.submit(IDS)
    for _ in range(5):
        gateway.raises = mine
        with pytest.raises(type(mine)) as raised:
            await work_on(job, gateway)
        assert mine is raised.value
    gateway.raises = None
    await work_on(job, gateway)

    progress = await job.progress()
    assert (25, 0, True) == (progress.dead, progress.done, progress.finished)
    assert {0: IDS} == await job.dead()
    assert 25 == await job.send_again()
    assert 0 == (await job.progress()).dead
    assert {} == await job.dead()
    await work_on(job, gateway)
    assert 25 == (await job.progress()).done
    assert 0 == await job.send_again()


async def test_a_refused_key(make_job: MakeJob) -> None:
    """A refused key ends the work, does not count against the chunk, and loses no outcome."""
    job, gateway = make_job(), ScriptedGateway()
    await job.submit(IDS[:10])
    gateway.refuses = {IDS[9]}
    for _ in range(7):
        with pytest.raises(errors.AuthenticationError):
            await work_on(job, gateway, concurrency=1)
    gateway.refuses.clear()
    await work_on(job, gateway, concurrency=1)

    assert (10, 0) == ((progress := await job.progress()).done, progress.dead)
    assert 1 == gateway.asked[IDS[0]]
    assert 8 <= gateway.asked[IDS[9]]


async def test_another_process_submits(make_job: MakeJob, redis: RedisServer) -> None:
    """A second process waits for the lock, and raises an error if the first one renews it."""
    job = make_job()
    async with JobStore(redis.url, job.name) as store, JobLock(store, "submit", ttl=60):
        async with JobStore(redis.url, job.name) as other:
            with pytest.raises(errors.ConfigurationError, match="another process already submits"):
                async with JobLock(other, "submit", ttl=0.1):
                    pass
    with anyio.fail_after(3):
        await job.submit(IDS)


async def test_two_submit(make_job: MakeJob, tmp_path: Path) -> None:
    """Two calls that submit the same ids at the same time submit them once."""
    job, gateway = make_job(), ScriptedGateway()
    async with anyio.create_task_group() as group:
        group.start_soon(job.submit, IDS)
        group.start_soon(job.submit, IDS)
    await work_on(job, gateway)
    await job.collect(tmp_path)

    assert IDS == [line["task_id"] for line in lines_of(tmp_path)]


async def test_a_lock_is_renewed(redis: RedisServer) -> None:
    """A lock is renewed while it is entered; its owner notices if it is lost."""
    async with JobStore(redis.url, "locked") as store, JobLock(store, "collect", ttl=2) as lock:
        await anyio.sleep(2.5)
        await lock.verify()
        redis.ask("set", f"{store.key}:lock:collect", "another's")
        await anyio.sleep(1.1)

        with pytest.raises(errors.ClientStateError, match="has taken over: it collects"):
            await lock.verify()
    redis.ask("del", f"{store.key}:lock:collect")


@pytest.mark.parametrize("last", [15, 22])
async def test_overtaken(make_job: MakeJob, redis: RedisServer, last: int) -> None:
    """A process that was stopped while another one submitted does not submit any more."""
    job = make_job()

    async def ids() -> AsyncIterator[str]:
        for number, one in enumerate(IDS):
            if number == last:
                redis.ask("hset", f"mj_async:job:{job.name}", "fed", "7")
            yield one

    with pytest.raises(errors.ClientStateError, match=r"has changed meanwhile.*; next: submit it"):
        await job.submit(ids())


async def test_completed_by_another(make_job: MakeJob, redis: RedisServer) -> None:
    """A process that was overtaken at the end does not complete the job."""
    job = make_job()

    async def ids() -> AsyncIterator[str]:
        for one in IDS[:20]:
            yield one
        redis.ask("hset", f"mj_async:job:{job.name}", "fed", "7")

    with pytest.raises(errors.ClientStateError, match="has changed meanwhile"):
        await job.submit(ids())
    assert not (await job.progress()).complete


async def test_a_silent_worker(make_job: MakeJob, redis: RedisServer, tmp_path: Path) -> None:
    """The chunk of a silent worker goes to another; a late result changes nothing."""
    job, quick = make_job(), ScriptedGateway()
    await job.submit(IDS[:10])

    def stopped() -> None:
        # Its event loop is blocked for longer than its lease, as after SIGSTOP.
        async def work() -> None:
            silent = ScriptedGateway(*IDS)
            async with anyio.create_task_group() as group:
                group.start_soon(work_on, SeedJob(redis.url, job.name, lease=0.5), silent)
                await silent.until_asked(*IDS[:10])
                is_asked.set()
                go_on.wait()
                silent.release()

        anyio.run(work)

    is_asked, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=stopped)
    thread.start()
    await anyio.to_thread.run_sync(is_asked.wait)
    with anyio.fail_after(20):
        await work_on(make_job(lease=0.5), quick)
    await job.collect(tmp_path)
    go_on.set()
    await anyio.to_thread.run_sync(thread.join)

    assert set(IDS[:10]) == set(quick.asked)
    assert IDS[:10] == [line["task_id"] for line in lines_of(tmp_path)]
    progress = await job.progress()
    assert (10, 10, 0) == (progress.done, progress.collected, progress.dead)
    assert [""] == redis.ask("hkeys", f"mj_async:job:{job.name}:parts")


async def test_redis_comes_back(redis_server: RedisServer, tmp_path: Path) -> None:
    """Redis may be killed and started again while all parts of a job run."""
    job = SeedJob(redis_server.url, "job", chunk_size=10, lease=1)
    gateway, seen = ScriptedGateway(*IDS[20:]), []

    async def ids() -> AsyncIterator[str]:
        for one in IDS:
            await anyio.sleep(0.04)
            yield one

    async def take() -> None:
        async with job.outcomes() as outcomes:
            seen.extend([outcome.task_id async for outcome in outcomes])

    with anyio.fail_after(40):
        async with anyio.create_task_group() as group:
            group.start_soon(job.submit, ids())
            group.start_soon(take)
            group.start_soon(work_on, job, gateway)
            await anyio.sleep(0.5)
            redis_server.kill()
            await anyio.sleep(0.3)
            redis_server.start()
            await anyio.sleep(0.3)
            gateway.release()

    assert IDS == sorted(seen)


async def test_redis_loses_the_job(redis_server: RedisServer, tmp_path: Path) -> None:
    """If Redis has lost the job, all methods end with an error; it can be submitted again."""
    job = SeedJob(redis_server.url, "job", chunk_size=10)
    gateway = ScriptedGateway(*IDS[10:])
    raised: list[errors.MJError] = []

    async def ends(part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except errors.MJError as error:
            raised.append(error)

    await job.submit(IDS)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(ends, lambda: work_on(job, gateway))
            group.start_soon(ends, lambda: job.collect(tmp_path / "out"))
            while not list((tmp_path / "out").glob("*.jsonl")):  # noqa: ASYNC110
                await anyio.sleep(0.05)
            redis_server.ask("flushall")
    assert {errors.ClientStateError} == {type(error) for error in raised}
    assert all("has lost the job; next: submit it again" in str(one) for one in raised)
    gateway.release()
    await job.submit(IDS)
    await work_on(job, gateway)
    await job.collect(tmp_path / "out")

    assert IDS == [line["task_id"] for line in lines_of(tmp_path / "out")]


async def test_redis_without_room(redis_server: RedisServer, tmp_path: Path) -> None:
    """If Redis has no memory left, the work ends with its error; no chunk is lost."""
    job, gateway = SeedJob(redis_server.url, "job", chunk_size=10, lease=0.5), ScriptedGateway()
    await job.submit(IDS)
    redis_server.ask("config", "set", "maxmemory", "1")
    with pytest.raises(errors.ConfigurationError, match="used memory > 'maxmemory'"):
        await work_on(job, gateway)
    redis_server.ask("config", "set", "maxmemory", "0")
    with anyio.fail_after(20):
        await work_on(job, gateway)
    await job.collect(tmp_path / "out")

    assert IDS == [line["task_id"] for line in lines_of(tmp_path / "out")]


async def test_redis_stays_away(redis_server: RedisServer) -> None:
    """While Redis is away, cancelled work ends soon."""
    job, gateway = SeedJob(redis_server.url, "job", chunk_size=10), ScriptedGateway(*IDS)
    await job.submit(IDS[:10])
    async with anyio.create_task_group() as group:
        group.start_soon(work_on, job, gateway)
        await gateway.until_asked(*IDS[:10])
        redis_server.kill()
        await anyio.sleep(0.6)
        began = time.monotonic()
        group.cancel_scope.cancel()

    assert 8 > time.monotonic() - began


async def test_directories(make_job: MakeJob, redis: RedisServer, tmp_path: Path) -> None:
    """A directory that is not writable, lacks parts, or has those of another job, is refused."""
    job, other = make_job(), SeedJob(redis.url, f"{make_job().name}.b")
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ConfigurationError, match=r"cannot write to .*; next: use another"):
        await job.collect(tmp_path / "file")
    for one in (job, other):
        await one.submit(IDS if one is job else IDS[::-1])
        await work_on(one, ScriptedGateway())
    await job.collect(tmp_path / "a")
    with pytest.raises(errors.ConfigurationError, match=r"3 parts .* not in .*part-000000"):
        await job.collect(tmp_path / "b")
    before = lines_of(tmp_path / "a")
    with pytest.raises(errors.ConfigurationError, match=r"jsonl belongs to another job; next: use"):
        await other.collect(tmp_path / "a")

    assert before == lines_of(tmp_path / "a")
    await other.collect(tmp_path / "b")


async def test_killed_between_file_and_acknowledgement(
    make_job: MakeJob, redis: RedisServer, tmp_path: Path
) -> None:
    """A part that was written but not acknowledged is written again; a `.tmp` file is ignored."""
    job = make_job()
    await job.submit(IDS)
    await work_on(job, ScriptedGateway())
    await job.collect(tmp_path)
    before = lines_of(tmp_path)
    key = f"mj_async:job:{job.name}"
    async with JobStore(redis.url, job.name) as store:
        redis.ask("setbit", f"{key}:collected", "1", "0")
        redis.ask("hincrby", key, "done", "-1")
        lines = (tmp_path / "part-000001.jsonl").read_bytes().splitlines(keepends=True)
        await store.finish(1, pack(lines), 0, 0)
    (tmp_path / "part-000001.tmp").write_text("torn")
    redis.ask("hincrby", key, "collected_ids", "-10")
    await job.collect(tmp_path)

    assert before == lines_of(tmp_path)


async def test_a_part_collected_meanwhile(make_job: MakeJob, redis: RedisServer) -> None:
    """A part that another process has collected after it was listed is skipped."""
    job = make_job()
    await job.submit(IDS)
    await work_on(job, ScriptedGateway())
    async with JobStore(redis.url, job.name) as store, JobLock(store, "collect") as lock:
        parts = PartConsumer(store, lock)
        assert 0 == (await parts.next() or (None,))[0]
        await store.mark_collected(1, 10)

        assert 2 == (await parts.next() or (None,))[0]


async def test_outcomes_cancelled_while_waiting(make_job: MakeJob, redis: RedisServer) -> None:
    """`outcomes` can be cancelled while another process collects."""
    job = make_job()
    async with JobStore(redis.url, job.name) as store, JobLock(store, "collect"):
        with anyio.move_on_after(0.2) as scope:
            async with job.outcomes():
                pass

    assert scope.cancelled_caught


async def test_redis_loses_the_queue(make_job: MakeJob, redis: RedisServer) -> None:
    """A worker without a queue ends with an error that says what to do."""
    job, raised = make_job(), []

    async def work() -> None:
        try:
            await work_on(job, ScriptedGateway())
        except errors.ClientStateError as error:
            raised.append(str(error))

    queue = f"streaq:mj_async:{job.name}:queues:normal"
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            while "1" not in redis.ask("exists", queue):  # noqa: ASYNC110
                await anyio.sleep(0.02)
            await anyio.sleep(0.2)
            redis.ask("del", queue)

    assert "lost the job; next: submit it again" in raised[0]


async def test_an_id_repeated_far_behind(make_job: MakeJob) -> None:
    """An id is submitted once, however far behind it is repeated."""
    job = make_job(chunk_size=200_000)
    await job.submit(str(number % 100_002) for number in range(100_003))

    assert 100_002 == (await job.progress()).total


async def test_stopped_while_a_chunk_begins(make_job: MakeJob, redis: RedisServer) -> None:
    """Work that is stopped when a chunk begins requests none of its ids."""
    job, gateway = make_job(), ScriptedGateway()
    await job.submit(IDS)
    async with JobStore(redis.url, job.name) as store, gateway.client() as client:
        chunks = ChunkProcessor(store, client, 4, 30.0)
        chunks.stop()

        assert 0.0 == await chunks._process(0, IDS[:10])
        assert 0 == (await store.require_state()).progress.running
    assert not gateway.asked
