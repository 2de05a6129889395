"""The state of a job, as read from Redis. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

# Another number means that keys or values in Redis have another format.
FORMAT_VERSION = "1"


@attrs.frozen(kw_only=True)
class JobProgress:
    """The progress of a job. All counts but `workers` are numbers of ids.

    Args:
        total: Submitted so far.
        complete: True if all ids are submitted.
        done: With an outcome.
        seedless: Of these, without a seed.
        collected: With an outcome that was collected.
        running: In chunks that a worker looks up now; an estimate.
        dead: In chunks that were delivered five times without a result.
        workers: The number of worker processes.
        per_second: Outcomes per second, over the last half minute.
    """

    total: int
    complete: bool
    done: int
    seedless: int
    collected: int
    running: int
    dead: int
    workers: int
    per_second: float

    @property
    def finished(self) -> bool:
        """True if all ids are submitted, and each is done or dead."""
        return self.complete and self.done + self.dead >= self.total

    @property
    def all_collected(self) -> bool:
        """True if the job is finished and all outcomes are collected."""
        return self.finished and self.collected >= self.done


@attrs.frozen(kw_only=True)
class JobState:
    """The state of a job, in chunks.

    Args:
        chunk_size: Ids in each chunk except the last.
        digest: The SHA-256 of the ids submitted so far, in their order.
        submitted_chunks: Chunks submitted.
        ended_chunks: Chunks that are done or dead.
        waiting_bytes: Bytes of parts that are not collected yet.
        progress: The state in ids.
    """

    chunk_size: int
    digest: str
    submitted_chunks: int
    ended_chunks: int
    waiting_bytes: int
    progress: JobProgress


def parse_state(found: Sequence[bytes | int]) -> JobState:
    chunk_size, fed, fed_ids, complete, done, done_ids, seedless, dead_ids, *rest = (
        int(value) for place, value in enumerate(found) if place not in (0, 2)
    )
    collected_ids, waiting, dead, running, workers, ids, milliseconds = rest
    return JobState(
        chunk_size=chunk_size,
        digest=bytes(found[2]).decode(),
        submitted_chunks=fed,
        ended_chunks=done + dead,
        waiting_bytes=waiting,
        progress=JobProgress(
            total=fed_ids,
            complete=bool(complete),
            done=done_ids,
            seedless=seedless,
            collected=collected_ids,
            running=min(running * chunk_size, fed_ids - done_ids - dead_ids),
            dead=dead_ids,
            workers=workers,
            per_second=1000 * ids / max(1000, milliseconds),
        ),
    )
