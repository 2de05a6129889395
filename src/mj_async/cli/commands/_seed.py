"""`mj-async seed`: the seed of one task's image."""

from __future__ import annotations

from typing import NoReturn

from mj_async import AsyncMJClient, errors

from .._options import Connection, TaskId
from ..output._exit_codes import DONE
from ..output._run import run, run_async
from ..output._terminal import Terminal


def seed(task_id: TaskId, /, *, connection: Connection = Connection()) -> NoReturn:  # noqa: B008
    """Print the seed of a finished task's image, and nothing else.

    Args:
        task_id: The task's id.
        connection: How the gateway is reached.
    """
    run(lambda: run_async(_seed, task_id, connection.client()))


async def _seed(task_id: str, client: AsyncMJClient) -> int:
    async with client:
        found = await client.image_seed(task_id)
    if found.seed is None:  # the documented answer: a task, without one
        raise errors.SeedUnavailableError(task_id=task_id, task=found.task)
    Terminal().put(found.seed)
    return DONE
