"""PURE: a line of `mj-async seeds` from an outcome, and back what a resumed run needs of it."""

from __future__ import annotations

import json
from typing import Any

from mj_async import SeedOutcome, Task, errors


def error_of(error: errors.MJError) -> dict[str, str]:
    """Give an error as a machine reads it."""
    return {"type": type(error).__name__, "message": str(error)}


def line_of(outcome: SeedOutcome) -> dict[str, Any]:
    """Give what a line says of an outcome."""
    seed, task = outcome.seed, _task_of(outcome)
    return {
        "task_id": outcome.task_id,
        "seed": None if seed is None else seed.seed,
        "source": None if seed is None else seed.source,
        "status": None if task is None else task.status,
        "prompt": None if task is None else task.prompt,
        "image_url": None if task is None else task.image_url,
        "error": None if outcome.error is None else error_of(outcome.error),
    }


def _task_of(outcome: SeedOutcome) -> Task | None:
    if outcome.seed is not None:
        return outcome.seed.task
    task = getattr(outcome.error, "task", None)
    return task if isinstance(task, Task) else None


def read_line(line: bytes) -> tuple[str, bool] | None:
    """Give the id that a line is about, and whether it has a seed; None for no line of ours."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # no UTF-8 is a ValueError, too
        return None
    task_id = value.get("task_id") if isinstance(value, dict) else None
    if not isinstance(task_id, str) or not task_id:
        return None
    return task_id, value.get("error") is None
