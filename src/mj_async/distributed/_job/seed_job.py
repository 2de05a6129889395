"""SeedJob: bulk lookups of seeds on many machines, which share a Redis."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from os import PathLike
from pathlib import Path

from mj_async import AsyncMJClient, SeedOutcome, errors
from mj_async._config import above_zero, check_count, check_instance, check_option, zero_or_more
from mj_async._seeds.source import IdSource, TaskIds

from .._redis import check_redis_url
from .chunk_processor import ChunkProcessor
from .collector import (
    JobOutcomes,
    PartConsumer,
    check_collected_parts,
    check_directory,
    collect_into,
)
from .lock import JobLock
from .state import JobProgress
from .store import JobStore
from .submitter import Submitter
from .task_queue import Publisher
from .worker import JobWorker

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _check_name(name: object) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise errors.ConfigurationError(
            f"the job's name {str(name)[:40]!r} must have 1 to 100 of A-Z a-z 0-9 . _ - and"
            " begin with a letter or a digit"
        )
    return name


class SeedJob:
    """A bulk lookup of seeds, for any number of tasks, by any number of processes.

    One process submits the ids, some look them up, one collects the outcomes. Each of them may be
    killed at any time and started again. The how-to page "Look up seeds on many machines" says
    what is guaranteed.

    Args:
        redis_url: The address of the Redis that they share, such as
            `redis://:password@host:6379/0`.
        name: The name of the job, unique in this Redis: letters, digits, `.`, `_`, `-`.
        chunk_size: How many ids a worker gets at once.
        lease: Seconds after which the chunks of a silent worker go to another.

    Raises:
        ConfigurationError: An argument is invalid. From the methods: Redis cannot be reached or
            may evict keys, or the job was made by another version.
    """

    def __init__(
        self, redis_url: str, name: str, *, chunk_size: int = 500, lease: float = 15.0
    ) -> None:
        self._redis_url = check_redis_url(redis_url)
        self.name: str = _check_name(name)
        check_count("chunk_size", chunk_size)
        check_option("lease", lease, above_zero)
        self._chunk_size = chunk_size
        self._lease = lease

    def __repr__(self) -> str:
        return f"SeedJob(name={self.name!r}, chunk_size={self._chunk_size})"

    def _open(self) -> JobStore:
        return JobStore(self._redis_url, self.name)

    async def submit(self, task_ids: TaskIds) -> None:
        """Submit the ids. It waits while too many of them are in Redis.

        It returns when the last chunk is in the queue. If it is killed and run again with the
        same ids, it continues, and submits nothing twice. A repeated id is submitted once.

        Args:
            task_ids: The ids, as an iterable or an async iterable of any length.

        Raises:
            ConfigurationError: An id is invalid (the ids before it stay submitted), or the job
                was submitted with other ids, or another process submits it now.
            ClientStateError: Another process has taken over while this one was stopped.
            TransportError: Redis was away for more than a minute.
        """
        tasks = IdSource(task_ids)  # a list or a tuple is checked before anything is sent
        async with self._open() as store, JobLock(store, "submit") as lock:
            await store.create(self._chunk_size)
            state = await store.require_state()
            async with Publisher(self._redis_url, self.name) as publisher:
                await Submitter(store, publisher, lock, state).run(tasks)

    async def work(
        self, client: AsyncMJClient, *, concurrency: int = 32, ask_again_after: float = 30.0
    ) -> None:
        """Look up the submitted ids, until each has an outcome.

        If the job is not submitted yet, it waits. If it ends early, the chunks in progress go
        back to the queue, with the outcomes received.

        Args:
            client: The client of the gateway. Seeds use at most half of its `max_connections`.
                If all workers share a limit, give it a `mj_async.distributed.SharedGate`.
            concurrency: How many requests for seeds may run at once.
            ask_again_after: Seconds after which an id without a final outcome is tried again, at
                most twice. Meanwhile its chunk waits in the queue, and the worker takes others.

        Raises:
            ConfigurationError: An argument is invalid.
            MJError: The key was refused, or the gateway did not answer three times in a row,
                `ask_again_after` apart; and what else ends `AsyncMJClient.image_seeds` early.
            TransportError: Redis was away for more than a minute.
        """
        check_instance("client", client, AsyncMJClient)
        check_count("concurrency", concurrency)
        check_option("ask_again_after", ask_again_after, zero_or_more)
        async with self._open() as store:
            await store.read_state()  # checks the version before any chunk is delivered
        store = self._open()
        chunks = ChunkProcessor(store, client, concurrency, ask_again_after)
        await JobWorker(store, chunks, self._lease).run()

    async def collect(self, directory: str | PathLike[str]) -> None:
        """Write the outcomes into files, until all are collected.

        Each chunk is one file, `part-000000.jsonl` and so on, in the order of the ids. Each id is
        one line, as from `SeedOutcome.to_dict`. A file is always complete. If it is killed and
        run again, it continues.

        Args:
            directory: The directory of the files; it is created if needed.

        Raises:
            ConfigurationError: The directory is not writable, or lacks parts that were collected
                before, or another process collects now.
            ClientStateError: Another process has taken over while this one was stopped.
            OSError: A file cannot be written. Its part and all later parts stay in Redis.
            TransportError: Redis was away for more than a minute.
        """
        path = Path(directory)
        check_directory(path)
        async with self._open() as store, JobLock(store, "collect") as lock:
            check_collected_parts(path, await store.collected_bitmap())
            await collect_into(path, PartConsumer(store, lock))

    def outcomes(self) -> AbstractAsyncContextManager[AsyncIterator[SeedOutcome]]:
        """Return the outcomes as an async iterator, in place of `collect`.

        Use it as `async with job.outcomes() as outcomes`, then `async for outcome in outcomes`.
        It ends when all are collected.

        Returns:
            A context manager of an async iterator, with a `SeedOutcome` for each id. A task has
            only its status, prompt and image_url, an error only its message and code. After a
            kill, the outcomes of the last chunk come again.

        Raises:
            ConfigurationError: When entered: another process collects now.
            MJError: While iterating: Redis is away, or another process has taken over.
        """
        return JobOutcomes(self._open())

    async def progress(self) -> JobProgress:
        """Return the progress of the job.

        Raises:
            ConfigurationError: There is no such job.
        """
        async with self._open() as store:
            return (await store.require_state()).progress

    async def dead(self) -> dict[int, list[str]]:
        """Return the ids of each chunk that was delivered five times without a result.

        Returns:
            The ids, by the number of the chunk.

        Raises:
            ConfigurationError: There is no such job.
        """
        async with self._open() as store:
            await store.require_state()
            return await store.dead()

    async def send_again(self) -> int:
        """Put the dead chunks back into the queue.

        Returns:
            The number of ids in them.

        Raises:
            ConfigurationError: There is no such job.
        """
        async with self._open() as store, Publisher(self._redis_url, self.name) as publisher:
            await store.require_state()
            dead = await store.dead()
            for number, task_ids in dead.items():
                await publisher.publish(number, task_ids)
                await store.unmark_dead(number, len(task_ids))
        return sum(map(len, dead.values()))
