"""`mj-async probe`: what a gateway speaks, found out by reads of tasks that nobody has."""

from __future__ import annotations

from typing import Literal, NoReturn, TypeAlias

import attrs
from rich.console import RenderableType
from rich.text import Text

from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors

from .._options import Connection
from ..output._advice import told
from ..output._exit import DONE, PARTLY, code_of_end, run
from ..output._interrupt import run_async
from ..output._terminal import Terminal, say
from ._probe_words import (
    Row,
    as_lines,
    as_options,
    as_python,
    as_table,
    is_absent,
    words_of_ids,
    words_of_key,
    words_of_seed,
    words_of_unknown,
)
from ._report import run_shown

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
