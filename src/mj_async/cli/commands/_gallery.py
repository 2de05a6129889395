"""`mj-async gallery`: one HTML page from the output of `mj-async seeds`."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import Parameter

from ..gallery._page import GalleryRows, LineError, parse_row, render_page

_LINE_HINT = "give the output of mj-async seeds, or delete that line"
_KILO, _MEGA = 1_000, 1_000_000


def gallery(
    file: Path,
    /,
    *,
    output: Path = Path("gallery.html"),
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make one HTML page from the output of `mj-async seeds`: its images, with search and sort.

    It sends no request. The page loads the images from their addresses while it is open.

    Args:
        file: The output of `mj-async seeds`.
        output: The page to write.
        overwrite: Replace the page if it exists.
    """
    _check(file, output, overwrite=overwrite)
    rows = _read(file)
    try:
        size = _write(output.resolve(), render_page(rows, name=_display_name(file)))
    except OSError as error:
        _echo_err(f"{output} was not written: {error.strerror}; next: give another --output")
        raise SystemExit(1) from error
    counts = f"{_count(rows.images, 'image')}, {_count(len(rows), 'row')}"
    _echo_err(f"{output}: {counts}, {_size(size)}")


def _check(file: Path, output: Path, *, overwrite: bool) -> None:
    if not output.exists() or not file.exists():
        return
    if not output.is_file():
        _exit_with_error(f"{output} is not a file; next: give another --output")
    if output.samefile(file):
        _exit_with_error(f"{output} is the input; next: give another --output")
    if not overwrite:
        _exit_with_error(f"{output} exists; next: give --overwrite to replace it")


def _read(file: Path) -> GalleryRows:
    # All rows are read before the page is opened, so that a bad line leaves no page.
    rows = GalleryRows()
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                _add(rows, line, where=f"{file}, line {number}")
    except OSError as error:
        _exit_with_error(
            f"{file} cannot be read: {error.strerror}; next: give the output of mj-async seeds"
        )
    return rows


def _add(rows: GalleryRows, line: bytes, *, where: str) -> None:
    try:
        rows.add(parse_row(line))
    except LineError as error:
        if not error.is_truncated:
            _exit_with_error(
                f"{where} is not a line of `mj-async seeds`: {error}; next: {_LINE_HINT}"
            )
        _echo_err(f"{where} is incomplete and was left out")


def _write(output: Path, page: Iterable[str]) -> int:
    # A temporary file becomes the page at the end, so that no page is incomplete.
    temporary = output.with_name(f".gallery-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as part:
            for text in page:
                part.write(text.encode())
            part.flush()
            os.fsync(part.fileno())
            size = part.tell()
        temporary.replace(output)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return size


def _display_name(file: Path) -> str:
    # The name of a file may be bytes that are not UTF-8.
    return os.fsencode(file.name).decode(errors="replace")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / _MEGA:.1f} MB" if count >= _MEGA else f"{count / _KILO:.0f} kB"


def _echo_err(text: str) -> None:
    print(text, file=sys.stderr)


def _exit_with_error(reason: str) -> NoReturn:
    _echo_err(reason)
    raise SystemExit(2)
