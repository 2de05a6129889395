"""Run a command's work: show its progress, end in order on Ctrl-C, exit with a code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, TypeAlias, TypeVar

import anyio
import attrs

from mj_async import errors

from ._exit_codes import exit_code_of_run
from ._hints import format_error
from ._terminal import OutputError, ProgressView, Terminal, echo_err

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
T = TypeVar("T")

INTERRUPTED = 130
# SIGTERM stops services and containers.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds. A second Ctrl-C within them is impatience, a later one means that the end hangs.
_FORCE_EXIT_AFTER = 2.0


@attrs.define
class _InterruptHandler:
    """Passes only the first signal on to the event loop.

    The event loop would raise KeyboardInterrupt for a second one at any place, and the user would
    see a traceback.
    """

    interrupted_at: float | None = None
    _cancel_run: Callable[[int, FrameType | None], Any] | None = None
    _previous: dict[int, Any] = attrs.field(factory=dict)

    def __enter__(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        # nohup, and scripts that start a command in the background, let it ignore SIGINT.
        self._cancel_run = handler if callable(handler) else self._make_canceller()
        for number in _SIGNALS if callable(handler) else (signal.SIGTERM,):
            self._previous[number] = signal.signal(number, self._on_signal)

    def _make_canceller(self) -> Callable[[int, FrameType | None], Any]:
        # The event loop does not handle signals if SIGINT is ignored.
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  # a command runs in a task
        return lambda _number, _frame: loop.call_soon_threadsafe(task.cancel)

    def __exit__(self, *_exception: object) -> None:
        # After an interrupt the process ends, and no second signal may disturb its end.
        if self.interrupted_at is None:
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted_at is None and self._cancel_run is not None:
            self.interrupted_at = time.monotonic()
            self._cancel_run(number, frame)
        elif time.monotonic() - (self.interrupted_at or 0.0) > _FORCE_EXIT_AFTER:
            os._exit(INTERRUPTED)


def run_async(work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run a coroutine function; the first Ctrl-C or SIGTERM cancels it.

    Raises:
        KeyboardInterrupt: A signal has cancelled it.
    """
    interrupts = _InterruptHandler()

    async def run() -> T:
        with interrupts:
            return await work(*arguments)

    try:
        return anyio.run(run)
    except asyncio.CancelledError:
        if interrupts.interrupted_at is None:
            raise
        raise KeyboardInterrupt from None


async def run_with_progress(
    terminal: Terminal, view: ProgressView, work: Work, *background: Work
) -> Exception | None:
    """Run the work and show its progress.

    Args:
        terminal: Shows the progress.
        view: The progress.
        work: May raise an `MJError` or an `OutputError`, which end the run early.
        background: Runs beside the work, and is cancelled at its end.

    Returns:
        The error that ended the work early, or None.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(terminal.show_progress, view)
        for one in background:
            group.start_soon(one)
        try:
            await work()
        except (errors.MJError, OutputError) as error:
            return error
        finally:
            group.cancel_scope.cancel()
    return None


@contextmanager
def on_interrupt(report: Callable[[], None]) -> Iterator[None]:
    """Call `report` if Ctrl-C ends the block, before the command ends."""
    try:
        yield
    except KeyboardInterrupt:
        report()
        raise


def run_and_exit(work: Callable[[], int]) -> NoReturn:
    """Run a command, and exit with its exit code.

    An `MJError` or `OutputError` becomes one line on stderr. After KeyboardInterrupt, cyclopts
    exits with 130.
    """
    try:
        sys.exit(work())
    except (errors.MJError, OutputError) as error:
        echo_err(format_error(error))
        sys.exit(exit_code_of_run(error, ()))
    except KeyboardInterrupt:
        # All output is written; a further signal would only change the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
