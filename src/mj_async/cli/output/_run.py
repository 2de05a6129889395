"""Run a command's work: show its progress, end in order on Ctrl-C, exit with a code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
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
# SIGTERM is how services and containers are stopped.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Who types it again sooner means the same; later, that something hangs.
_FORCE_EXIT_AFTER = 2.0


@attrs.define
class _InterruptHandler:
    """Lets the event loop see the first interrupt only.

    It would raise the second one wherever it happens to be, and the end would be a traceback.
    """

    interrupted_at: float | None = None
    _cancel_run: Callable[[int, FrameType | None], Any] | None = None
    _before: dict[int, Any] = attrs.field(factory=dict)

    def __enter__(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        # Interrupts are ignored behind nohup, and by what a script has put into the background.
        self._cancel_run = handler if callable(handler) else self._make_canceller()
        for one in _SIGNALS if callable(handler) else (signal.SIGTERM,):
            self._before[one] = signal.signal(one, self._on_interrupt)

    def _make_canceller(self) -> Callable[[int, FrameType | None], Any]:
        """Give what does as the event loop would, which leaves an ignored Ctrl-C alone."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101  # a command runs in one
        return lambda _number, _frame: loop.call_soon_threadsafe(task.cancel)

    def __exit__(self, *_exception: object) -> None:
        # After an interrupt the process is about to end, and is not to be disturbed.
        if self.interrupted_at is None:
            for one, handler in self._before.items():
                signal.signal(one, handler)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted_at is None and self._cancel_run is not None:
            self.interrupted_at = time.monotonic()
            self._cancel_run(number, frame)
        elif time.monotonic() - (self.interrupted_at or 0.0) > _FORCE_EXIT_AFTER:
            os._exit(INTERRUPTED)


def run_async(work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run something asynchronous that the first Ctrl-C ends in order.

    Raises:
        KeyboardInterrupt: It has been ended so.
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
    terminal: Terminal,
    view: ProgressView,
    work: Work,
    *beside: Work,
) -> Exception | None:
    """Do the work while its view is shown.

    Args:
        terminal: Where.
        view: What.
        work: Ends, or raises what has ended it before its time.
        beside: What is done until then.

    Returns:
        What ended it before its time, or None.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(terminal.show_progress, view)
        for one in beside:
            group.start_soon(one)
        try:
            await work()
        except (errors.MJError, OutputError) as error:
            return error
        finally:
            group.cancel_scope.cancel()
    return None


@attrs.frozen
class OnInterrupt:
    """Tells how far a run has come when it is interrupted, on its way out.

    Args:
        tell: Tells it.
    """

    tell: Callable[[], None]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        if kind is KeyboardInterrupt:
            self.tell()


class _OneLine:
    """Ends the process with one line on stderr, where it would end with a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, errors.MJError | OutputError):
            echo_err(format_error(error))
            sys.exit(exit_code_of_run(error, ()))
        if isinstance(error, KeyboardInterrupt):
            # Everything is said and written; a further one would only spoil the exit code.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_and_exit(work: Callable[[], int]) -> NoReturn:
    """Do a command's work, and end the process with its exit code.

    An interrupt ends it with 130, which cyclopts sees to.
    """
    with _OneLine():
        sys.exit(work())
