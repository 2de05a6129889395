"""`mj-async fetch`: one task as it is now."""

from __future__ import annotations

from typing import NoReturn

from mj_async import AsyncMJClient, Task, errors

from .._options import GatewayOptions, TaskId
from ..output._exit_codes import DONE, exit_code_for
from ..output._rows import error_to_dict, task_details
from ..output._run import run_and_exit, run_async
from ..output._terminal import Terminal


def fetch(
    task_id: TaskId,
    /,
    *,
    json: bool = False,
    gateway: GatewayOptions = GatewayOptions(),  # noqa: B008
) -> NoReturn:
    """Show one task as it is now.

    Args:
        task_id: The task's id.
        json: Print the task as one line of JSON, with the gateway's field names.
        gateway: The gateway.
    """
    run_and_exit(lambda: run_async(_fetch, task_id, json, gateway.make_client()))


async def _fetch(task_id: str, json: bool, client: AsyncMJClient) -> int:  # noqa: FBT001
    terminal = Terminal()
    try:
        async with client:
            task = await client.fetch_task(task_id)
    except errors.ConfigurationError:
        raise
    except errors.MJError as error:
        if not json:
            raise
        terminal.print_json({"id": task_id, "error": error_to_dict(error)})
        return exit_code_for(error)
    _print_task(terminal, task, json=json)
    return DONE


def _print_task(terminal: Terminal, task: Task, *, json: bool) -> None:
    if json:
        terminal.print_json(task.to_dict())
        return
    for line in task_details(task):
        terminal.print_line(line)
