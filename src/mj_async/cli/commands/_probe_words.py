"""PURE: what `mj-async probe` has found out, in words, and as what may be pasted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from rich.table import Table

from mj_async import Dialect, errors

from ..output._advice import told
from ..output._text import clean

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
