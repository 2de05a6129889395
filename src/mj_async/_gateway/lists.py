"""Lists of tasks: their encoding, what gateways have instead of them, and what they leave out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from .. import errors
from .._http.session import RequestOptions
from .._models import Task, is_further
from .._protocol import parse, requests

if TYPE_CHECKING:
    from .._clock import Clock
    from .._http.session import Session
    from .._protocol.parse import TaskPage
    from .._protocol.requests import Encoding

# A list of 100 has some 200 kB; masks and previews may be in it.
LIST_LIMIT = 16 * 2**20
_NOT_UNDERSTOOD = frozenset({400, 415, 422})
_FOR_ALL = (errors.AuthenticationError, errors.RateLimitError)
_TOO_LARGE = frozenset({413, 414})
# So many failures in a row are taken for trouble that passes.
_TOLERATED = 3
# When to try a list again that was refused; an unknown route stays unknown.
_LIST_PAUSE = 60.0


@attrs.define(eq=False)
class Lists:
    """The list of one gateway, as a client has come to know it.

    Args:
        session: Sends.
        clock: The client's time.
        encoding: That of the ids; None: it is found out.
    """

    _session: Session
    _clock: Clock
    encoding: Encoding | None
    lists_one: bool = attrs.field(default=False, init=False)
    _works: bool = attrs.field(default=False, init=False)
    _pause: float | None = attrs.field(default=None, init=False)
    _asked_from: float = attrs.field(default=-math.inf, init=False)
    _failures: int = attrs.field(default=0, init=False)

    async def list_batch(self, task_ids: list[str], options: RequestOptions) -> list[Task]:
        """Return the tasks of one batch, from one list or, where it has one task, from many."""
        while True:
            if self.lists_one and len(task_ids) > 1:
                tasks = await self._list_singly(task_ids, options)
            else:
                page = await self._list_part(task_ids, options)
                if page.is_single_task:
                    return [*page.tasks, *await self._list_rest(task_ids, page.tasks[0], options)]
                tasks = list(page.tasks)
            if not await self._leaves_out_known_task(task_ids, tasks, options):
                return tasks
            error = errors.ServerError(
                description=f"the list has none of the ids, and yet the gateway knows {task_ids[0]}"
            )
            request = requests.list_tasks(task_ids, self.encoding or "json")
            options = await self._session.sleep_before_retry(error, request, options)

    async def _leaves_out_known_task(
        self, task_ids: list[str], tasks: list[Task], options: RequestOptions
    ) -> bool:
        """Check a list that leaves out all of several ids: new-api's database may have failed."""
        if len(task_ids) == 1 or any(task.id in task_ids for task in tasks):
            return False
        try:
            await self._fetch(task_ids[0], attrs.evolve(options, attempt=1))
        except errors.TaskNotFoundError:
            return False
        return True

    async def _list_singly(self, task_ids: list[str], options: RequestOptions) -> list[Task]:
        return [task for one in task_ids for task in await self.list_batch([one], options)]

    async def _list_rest(
        self, task_ids: list[str], answered: Task, options: RequestOptions
    ) -> list[Task]:
        """Ask singly for the others where a gateway answers one task, as is documented."""
        others = [task_id for task_id in task_ids if task_id != answered.id]
        if len(others) in (0, len(task_ids)):
            return []
        self.lists_one = True
        return await self._list_singly(others, options)

    async def _list_part(self, task_ids: list[str], options: RequestOptions) -> TaskPage:
        """List some ids, in halves if the answer is too large."""
        try:
            return await self._list_in_known_encoding(task_ids, options)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _is_too_large(error) or len(task_ids) == 1:
                raise
        middle = len(task_ids) // 2
        parts = [await self._list_part(h, options) for h in (task_ids[:middle], task_ids[middle:])]
        return parse.TaskPage(tuple(task for part in parts for task in part.tasks))

    async def _list_in_known_encoding(
        self, task_ids: list[str], options: RequestOptions
    ) -> TaskPage:
        """List some ids as JSON; as multipart, once, if the answer does not understand that."""
        if self.encoding is not None:
            return await self._list_as(self.encoding, task_ids, options)
        refusal: errors.MJError | None = None
        page = parse.TaskPage()
        try:
            page = await self._list_as("json", task_ids, options)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _not_understood(error):
                raise
            refusal = error
        if page.tasks:
            self.encoding = "json"
        if page.tasks or (refusal is None and len(task_ids) == 1):
            return page
        try:
            page = await self._list_as("multipart", task_ids, options)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _not_understood(error):
                raise
            if refusal is not None:  # multipart fares no better: the first answer holds
                raise refusal from None
            self.encoding = "json"
            return parse.TaskPage()
        if page.tasks or refusal is not None:
            self.encoding = "multipart"
        return page

    async def _list_as(
        self, encoding: Encoding, task_ids: list[str], options: RequestOptions
    ) -> TaskPage:
        request = requests.list_tasks(task_ids, encoding)
        return await self._session.request(request, parse.parse_list_response, options)

    async def _fetch(self, task_id: str, options: RequestOptions) -> Task:
        request = requests.fetch(task_id)
        return await self._session.request(request, parse.parse_task_response, options)

    # --- for polls --------------------------------------------------------------------------

    def confirm_refusal(self) -> None:
        """Believe a refusal, now that `/fetch` has worked: before, it may have been maintenance."""
        if self._pause is not None and not self._works:
            self._asked_from = self._clock.now() + self._pause
            self._pause = None

    @property
    def usable(self) -> bool:
        """Whether it is worth asking a list for several ids."""
        return not self.lists_one and self._clock.now() >= self._asked_from

    async def poll(self, task_ids: list[str]) -> list[Task]:
        """Ask once for several tasks; a wait's schedule is its retry.

        Returns:
            What was found. A gateway without a list finds nothing, and so does one that refuses
            this list: one id in it may be to blame, and is none of the others' business.

        Raises:
            MJError: The list has failed, and may work the next time.
        """
        self._session.counts.polls += 1
        options = RequestOptions(limit=LIST_LIMIT)
        try:
            page = await self._list_part(task_ids, options)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            self._failures += 1
            if not await self._is_refusal(error, task_ids[0], options):
                raise
            self._pause = _pause_after(error)
            return []
        found: dict[str, Task] = {}
        merge(found, task_ids, page.tasks)
        self.lists_one = self.lists_one or (page.is_single_task and len(task_ids) > 1)
        self._works = self._works or bool(found)
        self._failures, self._pause = 0, None
        return list(found.values())

    async def _is_refusal(
        self, error: errors.MJError, task_id: str, options: RequestOptions
    ) -> bool:
        """Whether the list, and not the gateway, is in the way, so that `/fetch` will do."""
        if isinstance(error, _FOR_ALL):
            return False
        if isinstance(error, errors.APIError) and not isinstance(error, errors.ServerError):
            return True
        if _is_elsewhere(error) and not self._works:
            return True
        return self._failures > _TOLERATED and await self._knows(task_id, options)

    async def _knows(self, task_id: str, options: RequestOptions) -> bool:
        try:
            await self._session.request(requests.fetch(task_id), parse.parse_task_response, options)
        except errors.MJError as error:
            return isinstance(error, errors.TaskNotFoundError)
        return True


