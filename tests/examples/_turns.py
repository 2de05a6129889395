"""Waiting without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(is_so: Callable[[], object], turns: int = 200_000, pause: float = 0.0) -> None:
    """Let the event loop turn until something is so, for many turns at most."""
    for _ in range(turns):
        if is_so():
            return
        await asyncio.sleep(pause)
    raise AssertionError(f"not so after {turns} turns of the event loop")
