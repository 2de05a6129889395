"""The cancellation sweep: a call is cancelled at every step of its event loop.

A step of asyncio is one `select` of its loop, and one of trio is one step of any task.
The sweep is as fine as a cancellation can be, and needs no clock to reach every phase of a call.
"""

from __future__ import annotations

import asyncio
import selectors
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import anyio
import attrs
import trio
from _sweep_server import SweepServer
from coverage import Coverage

from mj_async import AsyncMJClient

Call: TypeAlias = Callable[[AsyncMJClient], Coroutine[Any, Any, object]]
Prepared: TypeAlias = Callable[[], Coroutine[Any, Any, object]]

# Built once: a TLS context takes 20 ms, and a sweep builds hundreds of clients.
CONTEXT = ssl.create_default_context()

# On a busy machine a call may need fewer steps, for both halves of an answer come at once.
_UNCANCELLED_IN_A_ROW = 3


@contextmanager
def uncovered() -> Iterator[None]:
    """Stop measuring coverage: a sweep runs hundreds of times through lines of other tests."""
    coverage = Coverage.current()
    if coverage is not None:
        coverage.stop()
    yield
    if coverage is not None:
        coverage.start()


@attrs.define
class StepCounter:
    """A counter of event loop steps, which runs an action at the step that is due."""

    due: int = 0
    before_cancel: Callable[[], object] = lambda: None
    results: list[object] = attrs.field(factory=list)
    _left: int = attrs.field(default=-1, init=False)
    _act: Callable[[], object] = attrs.field(default=lambda: None, init=False)

    def arm(self, act: Callable[[], object]) -> None:
        """Run the action at the step that is due, counted from now."""
        self._left, self._act = self.due, act
        self.results.clear()

    def act_at_next_step(self, act: Callable[[], object]) -> None:
        """Run the action at the next step."""
        self._left, self._act = 0, act

    def disarm(self) -> None:
        """Run no action any more."""
        self._left = -1

    def count_step(self) -> bool:
        """Count one step; return True if the action ran at it."""
        self._left -= 1
        if self._left != -1:
            return False
        self.before_cancel()
        self.results.append(self._act())
        return True


class CountingSelector(selectors.DefaultSelector):
    """A selector that counts the steps of its event loop."""

    def __init__(self, steps: StepCounter) -> None:
        super().__init__()
        self._steps = steps

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for I/O, but not after an action, which has made a callback ready."""
        return super().select(0 if self._steps.count_step() else timeout)


class CountingInstrument(trio.abc.Instrument):
    """A trio instrument that counts the steps of all tasks."""

    def __init__(self, steps: StepCounter) -> None:
        self._steps = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count one step."""
        self._steps.count_step()


# --- how a call is cancelled: each returns the call's result, or None if it was cancelled ---------


async def by_task(steps: StepCounter, call: Prepared) -> object:
    """Cancel an asyncio task, as `asyncio.run` and task groups do."""
    task = asyncio.create_task(call())
    steps.arm(task.cancel)
    return await _end_of(task, steps)


async def by_task_twice(steps: StepCounter, call: Prepared) -> object:
    """Cancel an asyncio task, and once more one step later, while it cleans up."""
    task = asyncio.create_task(call())

    def cancel() -> bool:
        steps.act_at_next_step(task.cancel)
        return task.cancel()

    steps.arm(cancel)
    return await _end_of(task, steps)


async def _end_of(task: asyncio.Task[object], steps: StepCounter) -> object:
    await asyncio.wait([task])
    steps.disarm()

    assert task.cancelled() == (True in steps.results)
    return None if task.cancelled() else task.result()


async def by_timeout(steps: StepCounter, call: Prepared) -> object:
    """End the call by an `asyncio.timeout()` around it."""
    result = None
    try:
        async with asyncio.timeout(None) as limit:
            steps.arm(lambda: limit.reschedule(asyncio.get_running_loop().time()))
            result = await call()
            steps.disarm()
            limit.reschedule(None)
    except TimeoutError:
        assert limit.expired()
    this = asyncio.current_task()

    assert this is not None
    assert this.cancelling() == 0
    return result


async def by_scope(steps: StepCounter, call: Prepared) -> object:
    """Cancel an anyio scope around the call."""
    result = None
    with anyio.CancelScope() as scope:
        steps.arm(scope.cancel)
        result = await call()
        steps.disarm()

    assert scope.cancelled_caught == (result is None)
    return result


# --- event loops ----------------------------------------------------------------------------------


@attrs.frozen
class Backend:
    """An event loop, and how a call is cancelled on it."""

    name: str
    run_and_cancel: Callable[[StepCounter, Prepared], Coroutine[Any, Any, object]]
    on_trio: bool = False
    eager: bool = False

    def run(self, steps: StepCounter, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `main` on a new event loop that counts its steps."""
        with uncovered():
            if self.on_trio:
                trio.run(main, instruments=[CountingInstrument(steps)])
            else:
                self._run_on_asyncio(steps, main)

    def _run_on_asyncio(
        self, steps: StepCounter, main: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        def make_loop() -> asyncio.AbstractEventLoop:
            loop = asyncio.SelectorEventLoop(CountingSelector(steps))
            if sys.version_info >= (3, 12) and self.eager:
                loop.set_task_factory(asyncio.eager_task_factory)
            return loop

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main())

    def tasks(self) -> int:
        """Count the living tasks."""
        if self.on_trio:
            return trio.lowlevel.current_statistics().tasks_living
        return len(asyncio.all_tasks())


BACKENDS = [
    Backend("task", by_task),
    Backend("task twice", by_task_twice),
    Backend("timeout", by_timeout),
    Backend("scope", by_scope),
    Backend("trio", by_scope, on_trio=True),
]
if sys.version_info >= (3, 12):
    BACKENDS += [
        Backend("eager task", by_task, eager=True),
        Backend("eager timeout", by_timeout, eager=True),
        Backend("eager scope", by_scope, eager=True),
    ]


def sweep(backend: Backend, gateway: SweepServer, call: Call, *, warm: bool) -> list[str]:
    """Cancel the call one step later each time, until it ends three times without a cancellation.

    After each cancellation no task is left and both slots are free; there is one of each kind.

    Args:
        backend: The event loop, and how the call is cancelled.
        gateway: The server.
        call: The call of a client that is cancelled.
        warm: True if the client has a connection already.

    Returns:
        How far the gateway's answer was at each cancellation.
    """
    phases: list[str] = []
    steps = StepCounter(before_cancel=lambda: phases.append(gateway.reached))

    async def cancel_when_due(client: AsyncMJClient) -> object:
        if warm:
            await client.fetch_task("warm")
        alive, gateway.reached = backend.tasks(), "nothing"
        result = await backend.run_and_cancel(steps, lambda: call(client))
        assert alive == backend.tasks()
        with anyio.fail_after(2):
            assert "next" == (await client.fetch_task("next")).id
            assert "5" == (await client.image_seed("next")).seed
        return result

    async def main() -> None:
        ended = 0
        while ended < _UNCANCELLED_IN_A_ROW:
            async with make_client(gateway.base_url) as client:
                ended = 0 if await cancel_when_due(client) is None else ended + 1
            steps.due += not ended

    backend.run(steps, main)
    return phases


def make_client(base_url: str) -> AsyncMJClient:
    """Build a client that has one slot of each kind."""
    return AsyncMJClient("sk-key", base_url=base_url, max_connections=1, verify=CONTEXT)
