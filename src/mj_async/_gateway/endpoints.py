"""The three calls: ask, exchange, answer; and what was found out about the gateway's dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from .. import errors
from .._config import Dialect
from .._http.instrumentation import Attempt
from .._http.retry import SEED_PAUSE
from .._http.session import RequestOptions
from .._models import ImageSeed, Task, TaskList
from .._protocol import parse, requests
from .auth import Authenticator
from .lists import LIST_LIMIT, Lists, is_html, merge

if TYPE_CHECKING:
    from .._clock import Clock
    from .._config import Settings
    from .._http.session import Session
    from .._protocol.response import APIResponse

T = TypeVar("T")

# Upstream documents 500 ids a call at most; 100 already saves 97 % of the cost.
BATCH_SIZE = 100
_LISTS_AT_ONCE = 4
# A task has some 2 kB; masks and previews may be in it.
_TASK_LIMIT = 2**20


@attrs.define(eq=False)
class Gateway:
    """One gateway, as a client has come to know it.

    Args:
        settings: The client's.
        session: Sends.
        clock: The client's time.
    """

    _settings: Settings
    _session: Session
    _clock: Clock
    lists: Lists = attrs.field(init=False)
    _authenticator: Authenticator = attrs.field(init=False)
    _seed_route: requests.SeedRoute | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        dialect = self._settings.dialect
        scheme = None if dialect.auth == "auto" else dialect.auth
        self._authenticator = Authenticator(self._session, scheme)
        encoding = None if dialect.ids == "auto" else dialect.ids
        self.lists = Lists(self._authenticator, self._clock, encoding)
        self._seed_route = None if dialect.seed == "auto" else dialect.seed

    @property
    def had_good_answer(self) -> bool:
        """Whether this client has ever had one, so that base_url is right."""
        return self._authenticator.had_good_answer

    @property
    def dialect(self) -> Dialect:
        """The client's, with what was found out in place of "auto"."""
        return Dialect(
            auth=self._authenticator.scheme or "auto",
            ids=self.lists.encoding or "auto",
            seed=self._seed_route or "auto",
        )

    # --- fetch ----------------------------------------------------------------------------

    async def poll(self, task_id: str) -> Task:
        """Ask once for a task; a wait's schedule is its retry, and its deadline cuts it."""
        options = RequestOptions(limit=_TASK_LIMIT, patient=True, attempt=Attempt(is_poll=True))
        task = await self._fetch(task_id, options)
        self.lists.confirm_refusal()
        return task

    async def _fetch(self, task_id: str, options: RequestOptions) -> Task:
        return await self._authenticator.attempt(
            requests.fetch(task_id), parse.parse_task_response, options
        )

    async def fetch_task(self, task_id: str, timeout: float | None) -> Task:
        """Ask for a task, with retries."""
        with _about(task_id):
            return await self._session.call(
                f"fetch_task {task_id}",
                lambda held_until, attempt: self._fetch(
                    task_id,
                    RequestOptions(limit=_TASK_LIMIT, held_until=held_until, attempt=attempt),
                ),
                timeout=timeout,
            )

    # --- list -----------------------------------------------------------------------------

    async def list_tasks(self, task_ids: list[str], timeout: float | None) -> TaskList:
        """List tasks, `BATCH_SIZE` ids a call, with a timeout for each call."""
        found: dict[str, Task] = {}
        asked: set[str] = set()

        async def list_batch(batch: list[str]) -> None:
            def send(held_until: float, attempt: Attempt) -> Awaitable[list[Task]]:
                options = RequestOptions(limit=LIST_LIMIT, held_until=held_until, attempt=attempt)
                return self.lists.list_batch(batch, options)

            name = f"list_tasks of {len(batch)}"
            merge(found, batch, await self._session.call(name, send, timeout=timeout))
            asked.update(batch)

        try:
            await each(_batches(task_ids), list_batch, at_once=_LISTS_AT_ONCE)
        except errors.MJError as error:
            error.partial = _in_order([one for one in task_ids if one in asked], found)
            raise
        return _in_order(task_ids, found)

    # --- image-seed -----------------------------------------------------------------------

    async def image_seed(self, task_id: str, timeout: float | None) -> ImageSeed:
        """Ask for a seed, with retries that leave a slow gateway its time."""
        with _about(task_id):
            return await self._session.call(
                f"image_seed {task_id}",
                lambda held_until, attempt: self._ask_seed(
                    task_id,
                    RequestOptions(
                        limit=_TASK_LIMIT, slow=True, held_until=held_until, attempt=attempt
                    ),
                ),
                timeout=timeout,
                pause=SEED_PAUSE,
            )

    async def _ask_seed(self, task_id: str, options: RequestOptions) -> ImageSeed:
        if self._seed_route is not None:
            return await self._ask_seed_by(self._seed_route, task_id, options)
        try:
            seed = await self._ask_seed_by("path", task_id, options)
        except (errors.UnsupportedError, errors.UnexpectedAnswerError) as error:
            if not _route_is_missing(error):
                raise
            refusal = error
        except errors.SeedUnavailableError:
            self._seed_route = "path"
            raise
        else:
            self._seed_route = "path"
            return seed
        return await self._ask_seed_as_documented(task_id, refusal, options)

    async def _ask_seed_as_documented(
        self, task_id: str, refusal: errors.MJError, options: RequestOptions
    ) -> ImageSeed:
        try:
            seed = await self._ask_seed_by("multipart", task_id, options)
        except (errors.UnsupportedError, errors.UnexpectedAnswerError) as error:
            if not _route_is_missing(error):
                raise
            if self.had_good_answer:  # so base_url is right, and there is no such route
                self._seed_route = "path"
            raise refusal from None
        self._seed_route = "multipart"
        return seed

    async def _ask_seed_by(
        self, route: requests.SeedRoute, task_id: str, options: RequestOptions
    ) -> ImageSeed:
        def read(response: APIResponse) -> ImageSeed:
            return parse.parse_seed_response(
                response, "image-seed" if route == "path" else "documented"
            )

        return await self._authenticator.attempt(requests.image_seed(task_id, route), read, options)

    # --- once, however long the gate is held: for runs of seeds -----------------------------

    async def fetch_once(self, task_id: str) -> Task:
        """Ask for a task."""
        task = await self._fetch(task_id, RequestOptions(limit=_TASK_LIMIT, patient=True))
        self.lists.confirm_refusal()
        return task

    @property
    def list_size(self) -> int:
        """How many ids a list call may have."""
        return 1 if self.lists.lists_one else BATCH_SIZE

    async def list_once(self, task_ids: list[str]) -> TaskList:
        """List up to `list_size` ids."""
        found: dict[str, Task] = {}
        options = RequestOptions(limit=LIST_LIMIT, patient=True)
        merge(found, task_ids, await self.lists.list_batch(task_ids, options))
        return _in_order(task_ids, found)

    async def seed_once(self, task_id: str) -> ImageSeed:
        """Ask for a seed."""
        options = RequestOptions(limit=_TASK_LIMIT, slow=True, patient=True)
        with _about(task_id):
            return await self._ask_seed(task_id, options)

    async def seeds_once(self, task_ids: list[str]) -> list[ImageSeed]:
        """Ask for several seeds by the documented form, which is answered by tasks."""
        options = RequestOptions(limit=LIST_LIMIT, slow=True, patient=True)
        request = requests.image_seeds(task_ids)
        page = await self._authenticator.attempt(request, parse.parse_list_response, options)
        return [ImageSeed(task.id, task.seed, "documented", task) for task in page.tasks]


@contextmanager
def _about(task_id: str) -> Iterator[None]:
    """Name the task in errors that do not, such as a call's own timeout."""
    try:
        yield
    except errors.MJError as error:
        error.task_id = error.task_id or task_id
        raise


def _route_is_missing(error: errors.MJError) -> bool:
    """Whether the route does not exist; with a code, some upstream answered on it."""
    if isinstance(error, errors.UnsupportedError):
        return error.code is None
    return is_html(error)


def _batches(task_ids: list[str]) -> Iterable[list[str]]:
    return (task_ids[at : at + BATCH_SIZE] for at in range(0, len(task_ids), BATCH_SIZE))


def _in_order(task_ids: list[str], found: dict[str, Task]) -> TaskList:
    return TaskList(
        [found[task_id] for task_id in task_ids if task_id in found],
        [task_id for task_id in task_ids if task_id not in found],
    )


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Do the work for each item, so many at once; the first error cuts the others off.

    Raises:
        Exception: That error, by itself and not in a group.
    """
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
