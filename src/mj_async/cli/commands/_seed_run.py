"""One run of `mj-async seeds`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import anyio
from anyio import to_thread

from mj_async import AsyncMJClient, SeedOutcome, errors

from ..files._ids import Ids
from ..files._seed_file import SeedFile
from ..output._advice import told
from ..output._exit import DONE, PARTLY, code_of_end
from ..output._interrupt import run_async
from ..output._seed_count import SeedCount
from ..output._terminal import OutputError, Terminal, say
from ._report import OnInterrupt, run_shown

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
