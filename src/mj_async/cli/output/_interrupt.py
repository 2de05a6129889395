"""Ctrl-C: the first ends a run in order, and whoever is impatient does not break that order."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

import anyio
import attrs

T = TypeVar("T")

INTERRUPTED = 130
# SIGTERM is how services and containers are stopped.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Who types it again sooner means the same; later, that something hangs.
_PATIENCE = 2.0


@attrs.define
class _Interrupts:
    """Lets the event loop see the first interrupt only.

    It would raise the second one wherever it happens to be, and the end would be a traceback.
    """

    began_to_end: float | None = None
    _end_in_order: Callable[[int, FrameType | None], Any] | None = None
    _before: dict[int, Any] = attrs.field(factory=dict)

    def __enter__(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        # Interrupts are ignored behind nohup, and by what a script has put into the background.
        self._end_in_order = handler if callable(handler) else self._cancel_all()
        for one in _SIGNALS if callable(handler) else (signal.SIGTERM,):
            self._before[one] = signal.signal(one, self._on_interrupt)

    def _cancel_all(self) -> Callable[[int, FrameType | None], Any]:
        """Give what does as the event loop would, which leaves an ignored Ctrl-C alone."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  # a command runs in one
        return lambda _number, _frame: loop.call_soon_threadsafe(task.cancel)

    def __exit__(self, *_exception: object) -> None:
        # After an interrupt the process is about to end, and is not to be disturbed.
        if self.began_to_end is None:
            for one, handler in self._before.items():
                signal.signal(one, handler)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.began_to_end is None and self._end_in_order is not None:
            self.began_to_end = time.monotonic()
            self._end_in_order(number, frame)
        elif time.monotonic() - (self.began_to_end or 0.0) > _PATIENCE:
            os._exit(INTERRUPTED)


def run_async(work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run something asynchronous that the first Ctrl-C ends in order.

    Raises:
        KeyboardInterrupt: It has been ended so.
    """
    interrupts = _Interrupts()

    async def run() -> T:
        with interrupts:
            return await work(*arguments)

    try:
        return anyio.run(run)
    except asyncio.CancelledError:
        if interrupts.began_to_end is None:
            raise
        raise KeyboardInterrupt from None
