"""`mj-async seeds`: the seeds of any number of tasks, in a file that a later run goes on with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NoReturn

from mj_async import errors

from .._options import Connection, Source, TaskId, connections_for
from ..files._ids import Ids
from ..files._seed_file import Mode, SeedFile
from ..output._exit import run
from ._seed_run import SeedRun


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
