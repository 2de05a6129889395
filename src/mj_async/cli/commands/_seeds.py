"""`mj-async seeds`: the seeds of any number of tasks, in a file that a later run goes on with."""

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

from .._options import Connection, Source, TaskId, connections_for
from ..files._ids import Ids
from ..files._seed_file import Mode, SeedFile
from ..output._exit_codes import DONE, PARTLY, code_of_end
from ..output._hints import told
from ..output._progress import SeedCount
from ..output._run import OnInterrupt, run, run_async, run_shown
from ..output._terminal import OutputError, Terminal, say


def seeds(  # noqa: PLR0913  # options
    *task_ids: TaskId,
    source: Source = None,
    output: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    concurrency: int = 4,
    batch_size: int = 1,
    ask_again_after: float = 30.0,
    connection: Connection = Connection(),  # noqa: B008
) -> NoReturn:
    """Look up the seeds of tasks, and write a line of JSON for each answer that is final.

    Args:
        task_ids: The tasks' ids.
        source: A file with ids, one a line; "-" reads standard input.
        output: Where the lines go; else standard output.
        resume: Go on with an output, without asking again for what stands in it.
        overwrite: Begin an output anew.
        concurrency: How many seeds are asked for at once.
        batch_size: How many ids are in one request, with --seed-form multipart.
        ask_again_after: Seconds until an id in trouble is asked for again.
        connection: How the gateway is reached.
    """

    def work() -> int:
        mode = mode_of(output, resume=resume, overwrite=overwrite)
        client = connection.client(max_connections=connections_for(concurrency))
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

    run(work)


def mode_of(output: Path | None, *, resume: bool, overwrite: bool) -> Mode:
    """PURE: give what is to be done with an output that exists.

    Raises:
        ConfigurationError: The options contradict each other.
    """
    if resume and overwrite:
        raise errors.ConfigurationError("give --resume or --overwrite, not both")
    if output is None and (resume or overwrite):
        name = "--resume" if resume else "--overwrite"
        raise errors.ConfigurationError(f"{name} needs --output FILE")
    if resume:
        return "resume"
    return "overwrite" if overwrite else "new"


LookUp: TypeAlias = Callable[[Ids], AbstractAsyncContextManager[AsyncIterator[SeedOutcome]]]

_SYNC_EVERY = 1.0
_LONGEST_ADVICE = 1000


def resuming(arguments: Sequence[str]) -> str:
    """PURE: give the command line that goes on with a run, from that which began it."""
    command, *rest = arguments
    kept = [one for one in rest if one not in ("--resume", "--overwrite")]
    line = shlex.join(["mj-async", command, "--resume", *kept])
    line = line if len(line) <= _LONGEST_ADVICE else "the same command with --resume"
    from_standard_input = "-" in rest or "--from=-" in rest
    return f"{line} (the same ids on standard input)" if from_standard_input else line


class SeedRun:
    """One run of the command.

    Args:
        client: Is closed at the end.
        ids: The ids.
        look_up: Its `image_seeds`, with the options given.
    """

    def __init__(self, client: AsyncMJClient, ids: Ids, look_up: LookUp) -> None:
        self._client = client
        self._ids = ids
        self._look_up = look_up
        self._terminal = Terminal()
        self._count = SeedCount(lambda: ids.total, time.monotonic)
        self._file: SeedFile | None = None
        self._unsynced: OutputError | None = None

    def run_into(self, file: SeedFile) -> int:
        """Look them all up, write them into a file, and give the exit code.

        Raises:
            ConfigurationError: The file cannot be gone on with.
        """
        if self._ids.is_same_file(file.file):
            raise errors.ConfigurationError(
                "--from and --output are one file; next: give another --output"
            )
        file.read_done(self._ids.seen)
        self._file = file
        return self.run()

    def run(self) -> int:
        """Look them all up, and give the exit code."""
        with OnInterrupt(self._say_interrupted):
            return self._conclude(
                run_async(
                    run_shown, self._terminal, self._count, self._look_up_all, self._keep_synced
                )
            )

    def _say_interrupted(self) -> None:
        self._say_how_it_went("interrupted: ")
        self._say_how_to_go_on()

    def _conclude(self, ended_by: Exception | None) -> int:
        if isinstance(ended_by, OutputError) and not str(ended_by):
            return PARTLY  # nobody reads any more
        say("" if ended_by is None else told(ended_by))
        ended_by = ended_by or self._ids.problem
        if self._file is not None:
            self._file.is_complete = ended_by is None and not self._count.later
        if self._file or self._count.done or ended_by is None:
            self._say_how_it_went()
        if self._count.later or (ended_by is not None and (self._file or self._count.done)):
            self._say_how_to_go_on()
        code = code_of_end(ended_by, self._count.codes)
        # As if one run had written them all.
        return PARTLY if code == DONE and self._file and self._file.seedless else code

    async def _look_up_all(self) -> None:
        async with self._client:
            run = self._look_up(self._ids)
            if self._file is not None:
                self._file.begin()
            async with run as outcomes:
                async for outcome in outcomes:
                    self._take(outcome)
        self._check_synced()

    def _take(self, outcome: SeedOutcome) -> None:
        self._check_synced()
        if outcome.final:
            put = self._terminal.put_json if self._file is None else self._file.put
            put(outcome.to_dict())
        self._count.add(outcome)

    def _check_synced(self) -> None:
        if self._unsynced is not None:
            raise self._unsynced

    async def _keep_synced(self) -> None:
        while self._file is not None and self._unsynced is None:
            await anyio.sleep(_SYNC_EVERY)
            self._unsynced = await to_thread.run_sync(self._file.try_to_sync)

    def _say_how_it_went(self, before: str = "") -> None:
        already = ""
        if self._file is not None and self._file.done:
            already = f"; already there {self._file.done}"
        if self._file is not None and self._file.seedless:
            already += f", of these without a seed {self._file.seedless}"
        say(f"{before}{self._count.summary()}{already}")

    def _say_how_to_go_on(self) -> None:
        if self._count.trouble is not None:
            say(f"no final answer yet, and so no line, for {self._count.later} of them")
            say(f"the last of these: {told(self._count.trouble)}")
        if self._file is None:
            say("with --output FILE a run can be resumed")
        else:
            say(f"to go on: {resuming(sys.argv[1:])}")
