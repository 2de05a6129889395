"""Collects the parts of a job from Redis, each of them once. A part has the outcomes of a chunk."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio
import attrs
from anyio import to_thread

from mj_async import SeedOutcome, errors

from .jsonl import read_outcomes, unpack
from .lock import JobLock

if TYPE_CHECKING:
    from .store import JobStore

_POLL_INTERVAL = 0.3


@attrs.define
class PartConsumer:
    """Reads the parts of a job as they come, until all are collected."""

    store: JobStore
    lock: JobLock
    _ready: deque[int] = attrs.field(factory=deque, init=False)

    async def next(self) -> tuple[int, bytes] | None:
        """Return the number and the lines of the next part; None after the last part.

        Raises:
            MJError: Redis is away, or another process collects now.
        """
        while True:
            while self._ready:
                number = self._ready.popleft()
                await self.lock.verify()
                part = await self.store.read_part(number)
                if part is not None:
                    return number, unpack(part)
            state = await self.store.read_state()
            self._ready.extend(await self.store.part_numbers())
            if not self._ready:
                if state is not None and state.progress.all_collected:
                    return None
                await anyio.sleep(_POLL_INTERVAL)

    async def acknowledge(self, number: int, lines: bytes) -> None:
        """Record that the lines of a part are stored, and delete them from Redis."""
        await self.store.mark_collected(number, lines.count(b"\n"))


def part_file_name(number: int) -> str:
    return f"part-{number:06d}.jsonl"


def check_directory(directory: Path) -> None:
    """Create the directory if needed, and check that it is writable.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise errors.ConfigurationError(
            f"cannot write to {directory}: {error.strerror or error}; next: use another directory"
        ) from None


def check_collected_parts(directory: Path, collected: bytes) -> None:
    """Check that the directory has all parts that were collected before.

    Raises:
        ConfigurationError: It does not.
    """
    there = {path.name for path in directory.iterdir()}
    missing = [
        part_file_name(number)
        for number in _set_bits(collected)
        if part_file_name(number) not in there
    ]
    if missing:
        raise errors.ConfigurationError(
            f"{len(missing)} parts that were collected before are not in {directory}, for example"
            f" {missing[0]}; next: use the same directory as before, or copy the parts there"
        )


def _set_bits(found: bytes) -> Iterator[int]:
    for place, byte in enumerate(found):
        for bit in range(8):
            if byte & (128 >> bit):
                yield 8 * place + bit


def write_part(directory: Path, number: int, lines: bytes) -> None:
    """Write a part atomically: after a crash the file is complete, or does not exist.

    Raises:
        ConfigurationError: The file exists, with other ids.
    """
    path = directory / part_file_name(number)
    if path.exists() and not _starts_with_same_id(path, lines):
        raise errors.ConfigurationError(
            f"{path} belongs to another job; next: use another directory, or move the file away"
        )
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _fsync_directory(directory)


def _starts_with_same_id(path: Path, lines: bytes) -> bool:
    # Each line begins with its id.
    begin = lines.partition(b",")[0]
    with path.open("rb") as file:
        return file.read(len(begin) + 1) == begin + b","


def _fsync_directory(directory: Path) -> None:
    with suppress(PermissionError):  # Windows cannot open a directory
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


async def collect_into(directory: Path, parts: PartConsumer) -> None:
    while (found := await parts.next()) is not None:
        number, lines = found
        await to_thread.run_sync(write_part, directory, number, lines)
        await parts.acknowledge(number, lines)


@attrs.define
class JobOutcomes:
    """The outcomes of a job: enter it with `async with`, then iterate with `async for`.

    A part counts as collected when the caller asks for the first outcome of the next part. So a
    process that is killed gets its last part again.
    """

    store: JobStore
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)
    _parts: PartConsumer | None = attrs.field(default=None, init=False)
    _current: tuple[int, bytes] | None = attrs.field(default=None, init=False)
    _remaining: Iterator[SeedOutcome] = attrs.field(factory=lambda: iter(()), init=False)

    async def __aenter__(self) -> AsyncIterator[SeedOutcome]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.store)
            lock = await stack.enter_async_context(JobLock(self.store, "collect"))
            self._stack = stack.pop_all()
        self._parts = PartConsumer(self.store, lock)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._parts = None
        await self._stack.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SeedOutcome:
        if self._parts is None:
            raise errors.ClientStateError("use it as: async with job.outcomes() as outcomes")
        while True:
            for outcome in self._remaining:
                return outcome
            if self._current is not None:
                await self._parts.acknowledge(*self._current)
            self._current = await self._parts.next()
            if self._current is None:
                raise StopAsyncIteration
            self._remaining = read_outcomes(self._current[1])
