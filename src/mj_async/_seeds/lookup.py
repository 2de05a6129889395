"""A bulk lookup of seeds: this waits and sends, and the planner decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .. import errors
from .._clock import Wakeup
from .._models import ImageSeed, Task
from .._outcomes import OutcomeQueue, OutcomeStream, SeedOutcome
from .planner import SeedItem, SeedOptions, SeedPlanner
from .source import IdSource, TaskIds

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .._clock import Clock
    from .._lifecycle import Lifecycle
    from .._models import TaskList

_ENDS_RUN = (
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.ConfigurationError,
    errors.ClientStateError,
)


class SeedAPI(Protocol):
    """The requests of a lookup. Each is sent once, however long the gate holds it back."""

    @property
    def list_size(self) -> int: ...
    async def fetch_once(self, task_id: str) -> Task: ...
    async def list_once(self, task_ids: list[str]) -> TaskList: ...
    async def seed_once(self, task_id: str) -> ImageSeed: ...
    async def seeds_once(self, task_ids: list[str]) -> Sequence[ImageSeed]: ...


@attrs.define(kw_only=True, eq=False)
class SeedLookup(OutcomeStream[SeedOutcome]):
    """A bulk lookup: one task reads the ids, one lists them, `concurrency` ask for seeds."""

    call = "image_seeds"

    tasks: TaskIds = attrs.field(repr=False)
    gateway: SeedAPI = attrs.field(repr=False)
    options: SeedOptions
    clock: Clock = attrs.field(repr=False)
    lifecycle: Lifecycle = attrs.field(repr=False)
    _source: IdSource = attrs.field(init=False, repr=False)
    _planner: SeedPlanner = attrs.field(init=False, repr=False)
    _wakeup: Wakeup = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._source = IdSource(self.tasks)
        self._queue = OutcomeQueue(2 * self.options.concurrency)
        self._planner = SeedPlanner(self.options, self._queue.put)
        self._wakeup = Wakeup(self.clock)

    def _end(self) -> None:
        self.lifecycle.check_open()
        if self._source.error is not None:
            raise self._source.error

    async def _work(self) -> None:
        workers = [self._read, self._list, *[self._look_up] * self.options.concurrency]
        try:
            with self.lifecycle.move_on_at(None):
                async with anyio.create_task_group() as group:
                    for worker in workers:
                        group.start_soon(self._guard, worker, group)
        finally:
            self._queue.close()

    async def _guard(self, worker: Callable[[], Awaitable[None]], group: TaskGroup) -> None:
        """Run a worker; its error cancels the others, and is raised after the last outcome."""
        try:
            await worker()
        except Exception as error:  # noqa: BLE001  # raised at the end of the iteration
            self._fault = self._fault or error
            group.cancel_scope.cancel()

    async def _read(self) -> None:
        async with self._source as source:
            while not source.ended:
                await self._queue.wait_for_room()
                wanted = self._planner.wanted
                if not wanted:
                    await self._wakeup.wait(None)
                    continue
                if self._planner.add_all(await source.read(wanted)):
                    self._wakeup.set()
                await checkpoint()  # an endless input of repeated ids must not block the others
        self._planner.queues.input_ended = True
        self._wakeup.set()

    async def _list(self) -> None:
        while await self._wait_for_turn():
            now, queues = self.clock.now(), self._planner.queues
            items = queues.next_list(now, self.gateway.list_size)
            await self._send(items, self._send_list, queues.list_due(now))

    async def _look_up(self) -> None:
        while await self._wait_for_turn():
            queues = self._planner.queues
            items = queues.next_seeds(self.clock.now())
            await self._send(items, self._send_seeds, queues.due)

    async def _wait_for_turn(self) -> bool:
        """Wait until a request may be sent; probe the gateway. Return False if all is done."""
        planner = self._planner
        while True:
            await self._queue.wait_for_room()
            if planner.breaker.try_probe(self.clock.now()):
                await self._probe(planner.failed_id)
                self._wakeup.set()
            if not planner.breaker.is_open:  # while it is open, the ids that failed have no outcome
                return not planner.done
            await self._wakeup.wait(planner.breaker.probe_at)

    async def _probe(self, task_id: str) -> None:
        planner, gateway = self._planner, self.gateway
        try:
            if planner.lists_unreadable:
                await gateway.fetch_once(task_id)
            else:
                await gateway.list_once([task_id])
        except errors.MJError as error:
            planner.record_probe(error)
            if planner.breaker.is_exhausted or isinstance(error, _ENDS_RUN):
                raise
        else:
            planner.record_probe(None)

    async def _send(
        self,
        items: list[SeedItem],
        send: Callable[[list[SeedItem]], Awaitable[None]],
        due: float | None,
    ) -> None:
        """Send a request for these items; without any, wait until there may be some."""
        if not items:
            await self._wakeup.wait(due)
            return
        self._wakeup.set()  # there is room for more of the input
        outages = self._planner.breaker.outages
        try:
            await send(items)
        except _ENDS_RUN:
            self._planner.commit()
            raise
        except errors.MJError as error:
            self._planner.record_failure(items, error, self.clock.now(), outages)
        self._wakeup.set()

    async def _send_list(self, items: list[SeedItem]) -> None:
        tasks = await self.gateway.list_once([item.task_id for item in items])
        self._planner.record_list(items, tasks)

    async def _send_seeds(self, items: list[SeedItem]) -> None:
        ids = [item.task_id for item in items]
        if len(ids) == 1:
            self._planner.record_seeds(items, [await self.gateway.seed_once(ids[0])])
        else:
            self._planner.record_seeds(items, await self.gateway.seeds_once(ids))
