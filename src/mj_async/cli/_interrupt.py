"""Ctrl-C: the first ends a run in order, and whoever is impatient does not break that order."""

from __future__ import annotations

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

    _end_in_order: Callable[[int, FrameType | None], Any] | None = None
    _began_to_end: float | None = None
    _before: dict[int, Any] = attrs.field(factory=dict)

    def __enter__(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):  # else interrupts are ignored, as behind nohup
            self._end_in_order = handler
            self._before = {one: signal.signal(one, self._on_interrupt) for one in _SIGNALS}

    def __exit__(self, *_exception: object) -> None:
        # After an interrupt the process is about to end, and is not to be disturbed.
        if self._began_to_end is None:
            for one, handler in self._before.items():
                signal.signal(one, handler)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._began_to_end is None and self._end_in_order is not None:
            self._began_to_end = time.monotonic()
            self._end_in_order(number, frame)
        elif time.monotonic() - (self._began_to_end or 0.0) > _PATIENCE:
            os._exit(INTERRUPTED)


def run_async(work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run something asynchronous that the first Ctrl-C ends in order.

    Raises:
        KeyboardInterrupt: It has been ended so.
    """

    async def run() -> T:
        with _Interrupts():
            return await work(*arguments)

    return anyio.run(run)
