"""The three calls: ask, exchange, answer; and what was found out about the gateway's dialect."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from . import _answer, _ask, errors
from ._bulk import each
from ._exchange import Turn
from ._models import ImageSeed, Task, TaskList
from ._retry import SEED_PAUSE
from ._scheme import Signer
from ._stages import is_further

if TYPE_CHECKING:
    from ._answer import Listing
    from ._ask import Encoding
    from ._clock import Clock
    from ._exchange import Exchange
    from ._reply import Reply
    from ._settings import Settings

# Upstream documents 500 ids a call at most; 100 already saves 97 % of the cost.
BATCH_SIZE = 100
_LISTS_AT_ONCE = 4
# A task has some 2 kB and a list of 100 some 200 kB; masks and previews may be in them.
_TASK_LIMIT = 2**20
_LIST_LIMIT = 16 * 2**20

_NOT_UNDERSTOOD = frozenset({400, 415, 422})
_FOR_ALL = (errors.AuthenticationError, errors.RateLimitError)
_TOO_LARGE = frozenset({413, 414})
# So many failures in a row are taken for trouble that passes.
_TOLERATED = 3
# When to try a list again that was refused; an unknown route stays unknown.
_LIST_PAUSE = 60.0


@attrs.define(eq=False)
class Gateway:
    """One gateway, as a client has come to know it.

    Args:
        settings: The client's.
        exchange: Sends.
        clock: The client's time.
    """

    _settings: Settings
    _exchange: Exchange
    _clock: Clock
    _signer: Signer = attrs.field(init=False)
    _encoding: Encoding | None = attrs.field(default=None, init=False)
    _seed_route: _ask.SeedRoute | None = attrs.field(default=None, init=False)
    _lists_one: bool = attrs.field(default=False, init=False)
    _has_listed: bool = attrs.field(default=False, init=False)
    _list_pause: float | None = attrs.field(default=None, init=False)
    _list_from: float = attrs.field(default=-math.inf, init=False)
    _list_failures: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        dialect = self._settings.dialect
        scheme = None if dialect.auth == "auto" else dialect.auth
        self._signer = Signer(self._exchange, scheme)
        self._encoding = None if dialect.ids == "auto" else dialect.ids
        self._seed_route = None if dialect.seed == "auto" else dialect.seed

    @property
    def had_good_answer(self) -> bool:
        """Whether this client has ever had one, so that base_url is right."""
        return self._signer.had_good_answer

    # --- fetch ----------------------------------------------------------------------------

    async def poll(self, task_id: str) -> Task:
        """Ask once for a task; a wait's schedule is its retry, and its deadline cuts it."""
        task = await self._fetch(task_id, Turn(limit=_TASK_LIMIT, patient=True))
        # Only now: a page instead of a list may have come from a gateway under maintenance.
        if self._list_pause is not None and not self._has_listed:
            self._list_from = self._clock.now() + self._list_pause
            self._list_pause = None
        return task

    async def _fetch(self, task_id: str, turn: Turn) -> Task:
        return await self._signer.attempt(_ask.fetch(task_id), _answer.read_task, turn)

    async def fetch_task(self, task_id: str, timeout: float | None) -> Task:
        """Ask for a task, with retries."""
        with _about(task_id):
            return await self._exchange.call(
                lambda held_until: self._fetch(
                    task_id, Turn(limit=_TASK_LIMIT, held_until=held_until)
                ),
                timeout=timeout,
            )

    # --- list -----------------------------------------------------------------------------

    async def list_tasks(self, task_ids: list[str], timeout: float | None) -> TaskList:
        """List tasks, `BATCH_SIZE` ids a call, with a timeout for each call."""
        found: dict[str, Task] = {}
        asked: set[str] = set()

        async def list_batch(batch: list[str]) -> None:
            def attempt(held_until: float) -> Awaitable[list[Task]]:
                return self._list(batch, Turn(limit=_LIST_LIMIT, held_until=held_until))

            _merge(found, batch, await self._exchange.call(attempt, timeout=timeout))
            asked.update(batch)

        try:
            await each(_batches(task_ids), list_batch, at_once=_LISTS_AT_ONCE)
        except errors.MJError as error:
            error.partial = _in_order([one for one in task_ids if one in asked], found)
            raise
        return _in_order(task_ids, found)

    @property
    def has_list(self) -> bool:
        """Whether it is worth asking a list for several ids."""
        return not self._lists_one and self._clock.now() >= self._list_from

    async def poll_list(self, task_ids: list[str]) -> list[Task]:
        """Ask once for several tasks; a wait's schedule is its retry.

        Returns:
            What was found. A gateway without a list finds nothing, and so does one that refuses
            this list: one id in it may be to blame, and is none of the others' business.

        Raises:
            MJError: The list has failed, and may work the next time.
        """
        turn = Turn(limit=_LIST_LIMIT, patient=True)
        try:
            listing = await self._list_part(task_ids, turn)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            self._list_failures += 1
            if not await self._is_refusal(error, task_ids[0], turn):
                raise
            self._list_pause = _pause_after(error)
            return []
        found: dict[str, Task] = {}
        _merge(found, task_ids, listing.tasks)
        self._lists_one = self._lists_one or (listing.bare and len(task_ids) > 1)
        self._has_listed = self._has_listed or bool(found)
        self._list_failures, self._list_pause = 0, None
        return list(found.values())

    async def _is_refusal(self, error: errors.MJError, task_id: str, turn: Turn) -> bool:
        """Whether the list, and not the gateway, is in the way, so that `/fetch` will do."""
        if isinstance(error, _FOR_ALL):
            return False
        if isinstance(error, errors.APIError) and not isinstance(error, errors.ServerError):
            return True
        if _is_elsewhere(error) and not self._has_listed:
            return True
        return self._list_failures > _TOLERATED and await self._knows(task_id, turn)

    async def _knows(self, task_id: str, turn: Turn) -> bool:
        try:
            await self._fetch(task_id, turn)
        except errors.MJError as error:
            return isinstance(error, errors.TaskNotFoundError)
        return True

    async def _list(self, task_ids: list[str], turn: Turn) -> list[Task]:
        """List one batch, also where a gateway answers one id a call."""
        if self._lists_one and len(task_ids) > 1:
            return await self._list_singly(task_ids, turn)
        listing = await self._list_part(task_ids, turn)
        if not listing.bare:
            await self._check_answer(task_ids, listing.tasks, turn)
            return list(listing.tasks)
        return [*listing.tasks, *await self._list_rest(task_ids, listing.tasks[0].id, turn)]

    async def _list_part(self, task_ids: list[str], turn: Turn) -> Listing:
        """List some; where the answer is too large, in halves."""
        try:
            return await self._list_in_known_encoding(task_ids, turn)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _is_too_large(error) or len(task_ids) == 1:
                raise
        middle = len(task_ids) // 2
        halves = task_ids[:middle], task_ids[middle:]
        parts = [await self._list_part(half, turn) for half in halves]
        return _answer.Listing(tuple(task for part in parts for task in part.tasks))

    async def _list_rest(self, task_ids: list[str], answered: str, turn: Turn) -> list[Task]:
        """Ask singly for the others where a gateway answers one task, as is documented."""
        others = [task_id for task_id in task_ids if task_id != answered]
        if len(others) in (0, len(task_ids)):
            return []
        self._lists_one = True
        return [task for one in others for task in await self._list([one], turn)]

    async def _list_singly(self, task_ids: list[str], turn: Turn) -> list[Task]:
        tasks = [task for one in task_ids for task in await self._list([one], turn)]
        await self._check_answer(task_ids, tasks, turn)
        return tasks

    async def _check_answer(self, task_ids: list[str], tasks: Sequence[Task], turn: Turn) -> None:
        """Refuse an answer that lies: new-api gives an empty one when its database fails."""
        answered = any(task.id in task_ids for task in tasks)
        if answered or len(task_ids) == 1:
            return
        try:
            await self._fetch(task_ids[0], turn)
        except errors.TaskNotFoundError:
            return
        raise errors.ServerError(
            description=f"the list has none of the ids, and yet the gateway knows {task_ids[0]}"
        )

    async def _list_in_known_encoding(self, task_ids: list[str], turn: Turn) -> Listing:
        if self._encoding is not None:
            return await self._list_as(self._encoding, task_ids, turn)
        refusal: errors.MJError | None = None
        try:
            listing = await self._list_as("json", task_ids, turn)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _not_understood(error):
                raise
            listing, refusal = _answer.Listing(), error
        if listing.tasks or (refusal is None and len(task_ids) == 1):
            self._encoding = "json" if listing.tasks else None
            return listing
        return await self._list_as_multipart(task_ids, refusal, turn)

    async def _list_as_multipart(
        self, task_ids: list[str], refusal: errors.MJError | None, turn: Turn
    ) -> Listing:
        """Try the documented encoding once; if it fares no better, the first answer holds."""
        try:
            listing = await self._list_as("multipart", task_ids, turn)
        except (errors.APIError, errors.UnexpectedAnswerError) as error:
            if not _not_understood(error):
                raise
            if refusal is not None:
                raise refusal from None
            self._encoding = "json"
            return _answer.Listing()
        if listing.tasks or refusal is not None:
            self._encoding = "multipart"
        return listing

    async def _list_as(self, encoding: Encoding, task_ids: list[str], turn: Turn) -> Listing:
        ask = _ask.list_tasks(task_ids, encoding)
        return await self._signer.attempt(ask, _answer.read_tasks, turn)

    # --- image-seed -----------------------------------------------------------------------

    async def image_seed(self, task_id: str, timeout: float | None) -> ImageSeed:
        """Ask for a seed, with retries that leave a slow gateway its time."""
        with _about(task_id):
            return await self._exchange.call(
                lambda held_until: self._ask_seed(
                    task_id, Turn(limit=_TASK_LIMIT, slow=True, held_until=held_until)
                ),
                timeout=timeout,
                pause=SEED_PAUSE,
            )

    async def _ask_seed(self, task_id: str, turn: Turn) -> ImageSeed:
        if self._seed_route is not None:
            return await self._ask_seed_by(self._seed_route, task_id, turn)
        try:
            seed = await self._ask_seed_by("path", task_id, turn)
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
        return await self._ask_seed_as_documented(task_id, refusal, turn)

    async def _ask_seed_as_documented(
        self, task_id: str, refusal: errors.MJError, turn: Turn
    ) -> ImageSeed:
        try:
            seed = await self._ask_seed_by("multipart", task_id, turn)
        except (errors.UnsupportedError, errors.UnexpectedAnswerError) as error:
            if not _route_is_missing(error):
                raise
            if self.had_good_answer:  # so base_url is right, and there is no such route
                self._seed_route = "path"
            raise refusal from None
        self._seed_route = "multipart"
        return seed

    async def _ask_seed_by(self, route: _ask.SeedRoute, task_id: str, turn: Turn) -> ImageSeed:
        def read(reply: Reply) -> ImageSeed:
            return _answer.read_seed(reply, "image-seed" if route == "path" else "documented")

        return await self._signer.attempt(_ask.image_seed(task_id, route), read, turn)

    # --- once, however long the gate is held: for runs of seeds -----------------------------

    @property
    def list_size(self) -> int:
        """How many ids a list call may have."""
        return 1 if self._lists_one else BATCH_SIZE

    async def list_once(self, task_ids: list[str]) -> TaskList:
        """List up to `list_size` ids."""
        found: dict[str, Task] = {}
        turn = Turn(limit=_LIST_LIMIT, patient=True)
        _merge(found, task_ids, await self._list(task_ids, turn))
        return _in_order(task_ids, found)

    async def seed_once(self, task_id: str) -> ImageSeed:
        """Ask for a seed."""
        turn = Turn(limit=_TASK_LIMIT, slow=True, patient=True)
        with _about(task_id):
            return await self._ask_seed(task_id, turn)

    async def seeds_once(self, task_ids: list[str]) -> list[ImageSeed]:
        """Ask for several seeds by the documented form, which is answered by tasks."""
        turn = Turn(limit=_LIST_LIMIT, slow=True, patient=True)
        ask = _ask.image_seeds(task_ids)
        listing = await self._signer.attempt(ask, _answer.read_tasks, turn)
        return [ImageSeed(task.id, task.seed, "documented", task) for task in listing.tasks]


