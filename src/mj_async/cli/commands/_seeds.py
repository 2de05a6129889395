"""`mj-async seeds`: look up the seeds of any number of tasks. A later run can resume it."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeAlias

import anyio
from anyio import to_thread

from mj_async import AsyncMJClient, SeedOutcome, errors

from .._options import GatewayOptions, Source, TaskId, max_connections_for
from ..files._ids import Ids
from ..files._seed_file import Mode, SeedFile
from ..output._exit_codes import DONE, INCOMPLETE, exit_code_of_run
from ..output._hints import format_error
from ..output._progress import SeedProgress
from ..output._run import on_interrupt, run_and_exit, run_async, run_with_progress
from ..output._terminal import OutputError, Terminal, echo_err

LookUp: TypeAlias = Callable[[Ids], AbstractAsyncContextManager[AsyncIterator[SeedOutcome]]]

_SYNC_INTERVAL = 1.0
_MAX_COMMAND_LENGTH = 1000


def seeds(  # noqa: PLR0913  # options
    *task_ids: TaskId,
    source: Source = None,
    output: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    concurrency: int = 4,
    batch_size: int = 1,
    ask_again_after: float = 30.0,
    gateway: GatewayOptions = GatewayOptions(),  # noqa: B008
) -> NoReturn:
    """Look up the seeds of tasks, and write one line of JSON for each final answer.

    Args:
        task_ids: The tasks' ids.
        source: A file of ids, one a line; "-" is standard input.
        output: The file to write; by default standard output.
        resume: Continue an output file. Ids that are in it are not asked for again.
        overwrite: Replace an output file.
        concurrency: The number of seeds to look up at the same time.
        batch_size: The number of ids in one request, with --seed-form multipart.
        ask_again_after: Seconds until an id without a final answer is asked for again.
        gateway: The gateway.
    """

    def work() -> int:
        mode = output_mode(output, resume=resume, overwrite=overwrite)
        client = gateway.make_client(max_connections=max_connections_for(concurrency))
        ids = Ids(task_ids, source, client.watch_task)
        look_up = partial(
            client.image_seeds,
            concurrency=concurrency,
            batch_size=batch_size,
            ask_again_after=ask_again_after,
        )
        seed_run = SeedRun(client, ids, look_up)
        if output is None:
            return seed_run.run()
        with SeedFile.open(str(output), mode) as file:
            return seed_run.run_into(file)

    run_and_exit(work)


def output_mode(output: Path | None, *, resume: bool, overwrite: bool) -> Mode:
    """PURE: return what to do with an output file that exists.

    Raises:
        ConfigurationError: The options exclude each other.
    """
    if resume and overwrite:
        raise errors.ConfigurationError("give --resume or --overwrite, not both")
    if output is None and (resume or overwrite):
        name = "--resume" if resume else "--overwrite"
        raise errors.ConfigurationError(f"{name} needs --output FILE")
    if resume:
        return "resume"
    return "overwrite" if overwrite else "new"


def resume_command(arguments: Sequence[str]) -> str:
    """PURE: return the command line that continues a run, made from the one that began it."""
    command, *rest = arguments
    kept = [one for one in rest if one not in ("--resume", "--overwrite")]
    line = shlex.join(["mj-async", command, "--resume", *kept])
    line = line if len(line) <= _MAX_COMMAND_LENGTH else "the same command with --resume"
    from_standard_input = "-" in rest or "--from=-" in rest
    return f"{line} (the same ids on standard input)" if from_standard_input else line


class SeedRun:
    """One run of `mj-async seeds`."""

    def __init__(self, client: AsyncMJClient, ids: Ids, look_up: LookUp) -> None:
        self._client = client
        self._ids = ids
        self._look_up = look_up
        self._terminal = Terminal()
        self._progress = SeedProgress(lambda: ids.total, time.monotonic)
        self._file: SeedFile | None = None
        self._sync_error: OutputError | None = None

    def run_into(self, file: SeedFile) -> int:
        """Look up all seeds, write them into a file, and return the exit code.

        Raises:
            ConfigurationError: The file cannot be resumed, or is the file of ids.
        """
        if self._ids.is_same_file(file.file):
            raise errors.ConfigurationError(
                "--from and --output are the same file; next: give another --output"
            )
        file.read_finished_ids(self._ids.seen)
        self._file = file
        return self.run()

    def run(self) -> int:
        """Look up all seeds, and return the exit code."""
        with on_interrupt(self._echo_interrupted):
            works = (self._look_up_all, self._sync_periodically)
            return self._finish(
                run_async(run_with_progress, self._terminal, self._progress, *works)
            )

    def _echo_interrupted(self) -> None:
        self._echo_summary("interrupted: ")
        self._echo_next_steps()

    def _finish(self, ended_by: Exception | None) -> int:
        if isinstance(ended_by, OutputError) and not str(ended_by):
            return INCOMPLETE  # the reader of stdout has ended
        echo_err("" if ended_by is None else format_error(ended_by))
        ended_by = ended_by or self._ids.problem
        if self._file is not None:
            self._file.is_complete = ended_by is None and not self._progress.not_final
        has_results = self._file is not None or self._progress.done
        if has_results or ended_by is None:
            self._echo_summary()
        if self._progress.not_final or (has_results and ended_by is not None):
            self._echo_next_steps()
        code = exit_code_of_run(ended_by, self._progress.exit_codes)
        # A resumed run ends as if it had written the whole file.
        return INCOMPLETE if code == DONE and self._file and self._file.seedless else code

    async def _look_up_all(self) -> None:
        async with self._client:
            run = self._look_up(self._ids)
            if self._file is not None:
                self._file.start_writing()
            async with run as outcomes:
                async for outcome in outcomes:
                    self._add_outcome(outcome)
        self._raise_sync_error()

    def _add_outcome(self, outcome: SeedOutcome) -> None:
        self._raise_sync_error()
        if outcome.final:
            write = self._terminal.print_json if self._file is None else self._file.write_line
            write(outcome.to_dict())
        self._progress.add(outcome)

    def _raise_sync_error(self) -> None:
        if self._sync_error is not None:
            raise self._sync_error

    async def _sync_periodically(self) -> None:
        while self._file is not None and self._sync_error is None:
            await anyio.sleep(_SYNC_INTERVAL)
            self._sync_error = await to_thread.run_sync(self._file.try_to_sync)

    def _echo_summary(self, before: str = "") -> None:
        already = ""
        if self._file is not None and self._file.done:
            already = f"; already in the file: {self._file.done}"
        if self._file is not None and self._file.seedless:
            already += f" ({self._file.seedless} without a seed)"
        echo_err(f"{before}{self._progress.final_summary()}{already}")

    def _echo_next_steps(self) -> None:
        if self._progress.last_failure is not None:
            echo_err(f"without a final answer, and so not written: {self._progress.not_final}")
            echo_err(f"the last of their errors: {format_error(self._progress.last_failure)}")
        if self._file is None:
            echo_err("next: give --output FILE, so that a run can be resumed")
        else:
            echo_err(f"to continue: {resume_command(sys.argv[1:])}")
