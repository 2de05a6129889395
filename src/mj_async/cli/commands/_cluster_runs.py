"""The work of `mj-async cluster`. It needs streaq, so `_cluster` imports it late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import anyio
import attrs
from rich.console import RenderableType
from rich.text import Text

from mj_async import AsyncMJClient, Dialect, errors
from mj_async.distributed import JobProgress, SeedJob

from ..files._ids import Ids
from ..output._exit_codes import DONE, PARTLY, code_of_end
from ..output._hints import told
from ..output._progress import bar_of
from ..output._run import OnInterrupt, Work, run_async, run_shown
from ..output._terminal import OutputError, Terminal, say
from ..output._text import as_duration

_LOOK_EVERY = 1.0
_PATIENCE = 15.0
_GO_ON = "to go on: the same command"


def code_of_job(progress: JobProgress | None) -> int:
    """PURE: give the exit code for how a job stands: 1 where ids have no seed, or are dead."""
    return PARTLY if progress and (progress.seedless or progress.dead) else DONE


@attrs.define
class ClusterRun:
    """One process's part in a job.

    Args:
        job: The job.
    """

    job: SeedJob
    terminal: Terminal = attrs.field(factory=Terminal, init=False)
    view: ClusterView = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.view = ClusterView(self.job.name)

    def conduct(self, work: Work) -> int:
        """Do the part, and give the exit code: 1 where ids have no seed, or are dead."""
        with OnInterrupt(lambda: say(f"interrupted: {self.view.speak()}; {_GO_ON}")):
            ended_by = run_async(self._do, work)
        say("" if ended_by is None else told(ended_by))
        if self.view.progress is not None:
            say(self.view.speak())
        if ended_by is not None:
            say(_GO_ON)
        return code_of_end(ended_by, [code_of_job(self.view.progress)])

    async def _do(self, work: Work) -> Exception | None:
        ended_by = await run_shown(self.terminal, self.view, work, self._keep_looking)
        with suppress(errors.MJError):
            self.view.progress = await self.job.progress()
        return ended_by

    async def _keep_looking(self) -> None:
        while True:
            with suppress(errors.MJError):  # there may be no job yet; the part itself complains
                self.view.progress = await self.job.progress()
            await anyio.sleep(_LOOK_EVERY)


@attrs.define
class Whole:
    """Ids of which none is left out: where one cannot be read, the job is not complete.

    Args:
        ids: They end at a bad line of what is read late, and keep it in mind.
    """

    ids: Ids

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        """Give the next id."""
        try:
            return await anext(self.ids)
        except StopAsyncIteration:
            if self.ids.problem is None:
                raise
        raise errors.ConfigurationError("what follows that line was not submitted")


def submit_all(job: SeedJob, task_ids: Sequence[str], source: str | None) -> int:
    """Hand in ids, and give the exit code."""
    # Nothing is sent by it: it checks ids as a client does.
    checker = AsyncMJClient(base_url="http://localhost", dialect=Dialect(auth="none"))
    ids = Ids(task_ids, source, checker.watch_task)
    return unless_partly(ClusterRun(job).conduct(partial(job.submit, Whole(ids))))


def unless_partly(code: int) -> int:
    """Give the exit code of who has no part in what the ids come to."""
    return DONE if code == PARTLY else code


def send_again(job: SeedJob) -> int:
    """Send the dead again, and give the exit code."""
    count = run_async(job.send_again)
    say(f"{count} ids were sent again")
    return DONE


def work_on(job: SeedJob, client: AsyncMJClient, **options: Any) -> int:
    """Work on a job, and give the exit code: what the ids came to is for those who collect."""

    async def work() -> None:
        async with client:
            await job.work(client, **options)

    return unless_partly(ClusterRun(job).conduct(work))


def collect_all(job: SeedJob, directory: Path) -> int:
    """Collect a job, and give the exit code."""

    async def work() -> None:
        try:
            await job.collect(directory)
        except OSError as error:
            problem = f"cannot write to {directory}: {error.strerror}"
            raise OutputError(f"{problem}; next: make room, then go on") from None

    return ClusterRun(job).conduct(work)


def show_status(job: SeedJob, *, watch: bool, as_json: bool) -> int:
    """Show how a job stands, and give the exit code."""
    run = ClusterRun(job)
    code = run.conduct(partial(_watch, job)) if watch else DONE
    if code not in (DONE, PARTLY) or (watch and not as_json):
        return code
    progress: JobProgress = run_async(job.progress)
    _put(run.terminal, job.name, progress, as_json=as_json)
    return code_of_job(progress)


def _put(terminal: Terminal, name: str, progress: JobProgress, *, as_json: bool) -> None:
    if as_json:
        terminal.put_json(attrs.asdict(progress))
        return
    for title, value in rows_of(name, progress):
        terminal.put(f"{title:<15}{value}".rstrip())


async def _watch(job: SeedJob) -> None:
    progress = await job.progress()
    heard_at = anyio.current_time()
    while not progress.all_collected:
        await anyio.sleep(_LOOK_EVERY)
        try:
            progress, heard_at = await job.progress(), anyio.current_time()
        except errors.MJError:  # Redis may be started again meanwhile
            if anyio.current_time() - heard_at > _PATIENCE:
                raise


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
