"""Waiting for a condition without a sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], steps: int = 200_000, pause: float = 0.0) -> None:
    """Run the event loop until the condition is true, for so many steps at most."""
    for _ in range(steps):
        if condition():
            return
        await asyncio.sleep(pause)
    raise AssertionError(f"the condition is false after {steps} steps of the event loop")
