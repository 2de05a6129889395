"""How far a job of many machines has come: a bar, a rate, and counts."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from rich.console import RenderableType
from rich.text import Text

from mj_async.distributed import JobProgress

from ..output._bar import bar_of
from ..output._text import as_duration


def counts_of(progress: JobProgress) -> str:
    """PURE: give the counts that are not zero, in one line."""
    found = {
        "collected": progress.collected,
        "running": progress.running,
        "without a seed": progress.seedless,
        "dead": progress.dead,
    }
    workers = "1 worker" if progress.workers == 1 else f"{progress.workers} workers"
    return ", ".join([*(f"{word} {count}" for word, count in found.items() if count), workers])


def speed_of(progress: JobProgress) -> str:
    """PURE: give the rate, and the time left where anybody can know it."""
    rate = f"{progress.per_second:.1f}/s"
    left = progress.total - progress.done - progress.dead
    if not progress.complete or not progress.per_second or not left:
        return rate
    return f"{rate}, {as_duration(left / progress.per_second)} left"


def total_of(progress: JobProgress) -> str:
    """PURE: give how many ids there are; a plus where more will be submitted."""
    return f"{progress.total}{'' if progress.complete else '+'}"


def rows_of(name: str, progress: JobProgress) -> Iterator[tuple[str, str]]:
    """PURE: give what `status` shows, in rows."""
    yield "job", name
    yield "ids", f"{progress.total} {'' if progress.complete else '(more are being submitted)'}"
    yield "done", f"{progress.done} ({speed_of(progress)})"
    yield "collected", str(progress.collected)
    yield "without a seed", str(progress.seedless)
    yield "running", str(progress.running)
    yield "dead", str(progress.dead)
    yield "workers", str(progress.workers)


@attrs.define
class ClusterView:
    """What was last heard of a job.

    Args:
        name: The job's.
        progress: None before anything was heard.
    """

    name: str
    progress: JobProgress | None = None

    def speak(self) -> str:
        """Tell in one line how far it has come."""
        if self.progress is None:
            return f"waiting: nobody has submitted {self.name} yet"
        done = f"{self.progress.done} of {total_of(self.progress)}"
        return f"{done}, {speed_of(self.progress)}: {counts_of(self.progress)}"

    def draw(self, width: int, height: int) -> RenderableType:  # noqa: ARG002  # it is low
        """Draw a bar with the rate beside it, and the counts below."""
        if self.progress is None:
            return Text(self.speak())
        done = self.progress.done
        beside = f"{done}/{total_of(self.progress)} {speed_of(self.progress)}"
        return bar_of(done, self.progress.total or None, beside, counts_of(self.progress))