def merge(found: dict[str, Task], batch: list[str], tasks: Sequence[Task]) -> None:
    """Keep the tasks that were asked for; of two with one id, the one that is further on.

    new-api has two rows for an id that was submitted twice.
    """
    wanted = set(batch)
    for task in tasks:
        task_id = task.id
        if task_id in wanted and (task_id not in found or is_further(task, found[task_id])):
            found[task_id] = task


def _not_understood(error: errors.MJError) -> bool:
    """Whether an answer says that the encoding of the ids was not understood."""
    if type(error) is errors.APIError:
        return error.status_code in _NOT_UNDERSTOOD
    return is_html(error)


def _is_too_large(error: errors.MJError) -> bool:
    reason, status = getattr(error, "reason", None), getattr(error, "status_code", None)
    return reason == "too large" or status in _TOO_LARGE


def _pause_after(error: errors.MJError) -> float:
    unknown_route = isinstance(error, errors.UnsupportedError) and error.code is None
    return math.inf if unknown_route else _LIST_PAUSE


def _is_elsewhere(error: errors.MJError) -> bool:
    """Whether the answer is that of an unknown route, or of a page shown for maintenance."""
    redirected = isinstance(error, errors.UnexpectedAnswerError) and error.reason == "redirect"
    return redirected or is_html(error)


def is_html(error: errors.MJError) -> bool:
    """Whether a page came instead of JSON: new-api answers so on unknown routes."""
    return isinstance(error, errors.UnexpectedAnswerError) and error.reason == "html"