@contextmanager
def _about(task_id: str) -> Iterator[None]:
    """Name the task in errors that do not, such as a call's own timeout."""
    try:
        yield
    except errors.MJError as error:
        error.task_id = error.task_id or task_id
        raise


def _not_understood(error: errors.MJError) -> bool:
    """Whether an answer says that the encoding of the ids was not understood."""
    if type(error) is errors.APIError:
        return error.status_code in _NOT_UNDERSTOOD
    return _is_html(error)


def _route_is_missing(error: errors.MJError) -> bool:
    """Whether the route does not exist; with a code, some upstream answered on it."""
    if isinstance(error, errors.UnsupportedError):
        return error.code is None
    return _is_html(error)


def _is_too_large(error: errors.MJError) -> bool:
    reason, status = getattr(error, "reason", None), getattr(error, "status_code", None)
    return reason == "too large" or status in _TOO_LARGE


def _pause_after(error: errors.MJError) -> float:
    unknown_route = isinstance(error, errors.UnsupportedError) and error.code is None
    return math.inf if unknown_route else _LIST_PAUSE


def _is_elsewhere(error: errors.MJError) -> bool:
    """Whether the answer is that of an unknown route, or of a page shown for maintenance."""
    redirected = isinstance(error, errors.UnexpectedAnswerError) and error.reason == "redirect"
    return redirected or _is_html(error)


def _is_html(error: errors.MJError) -> bool:
    return isinstance(error, errors.UnexpectedAnswerError) and error.reason == "html"


def _batches(task_ids: list[str]) -> Iterable[list[str]]:
    return (task_ids[at : at + BATCH_SIZE] for at in range(0, len(task_ids), BATCH_SIZE))


def _merge(found: dict[str, Task], batch: list[str], tasks: Sequence[Task]) -> None:
    """Keep the tasks that were asked for; of two with one id, the one that is further on.

    new-api has two rows for an id that was submitted twice.
    """
    wanted = set(batch)
    for task in tasks:
        if task.id in wanted and is_further(task, found.get(task.id)):
            found[task.id] = task


def _in_order(task_ids: list[str], found: dict[str, Task]) -> TaskList:
    return TaskList(
        [found[task_id] for task_id in task_ids if task_id in found],
        [task_id for task_id in task_ids if task_id not in found],
    )
