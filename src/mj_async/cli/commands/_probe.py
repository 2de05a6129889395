"""`mj-async probe`: find the dialect of a gateway by reading tasks that do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NoReturn, TypeAlias

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors

from .._options import GatewayOptions
from ..output._exit_codes import DONE, INCOMPLETE, exit_code_of_run
from ..output._hints import format_error
from ..output._run import run_and_exit, run_async, run_with_progress
from ..output._terminal import Terminal, echo_err
from ..output._text import sanitize

SeedForm: TypeAlias = Literal["path", "multipart"]
Row: TypeAlias = tuple[str, str]
_KEY_FORMS = {
    "bearer": "bearer (Authorization: Bearer …)",
    "mj-api-secret": "mj-api-secret (a header of that name)",
    "raw": "raw (Authorization, with nothing before the key)",
    "none": "none is sent",
}
_SEED_FORMS = {
    "path": "path (GET /mj/task/{id}/image-seed)",
    "multipart": "multipart (GET /mj/task//image-seed, with a form)",
}
_OPTIONS = {"auth": "--auth", "ids": "--ids", "seed": "--seed-form"}

# No gateway makes such ids: theirs begin with the time or with a word.
_UNKNOWN_IDS = ("0000000000000000", "0000000000000001")
# No retries: probe reports a request that fails.
_ONCE = RetryPolicy(attempts=1, max_retry_after=0.0)


def probe(*, timeout: float = 10.0, gateway: GatewayOptions = GatewayOptions()) -> NoReturn:  # noqa: B008
    """Find the dialect of a gateway. It only reads, with five to eight requests.

    Args:
        timeout: Seconds for one request.
        gateway: The gateway. Its dialect options are used as they are.
    """
    run_and_exit(lambda: Probe(gateway, timeout).run())


class Probe:
    """One run of `mj-async probe`."""

    def __init__(self, gateway: GatewayOptions, timeout: float) -> None:
        self._gateway = gateway
        self._timeout = timeout
        self._clients: list[AsyncMJClient] = []
        self._make_client(gateway)  # raises if an option is invalid
        self._terminal = Terminal()
        self._current_step = ""
        self._rows: list[Row] = [("gateway", gateway.address)]
        self._dialect = Dialect()
        self._is_complete = True

    def _make_client(self, gateway: GatewayOptions) -> AsyncMJClient:
        client = gateway.make_client(
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

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        """Render the question that is being asked."""
        yield Text(self.summary())

    def summary(self) -> str:
        """Return the question that is being asked, as one line."""
        return f"asking {self._current_step}, requests so far: {self._requests}"

    def run(self) -> int:
        """Find the dialect, print it, and return the exit code.

        Raises:
            OutputError: stdout is closed or full.
        """
        return self._finish(run_async(run_with_progress, self._terminal, self, self._find_dialect))

    def _finish(self, error: Exception | None) -> int:
        if error is not None:
            echo_err(f"{format_error(error, by_probe=True)} (requests made: {self._requests})")
            return exit_code_of_run(error, ())
        self._print_rows()
        return DONE if self._is_complete else INCOMPLETE

    def _print_rows(self) -> None:
        python, options = dialect_as_python(self._dialect), dialect_as_options(self._dialect)
        if self._terminal.stdout_is_terminal:
            self._terminal.print_table(rows_to_table(self._rows))
            for line in (python, options):
                self._terminal.print_line(line)
        else:
            for line in rows_to_lines([*self._rows, ("dialect", python), ("options", options)]):
                self._terminal.print_line(line)

    async def _find_dialect(self) -> None:
        async with self._clients[0] as client:
            unknown = await self._find_key(client)
            await self._find_ids(client)
            self._dialect = client.statistics().dialect
        await self._find_seed()
        self._rows.append(("unknown id", unknown))
        self._rows.append(("requests", str(self._requests)))

    async def _find_key(self, client: AsyncMJClient) -> str:
        self._current_step = "how to send the key"
        unknown = None
        try:
            await client.fetch_task(_UNKNOWN_IDS[0], timeout=None)
        except errors.TaskNotFoundError as error:
            unknown = error
        self._rows.append(("key", describe_key(client.statistics().dialect.auth)))
        return describe_unknown_id(unknown)

    async def _find_ids(self, client: AsyncMJClient) -> None:
        self._current_step = "how to send ids"
        failure = None
        try:
            await client.list_tasks(_UNKNOWN_IDS, timeout=None)
        except errors.MJError as error:
            failure = error
        ids = client.statistics().dialect.ids
        self._is_complete &= route_is_missing(failure) or (failure is None and ids != "auto")
        self._rows.append(("ids", describe_ids(ids, failure)))

    async def _find_seed(self) -> None:
        self._current_step = "how to request a seed"
        given = self._gateway.seed_form
        forms: tuple[SeedForm, ...] = ("path", "multipart") if given == "auto" else (given,)
        for form in forms:
            failure = await self._try_seed_form(form)
            if not route_is_missing(failure):
                break
        self._is_complete &= failure is None or route_is_missing(failure)
        self._rows.append(("seed", describe_seed(form, failure)))
        if failure is None:
            self._dialect = attrs.evolve(self._dialect, seed=form)

    async def _try_seed_form(self, form: SeedForm) -> errors.MJError | None:
        known = self._dialect
        gateway = attrs.evolve(self._gateway, auth=known.auth, ids=known.ids, seed_form=form)
        async with self._make_client(gateway) as client:
            try:
                await client.image_seed(_UNKNOWN_IDS[0], timeout=None)
            except (errors.TaskNotFoundError, errors.SeedUnavailableError):
                return None  # the route is there
            except errors.MJError as error:
                return error
        return None


def route_is_missing(error: errors.MJError | None) -> bool:
    """PURE: return True if the gateway has no such route, although its other routes work."""
    if isinstance(error, errors.UnsupportedError):
        return error.code is None
    return isinstance(error, errors.UnexpectedAnswerError) and error.reason == "html"


def describe_key(auth: str) -> str:
    return _KEY_FORMS.get(auth, auth)


def describe_ids(ids: str, error: errors.MJError | None) -> str:
    if error is not None:
        return "this gateway has no list" if route_is_missing(error) else _unknown_because(error)
    if ids == "auto":
        return (
            "not found: the answer is empty in both forms; next: mj-async list ID, with a real id"
        )
    return ids


def describe_seed(seed: str, error: errors.MJError | None) -> str:
    if error is None:
        return _SEED_FORMS[seed]
    return "this gateway has no image-seed" if route_is_missing(error) else _unknown_because(error)


def _unknown_because(error: errors.MJError) -> str:
    return f"not found: {format_error(error, by_probe=True)}"


def describe_unknown_id(error: errors.TaskNotFoundError | None) -> str:
    if error is None:
        return "a task that is not yours"
    code = "" if error.code in (None, "") else f", code {error.code}"
    text = f": {error.description}" if error.description else ""
    empty = "" if code or text else ", an empty body"
    return f"HTTP {error.status_code}{code}{text}{empty}"


def dialect_as_python(dialect: Dialect) -> str:
    """PURE: return the dialect as a Python expression, without the values that are "auto"."""
    arguments = ", ".join(f'{name}="{value}"' for name, value in _known(dialect))
    return f"Dialect({arguments})"


def dialect_as_options(dialect: Dialect) -> str:
    """PURE: return the dialect as options of the command line."""
    return " ".join(f"{_OPTIONS[name]} {value}" for name, value in _known(dialect))


def _known(dialect: Dialect) -> list[tuple[str, Any]]:
    values = [(name, getattr(dialect, name)) for name in _OPTIONS]
    return [(name, value) for name, value in values if value != "auto"]


def rows_to_lines(rows: Sequence[Row]) -> list[str]:
    return [f"{name:<10} {sanitize(words)}" for name, words in rows]


def rows_to_table(rows: Sequence[Row]) -> Table:
    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # so that no word is cut
    for name, words in rows:
        table.add_row(name, sanitize(words))
    return table
