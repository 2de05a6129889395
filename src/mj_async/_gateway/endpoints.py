"""The three calls of one gateway, and which form of image-seed it has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from .. import errors
from .._config import Dialect
from .._http.session import RequestOptions
from .._models import ImageSeed, SeedSource, Task, TaskList
from .._protocol import parse, requests
from .lists import LIST_LIMIT, Lists, is_html, merge

if TYPE_CHECKING:
    from .._clock import Clock
    from .._http.session import Session
    from .auth import Authenticator

T = TypeVar("T")

# Upstream documents 500 ids a call at most; 100 already saves 97 % of the cost.
BATCH_SIZE = 100
_LISTS_AT_ONCE = 4
# A task has some 2 kB; masks and previews may be in it.
_TASK_LIMIT = 2**20
_SEED_ROUTES: tuple[requests.SeedRoute, ...] = ("path", "multipart")


class Gateway:
    """One gateway, and what this client has found out about it."""

    def __init__(
        self, dialect: Dialect, session: Session, authenticator: Authenticator, clock: Clock
    ) -> None:
        self._session = session
        self._authenticator = authenticator
        encoding = None if dialect.ids == "auto" else dialect.ids
        self.lists: Lists = Lists(session, clock, encoding)
        self._seed_route = None if dialect.seed == "auto" else dialect.seed

    @property
    def had_good_answer(self) -> bool:
        """True if this client has ever had a good answer, so that base_url is right."""
        return self._authenticator.had_good_answer

    @property
    def dialect(self) -> Dialect:
        """The client's dialect, with what was found out in place of "auto"."""
        return Dialect(
            auth=self._authenticator.scheme or "auto",
            ids=self.lists.encoding or "auto",
            seed=self._seed_route or "auto",
        )

    # --- calls, whose requests are sent again after a failure -------------------------------

    async def fetch_task(self, task_id: str, timeout: float | None) -> Task:
        """Return a task."""
        with self._session.call(timeout) as call:
            return await self._session.request(
                requests.fetch(task_id),
                parse.parse_task_response,
                RequestOptions(limit=_TASK_LIMIT, call=call),
            )
        raise self._session.error_of(call, task_id)

    async def list_tasks(self, task_ids: list[str], timeout: float | None) -> TaskList:
        """Return the tasks, from lists of `BATCH_SIZE` ids with a timeout for each."""
        found: dict[str, Task] = {}
        asked: set[str] = set()

        async def list_batch(batch: list[str]) -> None:
            with self._session.call(timeout) as call:
                options = RequestOptions(limit=LIST_LIMIT, call=call)
                merge(found, batch, await self.lists.list_batch(batch, options))
                return asked.update(batch)
            raise self._session.error_of(call)

        batches = [task_ids[at : at + BATCH_SIZE] for at in range(0, len(task_ids), BATCH_SIZE)]
        try:
            await each(batches, list_batch, at_once=_LISTS_AT_ONCE)
        except errors.MJError as error:
            error.partial = _in_order([one for one in task_ids if one in asked], found)
            raise
        return _in_order(task_ids, found)

    async def image_seed(self, task_id: str, timeout: float | None) -> ImageSeed:
        """Return a seed; retries leave a slow gateway its time."""
        with self._session.call(timeout) as call:
            options = RequestOptions(limit=_TASK_LIMIT, is_seed=True, call=call)
            return await self._request_seed(task_id, options)
        raise self._session.error_of(call, task_id)

    # --- requests that are sent once, however long the gate is held: for waits and bulk lookups --

    async def poll(self, task_id: str) -> Task:
        """Return a task to a wait, whose schedule is its retry."""
        self._session.counts.polls += 1
        return await self.fetch_once(task_id)

    async def fetch_once(self, task_id: str) -> Task:
        """Return a task."""
        task = await self._session.request(
            requests.fetch(task_id), parse.parse_task_response, RequestOptions(limit=_TASK_LIMIT)
        )
        self.lists.confirm_refusal()
        return task

    @property
    def list_size(self) -> int:
        """The most ids that one list may have."""
        return 1 if self.lists.lists_one else BATCH_SIZE

    async def list_once(self, task_ids: list[str]) -> TaskList:
        """Return the tasks of up to `list_size` ids."""
        found: dict[str, Task] = {}
        options = RequestOptions(limit=LIST_LIMIT)
        merge(found, task_ids, await self.lists.list_batch(task_ids, options))
        return _in_order(task_ids, found)

    async def seed_once(self, task_id: str) -> ImageSeed:
        """Return a seed."""
        return await self._request_seed(task_id, RequestOptions(limit=_TASK_LIMIT, is_seed=True))

    async def seeds_once(self, task_ids: list[str]) -> list[ImageSeed]:
        """Return several seeds, by the documented form, which is answered by tasks."""
        page = await self._session.request(
            requests.image_seeds(task_ids),
            parse.parse_list_response,
            RequestOptions(limit=LIST_LIMIT, is_seed=True),
        )
        return [ImageSeed(task.id, task.seed, "documented", task) for task in page.tasks]

    # --- the form of image-seed -------------------------------------------------------------

    async def _request_seed(self, task_id: str, options: RequestOptions) -> ImageSeed:
        """Request a seed by path or, where that route does not exist, by the documented form."""
        if self._seed_route is not None:
            return await self._request_seed_by(self._seed_route, task_id, options)
        refusals: list[errors.MJError] = []
        for route in _SEED_ROUTES:
            try:
                return await self._request_seed_by(route, task_id, options)
            except (errors.UnsupportedError, errors.UnexpectedAnswerError) as error:
                if not _route_is_missing(error):
                    raise
                refusals.append(error)
        if self.had_good_answer:  # so base_url is right, and there is no such route
            self._seed_route = "path"
        raise refusals[0]

    async def _request_seed_by(
        self, route: requests.SeedRoute, task_id: str, options: RequestOptions
    ) -> ImageSeed:
        source: SeedSource = "image-seed" if route == "path" else "documented"
        read = partial(parse.parse_seed_response, source=source)
        try:
            seed = await self._session.request(requests.image_seed(task_id, route), read, options)
        except errors.SeedUnavailableError:
            self._seed_route = route
            raise
        self._seed_route = route
        return seed


def _route_is_missing(error: errors.MJError) -> bool:
    """Return True if the route does not exist; with a code, some upstream answered on it."""
    if isinstance(error, errors.UnsupportedError):
        return error.code is None
    return is_html(error)


def _in_order(task_ids: list[str], found: dict[str, Task]) -> TaskList:
    return TaskList(
        [found[task_id] for task_id in task_ids if task_id in found],
        [task_id for task_id in task_ids if task_id not in found],
    )


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for each item, so many at once; raise the first error, and cut the others off."""
    remaining = iter(items)
    failures: list[Exception] = []

    async def take_turns() -> None:
        for item in remaining:
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001  # raised below
                failures.append(error)
                group.cancel_scope.cancel()
                return

    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(take_turns)
    if failures:
        raise failures[0]
