"""`mj-async fetch`: one task as it is now."""

from __future__ import annotations

from typing import NoReturn

from mj_async import AsyncMJClient, Task, errors

from .._options import Connection, TaskId
from ..output._exit_codes import DONE, code_of
from ..output._rows import details_of, error_of
from ..output._run import run, run_async
from ..output._terminal import Terminal


def fetch(
    task_id: TaskId,
    /,
    *,
    json: bool = False,
    connection: Connection = Connection(),  # noqa: B008
) -> NoReturn:
    """Show one task as it is now.

    Args:
        task_id: The task's id.
        json: Print the task in one line, under the gateway's own names.
        connection: How the gateway is reached.
    """
    run(lambda: run_async(_fetch, task_id, json, connection.client()))


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
        terminal.put_json({"id": task_id, "error": error_of(error)})
        return code_of(error)
    _show(terminal, task, json=json)
    return DONE


def _show(terminal: Terminal, task: Task, *, json: bool) -> None:
    if json:
        terminal.put_json(task.to_dict())
        return
    for line in details_of(task):
        terminal.put(line)
