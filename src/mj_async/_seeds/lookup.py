"""Runs of seeds over a gateway."""

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
from .planner import SeedOptions, SeedPlanner
from .source import IdSource, TaskIds

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .._clock import Clock
    from .._lifecycle import Lifecycle
    from .._models import TaskList
    from .queues import SeedItem

_ENDS_RUN = (
    errors.AuthenticationError,
    errors.PermissionDeniedError,
    errors.ConfigurationError,
    errors.ClientStateError,
)


class Asked(Protocol):
    """What a run asks: each call sends once, and waits as long as the gate holds it."""

    @property
    def list_size(self) -> int:
        """How many ids may be listed in one request."""

    async def fetch_once(self, task_id: str) -> Task:
        """Ask for one task."""

    async def list_once(self, task_ids: list[str]) -> TaskList:
        """List some tasks."""

    async def seed_once(self, task_id: str) -> ImageSeed:
        """Ask for one seed."""

    async def seeds_once(self, task_ids: list[str]) -> Sequence[ImageSeed]:
        """Ask for several seeds in the documented form."""


@attrs.define(kw_only=True, eq=False)
class SeedLookup(OutcomeStream[SeedOutcome]):
    """The seeds of many tasks, as they land: `async with` it, then `async for` over it.

    Args:
        tasks: Ids, or tasks, which are not listed.
        gateway: Who is asked.
        plan: How.
        clock: The client's time.
        lifecycle: Ends the run when the client is closed.
    """

    call = "image_seeds"

    tasks: TaskIds = attrs.field(repr=False)
    gateway: Asked = attrs.field(repr=False)
    plan: SeedOptions
    clock: Clock = attrs.field(repr=False)
    lifecycle: Lifecycle = attrs.field(repr=False)
    _intake: IdSource = attrs.field(init=False, repr=False)
    _ledger: SeedPlanner = attrs.field(init=False, repr=False)
    _wakeup: Wakeup = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._intake = IdSource(self.tasks)
        self._landing = OutcomeQueue(2 * self.plan.concurrency)
        self._ledger = SeedPlanner(self.plan, self._landing.land)
        self._wakeup = Wakeup(self.clock)

    def _end(self) -> None:
        self.lifecycle.check_open()
        if self._intake.error is not None:
            raise self._intake.error

    # --- who works on it ------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            with self.lifecycle.move_on_at(None):
                async with anyio.create_task_group() as crew:
                    for work in (self._read, self._list, *[self._ask] * self.plan.concurrency):
                        crew.start_soon(self._guard, work, crew)
        finally:
            self._landing.close()

    async def _guard(self, work: Callable[[], Awaitable[None]], crew: TaskGroup) -> None:
        """Work to the end; an error ends the run, and cuts off what is under way."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # raised at the end of the iteration
            self._fault = self._fault or error
            crew.cancel_scope.cancel()

    async def _read(self) -> None:
        async with self._intake as intake:
            while not intake.ended:
                await self._landing.room()
                wanted = self._ledger.wanted
                if not wanted:
                    await self._wakeup.wait(None)
                    continue
                if self._ledger.add_all(await intake.read(wanted)):
                    self._wakeup.set()
                await checkpoint()  # an input of nothing new must not stop all else
        self._ledger.input_ended = True
        self._wakeup.set()

    async def _list(self) -> None:
        while await self._is_on():
            now, size = self.clock.now(), self.gateway.list_size
            entries = self._ledger.take_list(now, size)
            await self._do(entries, self._list_these, self._ledger.list_due(now))

    async def _ask(self) -> None:
        while await self._is_on():
            entries = self._ledger.take_seeds(self.clock.now())
            await self._do(entries, self._ask_for_these, self._ledger.due)

    async def _is_on(self) -> bool:
        """Whether the run goes on, when there is room; and the gateway's pulse is felt first."""
        await self._landing.room()
        task_id = self._ledger.take_pulse(self.clock.now())
        if task_id is not None:
            await self._feel_pulse(task_id)
            self._wakeup.set()
        return not self._ledger.done

    async def _do(
        self,
        entries: list[SeedItem],
        ask: Callable[[list[SeedItem]], Awaitable[None]],
        due: float | None,
    ) -> None:
        if not entries:
            await self._wakeup.wait(due)
            return
        self._wakeup.set()  # there is room for more of the input
        try:
            await ask(entries)
        except _ENDS_RUN:
            self._ledger.settle()
            raise
        except errors.MJError as error:
            self._ledger.failed(entries, error, self.clock.now())
        self._wakeup.set()

    # --- what is asked --------------------------------------------------------------------

    async def _list_these(self, entries: list[SeedItem]) -> None:
        tasks = await self.gateway.list_once([entry.task_id for entry in entries])
        self._ledger.listed(entries, tasks)

    async def _ask_for_these(self, entries: list[SeedItem]) -> None:
        ids = [entry.task_id for entry in entries]
        if len(ids) == 1:
            self._ledger.seeded(entries, [await self.gateway.seed_once(ids[0])])
        else:
            self._ledger.seeded(entries, await self.gateway.seeds_once(ids))

    async def _feel_pulse(self, task_id: str) -> None:
        """Ask whether the gateway lives.

        Raises:
            MJError: It has been silent too often, or refuses the key.
        """
        ledger, gateway = self._ledger, self.gateway
        try:
            await (gateway.fetch_once(task_id) if ledger.listless else gateway.list_once([task_id]))
        except errors.MJError as error:
            ledger.probed(error)
            if ledger.pulse.gone or isinstance(error, _ENDS_RUN):
                raise
        else:
            ledger.probed(None)
