"""Lists of tasks: their encoding, what they leave out, and what gateways have instead of them."""

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
_TOO_LARGE = frozenset({413, 414})
# So many failures in a row are taken for trouble that passes.
_TOLERATED = 3
# When to try a list again that was refused; an unknown route stays unknown.
_LIST_PAUSE = 60.0


@attrs.define(eq=False)
class Lists:
    """The list of one gateway, and what this client has found out about it.

    `encoding` is None until the encoding of the ids is found out. `lists_one` is True if the
    gateway answers a list with one task, as is documented.
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
                page = await self._list(task_ids, options)
                tasks = list(page.tasks)
                if page.is_single_task:
                    return tasks + await self._list_rest(task_ids, tasks[0].id, options)
            if not await self._leaves_out_known_task(task_ids, tasks, options):
                return tasks
            error = errors.ServerError(
                description=f"the list has none of the ids, and yet the gateway knows {task_ids[0]}"
            )
            request = requests.list_tasks(task_ids, self.encoding or "json")
            options = await self._session.sleep_before_retry(error, request, options)

    async def _list_singly(self, task_ids: list[str], options: RequestOptions) -> list[Task]:
        return [task for one in task_ids for task in await self.list_batch([one], options)]

    async def _list_rest(
        self, task_ids: list[str], answered: str, options: RequestOptions
    ) -> list[Task]:
        others = [task_id for task_id in task_ids if task_id != answered]
        if len(others) in (0, len(task_ids)):
            return []
        self.lists_one = True
        return await self._list_singly(others, options)

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

    async def _list(self, task_ids: list[str], options: RequestOptions) -> TaskPage:
        """List ids, in halves if the answer is too large."""
        try:
            return await self._list_in_any_encoding(task_ids, options)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _is_too_large(error) or len(task_ids) == 1:
                raise
        middle = len(task_ids) // 2
        parts = [await self._list(h, options) for h in (task_ids[:middle], task_ids[middle:])]
        return parse.TaskPage(tuple(task for part in parts for task in part.tasks))

    async def _list_in_any_encoding(self, task_ids: list[str], options: RequestOptions) -> TaskPage:
        """List ids as JSON and, once, as multipart if the answer does not understand that."""
        if self.encoding is not None:
            return await self._list_as(self.encoding, task_ids, options)
        page, refusal = await self._try_encoding("json", task_ids, options)
        if page.tasks:
            self.encoding = "json"
        if page.tasks or (refusal is None and len(task_ids) == 1):
            return page
        page, second_refusal = await self._try_encoding("multipart", task_ids, options)
        if second_refusal is not None and refusal is not None:
            raise refusal  # multipart fares no better: the first answer holds
        if second_refusal is not None:
            self.encoding = "json"
        elif page.tasks or refusal is not None:
            self.encoding = "multipart"
        return page

    async def _try_encoding(
        self, encoding: Encoding, task_ids: list[str], options: RequestOptions
    ) -> tuple[TaskPage, errors.MJError | None]:
        try:
            return await self._list_as(encoding, task_ids, options), None
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _is_not_understood(error):
                raise
            return parse.TaskPage(), error

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

    def is_usable(self) -> bool:
        """Return True if several ids may be listed at once."""
        return not self.lists_one and self._clock.now() >= self._asked_from

    async def poll(self, task_ids: list[str]) -> dict[str, Task]:
        """Return the tasks that one list has, by id; a wait's schedule is its retry.

        They are none where the gateway has no list, or refuses this one for one of its ids.
        """
        self._session.counts.polls += 1
        options = RequestOptions(limit=LIST_LIMIT)
        try:
            page = await self._list(task_ids, options)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            self._failures += 1
            if not await self._is_refusal(error, task_ids[0], options):
                raise
            unknown_route = isinstance(error, errors.UnsupportedError) and error.code is None
            self._pause = math.inf if unknown_route else _LIST_PAUSE
            return {}
        found: dict[str, Task] = {}
        merge(found, task_ids, page.tasks)
        self.lists_one = self.lists_one or (page.is_single_task and len(task_ids) > 1)
        self._works = self._works or bool(found)
        self._failures, self._pause = 0, None
        return found

    async def _is_refusal(
        self, error: errors.MJError, task_id: str, options: RequestOptions
    ) -> bool:
        """Return True if the list, and not the gateway, is in the way, so that `/fetch` will do."""
        match error:
            case errors.AuthenticationError() | errors.RateLimitError():  # they are for all
                return False
            case errors.APIError() if not isinstance(error, errors.ServerError):
                return True
            case errors.UnexpectedAnswerError(reason="html" | "redirect") if not self._works:
                return True
        if self._failures <= _TOLERATED:
            return False
        try:
            await self._fetch(task_id, options)
        except errors.MJError as failure:
            return isinstance(failure, errors.TaskNotFoundError)
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


def is_html(error: errors.MJError) -> bool:
    """Return True if a page came instead of JSON: new-api answers so on unknown routes."""
    return getattr(error, "reason", None) == "html"


def _is_not_understood(error: errors.MJError) -> bool:
    if type(error) is errors.APIError:
        return error.status_code in _NOT_UNDERSTOOD
    return is_html(error)


def _is_too_large(error: errors.APIError | errors.UnexpectedAnswerError) -> bool:
    return getattr(error, "reason", None) == "too large" or error.status_code in _TOO_LARGE
