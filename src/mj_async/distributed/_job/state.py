"""PURE: how a job stands, from what Redis keeps of it."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

# Another number means other keys, or others in them.
FORMAT_VERSION = "1"


@attrs.frozen(kw_only=True)
class JobProgress:
    """How far a job has come, in ids.

    Args:
        total: Submitted so far.
        complete: Whether all have been submitted.
        done: Those with an outcome.
        seedless: Of these, those without a seed.
        collected: Of these, those that were collected.
        running: In the chunks that are being worked on, about.
        dead: In chunks that were delivered five times without an answer.
        workers: How many processes work for it.
        per_second: Outcomes a second, over the last half minute.
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
        """Whether nothing is left to be worked on."""
        return self.complete and self.done + self.dead >= self.total

    @property
    def all_collected(self) -> bool:
        """Whether nothing is left to be collected either."""
        return self.finished and self.collected >= self.done


@attrs.frozen(kw_only=True)
class JobState:
    """How a job stands, in chunks.

    Args:
        chunk_size: Ids in each chunk but the last.
        digest: Of the ids submitted so far, in their order.
        submitted_chunks: Chunks submitted.
        ended_chunks: Chunks with an outcome, or dead.
        waiting_bytes: Bytes of outcomes that wait to be collected.
        progress: The same in ids.
    """

    chunk_size: int
    digest: str
    submitted_chunks: int
    ended_chunks: int
    waiting_bytes: int
    progress: JobProgress


def parse_state(found: Sequence[bytes | int]) -> JobState:
    """Read what the script STATE gives."""
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
