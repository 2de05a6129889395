"""PURE: errors as machines read them, and what a resumed run needs of a line of seeds."""

from __future__ import annotations

import json

from mj_async import errors


def error_of(error: errors.MJError) -> dict[str, str]:
    """Give an error as a machine reads it."""
    return {"type": type(error).__name__, "message": str(error)}


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
