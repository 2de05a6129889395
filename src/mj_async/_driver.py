"""Asking what an agenda says. Whoever waits drives it, so that nothing runs by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs

from . import errors
from ._agenda import Agenda
from ._clock import Bell

if TYPE_CHECKING:
    from ._agenda import Answers, Job
    from ._clock import Clock
    from ._config import Polling
    from ._gateway.endpoints import Gateway
    from ._models import Task


@attrs.define(kw_only=True, eq=False)
class Driver:
    """Sleeps until there is something to ask, and asks.

    Args:
        agenda: What to ask, and when.
        clock: Time.
        poll: Asks once for one task.
        poll_list: Asks once for several tasks, and gives those that were found.
    """

    agenda: Agenda
    clock: Clock
    poll: Callable[[str], Awaitable[Task]]
    poll_list: Callable[[list[str]], Awaitable[list[Task]]]
    _bell: Bell = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bell = Bell(self.clock)

    async def sleep(self, deadline: float | None = None) -> None:
        """Sleep until the agenda may have something, until a deadline, or until `kick`."""
        # At least one turn of the loop, in which all that come at this instant can join.
        await self._bell.wait(self.agenda.look_again_at(), deadline)

    def kick(self) -> None:
        """End the sleep: something has changed."""
        self._bell.ring()

    def next_job(self) -> Job | None:
        """Begin the next request, if there is one; it must be carried."""
        return self.agenda.next_job(self.clock.now())

    async def carry(self, job: Job) -> None:
        """Send a request and tell what came back; one that is cut off will be repeated.

        Raises:
            Exception: A fault in a hook or transport of the caller's; it is not repeated now.
        """
        try:
            answers = await self._ask(job)
        except Exception:
            self.agenda.drop(job)
            raise
        except BaseException:  # it was cut off
            self.agenda.repeat(job, self.clock.now())
            raise
        else:
            self.agenda.end(job, answers, self.clock.now())
        finally:
            self.kick()

    async def _ask(self, job: Job) -> Answers:
        try:
            if job.alone:
                (task_id,) = job.task_ids
                return {task_id: await self.poll(task_id)}
            return {task.id: task for task in await self.poll_list(list(job.task_ids))}
        except errors.MJError as error:
            return dict.fromkeys(job.task_ids, error)


def make_driver(gateway: Gateway, clock: Clock, polling: Polling, batch_size: int) -> Driver:
    """Make what asks a gateway at the ticks of a schedule."""
    agenda = Agenda(
        interval=polling.interval,
        jitter=polling.jitter,
        batch_size=batch_size,
        has_list=lambda: gateway.lists.usable,
    )
    return Driver(agenda=agenda, clock=clock, poll=gateway.poll, poll_list=gateway.lists.poll)
