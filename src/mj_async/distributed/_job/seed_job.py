"""SeedJob: bulk seeds on many machines, which share a Redis."""

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
            f"the job's name {str(name)[:40]!r} must be 1 to 100 of A-Z a-z 0-9 . _ - and"
            " begin with a letter or a digit"
        )
    return name


class SeedJob:
    """The seeds of any number of tasks, looked up by any number of processes.

    One process submits the ids, some work, one collects; each may be killed at any time and
    started again. The how-to page "Many machines" tells what is promised.

    Args:
        redis_url: The Redis that they share, such as `redis://:password@host:6379/0`.
        name: The job's, which tells it from others in that Redis: letters, digits, `.`, `_`, `-`.
        chunk_size: How many ids are handed to a worker at once.
        lease: Seconds after which the chunks of a silent worker go to another.

    Raises:
        ConfigurationError: An argument cannot be used. By the methods: Redis cannot be reached
            or may forget what it keeps, or the job there is another's.
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
        """Hand in the ids, no more at once than a part of Redis' memory takes.

        It ends when the last chunk is in the queue. Killed and run again with the same ids it
        goes on, and adds nothing twice; a repeated id is handed in once.

        Args:
            task_ids: The ids, to iterate or to iterate asynchronously, as many as you like.

        Raises:
            ConfigurationError: An id cannot be used (those before it stay submitted), or the job
                was begun with other ids, or another process is submitting it.
            ClientStateError: Another process has taken over while this one was stopped.
            TransportError: Redis was away for more than a minute.
        """
        tasks = IdSource(task_ids)  # what can be looked at twice is checked before anything is sent
        async with self._open() as store, JobLock(store, "submit") as lock:
            await store.create(self._chunk_size)
            state = await store.require_state()
            async with Publisher(self._redis_url, self.name) as publisher:
                await Submitter(store, publisher, lock, state).run(tasks)

    async def work(
        self, client: AsyncMJClient, *, concurrency: int = 32, ask_again_after: float = 30.0
    ) -> None:
        """Look up what was submitted, until all of it has an outcome.

        Before the job is submitted it waits for that. What is under way when it ends before its
        time goes back to the queue, with what had been received.

        Args:
            client: Asks the gateway. Seeds hold at most half of its `max_connections`; give it a
                `mj_async.distributed.SharedGate` where all workers share a limit.
            concurrency: How many requests for seeds are under way at once.
            ask_again_after: Seconds after which what may be had later is asked for again, twice
                at most. Meanwhile its chunk is in the queue, and others are worked on.

        Raises:
            ConfigurationError: An argument cannot be used.
            MJError: What ends `AsyncMJClient.image_seeds` before its time: the key was refused,
                or the gateway has been away three times in a row, `ask_again_after` apart.
            TransportError: Redis was away for more than a minute.
        """
        check_instance("client", client, AsyncMJClient)
        check_count("concurrency", concurrency)
        check_option("ask_again_after", ask_again_after, zero_or_more)
        async with self._open() as store:
            await store.read_state()  # no chunk of another version's is touched
        store = self._open()
        chunks = ChunkProcessor(store, client, concurrency, ask_again_after)
        await JobWorker(store, chunks, self._lease).run()

    async def collect(self, directory: str | PathLike[str]) -> None:
        """Write the outcomes into files, until all that was submitted has been collected.

        A chunk is one file, `part-000000.jsonl` and so on in the order of the ids, and each id
        one line as `SeedOutcome.to_dict` gives it. A file is there whole or not at all. Killed
        and run again it goes on.

        Args:
            directory: Where the files go; it is made if it is not there.

        Raises:
            ConfigurationError: The directory cannot be written, or lacks what was collected
                before, or another process is collecting.
            ClientStateError: Another process has taken over while this one was stopped.
            OSError: A file cannot be written; what was written is kept, the rest stays in Redis.
            TransportError: Redis was away for more than a minute.
        """
        path = Path(directory)
        check_directory(path)
        async with self._open() as store, JobLock(store, "collect") as lock:
            check_collected_parts(path, await store.collected_bitmap())
            await collect_into(path, PartConsumer(store, lock))

    def outcomes(self) -> AbstractAsyncContextManager[AsyncIterator[SeedOutcome]]:
        """Take the outcomes into this process, in place of `collect`.

        `async with job.outcomes() as outcomes`, then `async for outcome in outcomes`, until all
        that was submitted has been collected.

        Returns:
            A context manager that yields an iterator over a `SeedOutcome` for each id. A task has
            its status, prompt and image_url, an error its message and code, and no more. After
            a kill the last chunk comes again.

        Raises:
            ConfigurationError: On entering: another process is collecting.
            MJError: While iterating: Redis was lost, or another process has taken over.
        """
        return JobOutcomes(self._open())

    async def progress(self) -> JobProgress:
        """Tell how far the job has come.

        Raises:
            ConfigurationError: There is no such job.
        """
        async with self._open() as store:
            return (await store.require_state()).progress

    async def dead(self) -> dict[int, list[str]]:
        """Give the ids of each chunk that was delivered five times without an answer.

        Returns:
            The ids by the chunk's number.

        Raises:
            ConfigurationError: There is no such job.
        """
        async with self._open() as store:
            await store.require_state()
            return await store.dead()

    async def send_again(self) -> int:
        """Put the dead chunks back into the queue.

        Returns:
            How many ids that are.

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
