"""JobStore: each step may run twice, because its response may be lost."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from distributed._redis_server import RedisServer
from mj_async import errors
from mj_async.distributed._job.jsonl import pack
from mj_async.distributed._job.store import Delivery, JobStore

# Redis does the work: one event loop is enough.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

PART = pack([b"line\n"] * 10)


@pytest.fixture
async def store(redis: RedisServer) -> AsyncIterator[JobStore]:
    """Return a job of two chunks, all submitted."""
    async with JobStore(redis.url, f"store.{uuid.uuid4().hex}") as opened:
        await opened.create(10)
        assert await opened.submit(0, 2, 15, "digest")
        assert await opened.complete(2)
        yield opened


async def test_each_step_twice(store: JobStore) -> None:
    """A chunk goes through all steps, each of them twice, and is counted once."""
    for _ in range(2):
        await store.create(10)
        assert await store.submit(0, 2, 15, "digest")
        assert await store.complete(2)
    assert Delivery(1, 0, b"") == await store.begin(0)
    for _ in range(2):
        await store.finish(0, PART, 10, 3)
    state = await store.require_state()
    assert (2, 1, len(PART)) == (state.submitted_chunks, state.ended_chunks, state.waiting_bytes)
    assert [0] == await store.part_numbers()
    assert PART == await store.read_part(0)
    for _ in range(2):
        await store.mark_collected(0, 10)

    state = await store.require_state()
    assert 0 == state.waiting_bytes
    progress = state.progress
    assert (15, 10, 3, 10, 0, 0) == (
        progress.total,
        progress.done,
        progress.seedless,
        progress.collected,
        progress.running,
        progress.dead,
    )
    assert b"\x80" == await store.collected_bitmap()
    assert [] == await store.part_numbers()
    assert None is await store.read_part(0)


async def test_what_is_done_is_not_begun_again(store: JobStore) -> None:
    """A finished chunk that is delivered again is not changed, whether collected or not."""
    await store.begin(0)
    await store.finish(0, PART, 10, 0)
    assert Delivery(0, 0, b"") == await store.begin(0)
    assert not await store.release(0, b"", deliveries=0, lookups=0)
    await store.mark_collected(0, 10)

    assert Delivery(0, 0, b"") == await store.begin(0)
    assert not await store.release(0, b"", deliveries=0, lookups=0)
    await store.finish(0, PART, 10, 0)
    assert [] == await store.part_numbers()


async def test_a_released_chunk(store: JobStore) -> None:
    """The lines of a released chunk are kept, and its delivery counts only if requested."""
    assert Delivery(1, 0, b"") == await store.begin(0)
    assert 10 == (await store.require_state()).progress.running
    assert await store.release(0, b"some", deliveries=-1, lookups=1)
    assert 0 == (await store.require_state()).progress.running
    assert Delivery(1, 1, b"some") == await store.begin(0)
    assert await store.release(0, b"more", deliveries=0, lookups=0)

    assert Delivery(2, 1, b"more") == await store.begin(0)


async def test_the_dead(store: JobStore) -> None:
    """A dead chunk is counted once, and not any more after it is done or sent again."""
    for _ in range(2):
        await store.mark_dead(0, ["猪", "2"])
        await store.mark_dead(1, ["3"])
    assert {0: ["猪", "2"], 1: ["3"]} == await store.dead()
    state = await store.require_state()
    assert (2, 3) == (state.ended_chunks, state.progress.dead)
    await store.finish(0, PART, 2, 0)
    for _ in range(2):
        await store.unmark_dead(1, 1)

    assert {} == await store.dead()
    assert 0 == (await store.require_state()).progress.dead
    assert Delivery(1, 0, b"") == await store.begin(1)


async def test_submitted_by_another_process(store: JobStore) -> None:
    """A process with an outdated state can neither submit chunks nor complete the job."""
    assert not await store.submit(0, 1, 10, "digest")
    assert not await store.submit(1, 2, 15, "other digest")
    assert not await store.complete(1)


async def test_locks(store: JobStore) -> None:
    """A lock has one owner until that owner releases it."""
    assert await store.lock("submit", "one", 60)
    assert await store.lock("submit", "one", 60)
    assert await store.lock("collect", "two", 60)
    await store.unlock("submit", "two")
    assert not await store.lock("submit", "two", 60)
    await store.unlock("submit", "one")

    assert await store.lock("submit", "two", 60)


async def test_workers_are_counted(redis: RedisServer, store: JobStore) -> None:
    """A worker is counted until it leaves or is silent; its entry expires."""
    await store.read_state("one", 60)
    await store.read_state("two", 60)
    assert 2 == (await store.require_state()).progress.workers
    await store.read_state("one", 0)

    assert 1 == (await store.require_state()).progress.workers
    assert 1 <= int(redis.ask("ttl", f"{store.key}:workers")[0]) <= 60


async def test_a_lost_job(redis: RedisServer, store: JobStore) -> None:
    """If Redis has lost the job, no step creates any key."""
    await store.require_state()
    redis.ask("del", store.key)

    assert Delivery(0, 0, b"") == await store.begin(0)
    await store.finish(0, PART, 10, 0)
    assert not await store.release(0, b"", deliveries=0, lookups=0)
    await store.mark_collected(0, 10)
    assert not await store.submit(0, 1, 10, "")
    assert not await store.complete(0)
    assert [""] == redis.ask("keys", f"{store.key}*")
    with pytest.raises(errors.ClientStateError, match="has lost the job; next: submit it"):
        await store.read_state()


async def test_other_chunk_size(store: JobStore) -> None:
    """The chunk size of a job cannot change."""
    with pytest.raises(errors.ConfigurationError, match=r"has chunks of 10 ids, not of 20; next:"):
        await store.create(20)


async def test_a_hash_without_version(redis: RedisServer) -> None:
    """A hash that is not a job has no version, and is refused."""
    name = f"store.{uuid.uuid4().hex}"
    redis.ask("hset", f"mj_async:job:{name}", "something", "else")
    async with JobStore(redis.url, name) as store:
        with pytest.raises(errors.ConfigurationError, match="by another version of mj_async; next"):
            await store.create(10)


async def test_a_key_of_another_program(redis: RedisServer) -> None:
    """If the key is not a job, the error of Redis is quoted."""
    name = f"store.{uuid.uuid4().hex}"
    redis.ask("set", f"mj_async:job:{name}", "something")
    async with JobStore(redis.url, name) as store:
        with pytest.raises(
            errors.ConfigurationError, match=r"cannot do what is needed: .*wrong kind"
        ):
            await store.read_state()
