"""`mj-async probe`: what a gateway speaks, found out by reads of tasks that nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NoReturn, TypeAlias

import attrs
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors

from .._options import Connection
from ..output._exit_codes import DONE, PARTLY, code_of_end
from ..output._hints import told
from ..output._run import run, run_async, run_shown
from ..output._terminal import Terminal, say
from ..output._text import clean

SeedForm: TypeAlias = Literal["path", "multipart"]

# No gateway gives such ids: theirs begin with the time, or with a word.
_UNKNOWN = ("0000000000000000", "0000000000000001")
# Each request once, and no sleep: what does not answer now is told.
_ONCE = RetryPolicy(attempts=1, max_retry_after=0.0)


def probe(*, timeout: float = 10.0, connection: Connection = Connection()) -> NoReturn:  # noqa: B008
    """Find out what a gateway speaks, with a few reads and no submit.

    Args:
        timeout: Seconds for one request.
        connection: How the gateway is reached; what is said here is not found out.
    """
    run(lambda: Probe(connection, timeout).run())


class Probe:
    """One run of the command.

    Args:
        connection: Makes the clients.
        timeout: Seconds for one request.
    """

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._clients: list[AsyncMJClient] = []
        self._make_client(connection)  # refuses what cannot work
        self._terminal = Terminal()
        self._doing = ""
        self._rows: list[Row] = [("gateway", connection.address)]
        self._dialect = Dialect()
        self._is_complete = True

    def _make_client(self, connection: Connection) -> AsyncMJClient:
        client = connection.client(
            warn=not self._clients,
            retry=_ONCE,
            request_timeout=self._timeout,
            seed_timeout=self._timeout,
        )
        self._clients.append(client)
        return client

    @property
    def _requests(self) -> int:
        return sum(client.statistics().requests for client in self._clients)

    def draw(self, width: int, height: int) -> RenderableType:  # noqa: ARG002  # one line
        """Draw what is being found out."""
        return Text(self.speak())

    def speak(self) -> str:
        """Tell what is being found out."""
        return f"asking {self._doing}, requests so far: {self._requests}"

    def run(self) -> int:
        """Find it all out, show it, and give the exit code.

        Raises:
            OutputError: It cannot be shown.
        """
        return self._conclude(run_async(run_shown, self._terminal, self, self._find_out))

    def _conclude(self, error: Exception | None) -> int:
        if error is not None:
            say(f"{told(error, by_probe=True)} (requests made: {self._requests})")
            return code_of_end(error, ())
        self._show()
        return DONE if self._is_complete else PARTLY

    def _show(self) -> None:
        python, options = as_python(self._dialect), as_options(self._dialect)
        if self._terminal.shows_results:
            self._terminal.put_table(as_table(self._rows))
            for line in (python, options):
                self._terminal.put(line)
        else:
            for line in as_lines([*self._rows, ("dialect", python), ("options", options)]):
                self._terminal.put(line)

    async def _find_out(self) -> None:
        async with self._clients[0] as client:
            unknown = await self._find_key(client)
            await self._find_ids(client)
            self._dialect = client.statistics().dialect
        await self._find_seed()
        self._rows.append(("unknown id", unknown))
        self._rows.append(("requests", str(self._requests)))

    async def _find_key(self, client: AsyncMJClient) -> str:
        self._doing = "how the key is taken"
        unknown = None
        try:
            await client.fetch_task(_UNKNOWN[0], timeout=None)
        except errors.TaskNotFoundError as error:
            unknown = error
        self._rows.append(("key", words_of_key(client.statistics().dialect.auth)))
        return words_of_unknown(unknown)

    async def _find_ids(self, client: AsyncMJClient) -> None:
        self._doing = "how ids are read"
        failure = None
        try:
            await client.list_tasks(_UNKNOWN, timeout=None)
        except errors.MJError as error:
            failure = error
        ids = client.statistics().dialect.ids
        self._is_complete &= is_absent(failure) or (failure is None and ids != "auto")
        self._rows.append(("ids", words_of_ids(ids, failure)))

    async def _find_seed(self) -> None:
        self._doing = "how a seed is asked for"
        given = self._connection.seed_form
        forms: tuple[SeedForm, ...] = ("path", "multipart") if given == "auto" else (given,)
        for form in forms:
            failure = await self._ask_seed(form)
            if not is_absent(failure):
                break
        self._is_complete &= failure is None or is_absent(failure)
        self._rows.append(("seed", words_of_seed(form, failure)))
        if failure is None:
            self._dialect = attrs.evolve(self._dialect, seed=form)

    async def _ask_seed(self, form: SeedForm) -> errors.MJError | None:
        known = self._dialect
        connection = attrs.evolve(self._connection, auth=known.auth, ids=known.ids, seed_form=form)
        async with self._make_client(connection) as client:
            try:
                await client.image_seed(_UNKNOWN[0], timeout=None)
            except (errors.TaskNotFoundError, errors.SeedUnavailableError):
                return None  # the route is there
            except errors.MJError as error:
                return error
        return None


Row: TypeAlias = tuple[str, str]

_HEADERS = {
    "bearer": "bearer (Authorization: Bearer …)",
    "mj-api-secret": "mj-api-secret (a header of that name)",
    "raw": "raw (Authorization, with nothing before the key)",
    "none": "none is sent",
}
_FORMS = {
    "path": "path (GET /mj/task/{id}/image-seed)",
    "multipart": "multipart (GET /mj/task//image-seed, with a form)",
}
_OPTIONS = {"auth": "--auth", "ids": "--ids", "seed": "--seed-form"}


def is_absent(error: errors.MJError | None) -> bool:
    """Whether an answer says that there is no such route, where others of the gateway work."""
    if isinstance(error, errors.UnsupportedError):
        return error.code is None
    return isinstance(error, errors.UnexpectedAnswerError) and error.reason == "html"


def words_of_key(auth: str) -> str:
    """Say how the key is taken."""
    return _HEADERS.get(auth, auth)


def words_of_ids(ids: str, error: errors.MJError | None) -> str:
    """Say how a list of ids is sent."""
    if error is not None:
        return "this gateway has no list" if is_absent(error) else _not_found_out(error)
    if ids == "auto":
        return "not found out: the answer is empty either way; next: mj-async list ID, with an id"
    return ids


def words_of_seed(seed: str, error: errors.MJError | None) -> str:
    """Say how a seed is asked for."""
    if error is None:
        return _FORMS[seed]
    return "this gateway has no image-seed" if is_absent(error) else _not_found_out(error)


def _not_found_out(error: errors.MJError) -> str:
    return f"not found out: {told(error, by_probe=True)}"


def words_of_unknown(error: errors.TaskNotFoundError | None) -> str:
    """Say how the gateway answers for an id that it does not know."""
    if error is None:
        return "a task, which is none of yours"
    code = "" if error.code in (None, "") else f", code {error.code}"
    said = f": {error.description}" if error.description else ""
    empty = "" if code or said else ", an empty body"
    return f"HTTP {error.status_code}{code}{said}{empty}"


def as_python(dialect: Dialect) -> str:
    """Give the dialect as it is written in Python, without what is found out anyway."""
    arguments = ", ".join(f'{name}="{value}"' for name, value in _known(dialect))
    return f"Dialect({arguments})"


def as_options(dialect: Dialect) -> str:
    """Give it as options of the command line."""
    return " ".join(f"{_OPTIONS[name]} {value}" for name, value in _known(dialect))


def _known(dialect: Dialect) -> list[tuple[str, Any]]:
    values = [(name, getattr(dialect, name)) for name in _OPTIONS]
    return [(name, value) for name, value in values if value != "auto"]


def as_lines(rows: Sequence[Row]) -> list[str]:
    """Give a line for each row."""
    return [f"{name:<10} {clean(words)}" for name, words in rows]


def as_table(rows: Sequence[Row]) -> Table:
    """Give them as a table for people; what is too long is folded and not cut."""
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in rows:
        table.add_row(name, clean(words))
    return table
