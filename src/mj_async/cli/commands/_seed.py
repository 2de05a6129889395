"""`mj-async seed`: the seed of one task's image."""

from __future__ import annotations

from typing import NoReturn

from mj_async import AsyncMJClient, errors

from .._options import GatewayOptions, TaskId
from ..output._exit_codes import DONE
from ..output._run import run_and_exit, run_async
from ..output._terminal import Terminal


def seed(task_id: TaskId, /, *, gateway: GatewayOptions = GatewayOptions()) -> NoReturn:  # noqa: B008
    """Print the seed of the image of a finished task, and nothing else.

    Args:
        task_id: The task's id.
        gateway: The gateway.
    """
    run_and_exit(lambda: run_async(_seed, task_id, gateway.make_client()))


async def _seed(task_id: str, client: AsyncMJClient) -> int:
    async with client:
        found = await client.image_seed(task_id)
    if found.seed is None:  # some documents show this answer: the task without a seed
        raise errors.SeedUnavailableError(task_id=task_id, task=found.task)
    Terminal().print_line(found.seed)
    return DONE
