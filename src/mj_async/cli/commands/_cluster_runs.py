"""The runs of `mj-async cluster`. They need streaq, so `_cluster` imports this file late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import anyio
import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mj_async import AsyncMJClient, Dialect, errors
from mj_async.distributed import JobProgress, SeedJob

from ..files._ids import Ids
from ..output._exit_codes import DONE, INCOMPLETE, exit_code_of_run
from ..output._hints import format_error
from ..output._progress import make_bar
from ..output._run import Work, on_interrupt, run_async, run_with_progress
from ..output._terminal import OutputError, Terminal, echo_err
from ..output._text import format_duration

_POLL_INTERVAL = 1.0
# Seconds for which `status --watch` goes on without Redis, as while it restarts.
_MAX_OUTAGE = 15.0
_GO_ON = "next: run the same command again to continue"


def format_counts(progress: JobProgress) -> str:
    """PURE: return the counts that are not zero, and the workers."""
    counts = {
        "collected": progress.collected,
        "running": progress.running,
        "without a seed": progress.seedless,
        "dead": progress.dead,
    }
    workers = "1 worker" if progress.workers == 1 else f"{progress.workers} workers"
    return ", ".join([*(f"{word} {count}" for word, count in counts.items() if count), workers])


def format_rate(progress: JobProgress) -> str:
    """PURE: return the rate, and the time left if all ids are submitted."""
    rate = f"{progress.per_second:.1f}/s"
    left = progress.total - progress.done - progress.dead
    if not progress.complete or not progress.per_second or not left:
        return rate
    return f"{rate}, {format_duration(left / progress.per_second)} left"


def format_total(progress: JobProgress) -> str:
    """PURE: return the number of ids, with a plus if more will be submitted."""
    return f"{progress.total}{'' if progress.complete else '+'}"


def status_rows(name: str, progress: JobProgress) -> Iterator[tuple[str, str]]:
    """PURE: yield the rows of `status`: titles and values."""
    yield "job", name
    yield "ids", f"{progress.total} {'' if progress.complete else '(more are being submitted)'}"
    yield "done", f"{progress.done} ({format_rate(progress)})"
    yield "collected", str(progress.collected)
    yield "without a seed", str(progress.seedless)
    yield "running", str(progress.running)
    yield "dead", str(progress.dead)
    yield "workers", str(progress.workers)


@attrs.define
class JobProgressView:
    """The progress of a job."""

    name: str
    progress: JobProgress | None = None

    def summary(self) -> str:
        """Return the progress as one line."""
        if self.progress is None:
            return f"waiting for the first ids of {self.name}"
        done = f"{self.progress.done} of {format_total(self.progress)}"
        return f"{done}, {format_rate(self.progress)}: {format_counts(self.progress)}"

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """Render a bar with the rate to the right, and the counts below."""
        if self.progress is None:
            yield Text(self.summary())
            return
        done, bar = self.progress.done, make_bar()
        description = f"{done}/{format_total(self.progress)} {format_rate(self.progress)}"
        bar.add_task(description, total=self.progress.total or None, completed=done)
        yield bar
        yield Text(format_counts(self.progress))


def job_exit_code(progress: JobProgress | None) -> int:
    """PURE: return the exit code for a job: 1 if some ids are dead or have no seed."""
    return INCOMPLETE if progress and (progress.seedless or progress.dead) else DONE


@attrs.define
class ClusterRun:
    """One run of a command of `mj-async cluster`, which shows the progress of the whole job."""

    job: SeedJob
    terminal: Terminal = attrs.field(factory=Terminal, init=False)
    view: JobProgressView = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.view = JobProgressView(self.job.name)

    def run(self, work: Work) -> int:
        """Run the work, and return the exit code: 1 if some ids are dead or have no seed."""
        with on_interrupt(lambda: echo_err(f"interrupted: {self.view.summary()}; {_GO_ON}")):
            ended_by = run_async(self._run_and_refresh, work)
        echo_err("" if ended_by is None else format_error(ended_by))
        if self.view.progress is not None:
            echo_err(self.view.summary())
        if ended_by is not None:
            echo_err(_GO_ON)
        return exit_code_of_run(ended_by, [job_exit_code(self.view.progress)])

    async def _run_and_refresh(self, work: Work) -> Exception | None:
        ended_by = await run_with_progress(self.terminal, self.view, work, self._refresh_progress)
        with suppress(errors.MJError):
            self.view.progress = await self.job.progress()
        return ended_by

    async def _refresh_progress(self) -> None:
        while True:
            with suppress(errors.MJError):  # there may be no job yet: the work raises that
                self.view.progress = await self.job.progress()
            await anyio.sleep(_POLL_INTERVAL)


@attrs.define
class StrictIds:
    """The ids of a job. A bad line is an error here, or the job would be complete without it."""

    ids: Ids

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Return the next id.

        Raises:
            ConfigurationError: The ids have ended at a bad line.
        """
        try:
            return await anext(self.ids)
        except StopAsyncIteration:
            if self.ids.problem is None:
                raise
        raise errors.ConfigurationError("the ids after that line were not submitted")


def submit_all(job: SeedJob, task_ids: Sequence[str], source: str | None) -> int:
    """Submit ids, and return the exit code."""
    # It sends nothing: it checks the ids as a client does.
    checker = AsyncMJClient(base_url="http://localhost", dialect=Dialect(auth="none"))
    ids = Ids(task_ids, source, checker.watch_task)
    return ignore_incomplete(ClusterRun(job).run(partial(job.submit, StrictIds(ids))))


def ignore_incomplete(code: int) -> int:
    """PURE: return 0 for 1: the outcomes of the ids are no concern of submit and work."""
    return DONE if code == INCOMPLETE else code


def send_again(job: SeedJob) -> int:
    """Submit the dead ids again, and return the exit code."""
    count = run_async(job.send_again)
    echo_err(f"{count} ids were submitted again")
    return DONE


def work_on(job: SeedJob, client: AsyncMJClient, **options: Any) -> int:
    """Work on a job, and return the exit code."""

    async def work() -> None:
        async with client:
            await job.work(client, **options)

    return ignore_incomplete(ClusterRun(job).run(work))


def collect_all(job: SeedJob, directory: Path) -> int:
    """Collect the outcomes of a job, and return the exit code."""

    async def work() -> None:
        try:
            await job.collect(directory)
        except OSError as error:
            problem = f"cannot write to {directory}: {error.strerror}"
            raise OutputError(f"{problem}; next: free some space, then run it again") from None

    return ClusterRun(job).run(work)


def show_status(job: SeedJob, *, watch: bool, as_json: bool) -> int:
    """Show the progress of a job, and return the exit code."""
    run = ClusterRun(job)
    code = run.run(partial(_watch, job)) if watch else DONE
    if code not in (DONE, INCOMPLETE) or (watch and not as_json):
        return code
    progress: JobProgress = run_async(job.progress)
    _print_status(run.terminal, job.name, progress, as_json=as_json)
    return job_exit_code(progress)


def _print_status(terminal: Terminal, name: str, progress: JobProgress, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(attrs.asdict(progress))
        return
    for title, value in status_rows(name, progress):
        terminal.print_line(f"{title:<15}{value}".rstrip())


async def _watch(job: SeedJob) -> None:
    progress = await job.progress()
    answered_at = anyio.current_time()
    while not progress.all_collected:
        await anyio.sleep(_POLL_INTERVAL)
        try:
            progress, answered_at = await job.progress(), anyio.current_time()
        except errors.MJError:  # Redis may be restarting
            if anyio.current_time() - answered_at > _MAX_OUTAGE:
                raise
