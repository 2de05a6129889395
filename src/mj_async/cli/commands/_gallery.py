"""`mj-async gallery`: what `mj-async seeds` wrote, as one HTML page."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import Parameter

from ..gallery._page import GalleryRows, LineError, parse_row, render_page

_MEND = "give what it wrote, or take that line out"
_KILO, _MEGA = 1_000, 1_000_000


def gallery(
    file: Path,
    /,
    *,
    output: Path = Path("gallery.html"),
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make one HTML page of what `mj-async seeds` wrote: the images, with search and sort.

    Nothing is fetched. The page shows the images from their addresses while it is open.

    Args:
        file: The lines of `mj-async seeds`.
        output: The page to write.
        overwrite: Replace the page if there is one.
    """
    _check(file, output, overwrite=overwrite)
    sheet = _read(file)
    try:
        size = _write(output.resolve(), render_page(sheet, name=_shown(file)))
    except OSError as error:
        _say(f"{output} was not written: {error.strerror}; next: give another --output")
        raise SystemExit(1) from error
    counts = f"{_count(sheet.images, 'image')}, {_count(len(sheet), 'row')}"
    _say(f"{output}: {counts}, {_size(size)}")


def _check(file: Path, output: Path, *, overwrite: bool) -> None:
    """Refuse an output that is not ours to replace."""
    if not output.exists() or not file.exists():
        return
    if not output.is_file():
        _refuse(f"{output} is not a file; next: give another --output")
    if output.samefile(file):
        _refuse(f"{output} is the file to be read; next: give another --output")
    if not overwrite:
        _refuse(f"{output} exists, and is replaced with --overwrite only")


def _read(file: Path) -> GalleryRows:
    """Read all rows before anything is written; a file that still grows may end in half a line."""
    sheet = GalleryRows()
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                _add(sheet, line, where=f"{file}, line {number}")
    except OSError as error:
        _refuse(f"{file} cannot be read: {error.strerror}; next: give what mj-async seeds wrote")
    return sheet


def _add(sheet: GalleryRows, line: bytes, *, where: str) -> None:
    try:
        sheet.add(parse_row(line))
    except LineError as error:
        if not error.torn:
            _refuse(f"{where} is not a line of `mj-async seeds`: {error}; next: {_MEND}")
        _say(f"{where} is cut short and was left out")


def _write(output: Path, page: Iterable[str]) -> int:
    """Write beside the output and put it there at the end, so that it is whole or not there."""
    beside = output.with_name(f".gallery-{secrets.token_hex(8)}.part")
    try:
        with beside.open("xb") as part:
            for text in page:
                part.write(text.encode())
            part.flush()
            os.fsync(part.fileno())
            size = part.tell()
        beside.replace(output)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return size


def _shown(file: Path) -> str:
    # A file's name may be bytes that are no text.
    return os.fsencode(file.name).decode(errors="replace")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / _MEGA:.1f} MB" if count >= _MEGA else f"{count / _KILO:.0f} kB"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _refuse(reason: str) -> NoReturn:
    _say(reason)
    raise SystemExit(2)
