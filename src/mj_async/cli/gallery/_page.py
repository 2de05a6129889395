"""The gallery's page: a line to a row, and rows to HTML. It opens nothing but its own parts.

All that stands in a row was written by strangers: prompts, gateways' messages, addresses.
It reaches the page as JSON in a block that is never run, and the page's script shows it as text.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

import attrs
from jinja2 import Environment, StrictUndefined

_STYLES = ("page.css", "sheet.css")
_SCRIPTS = ("rows.js", "card.js", "sheet.js", "page.js")
_TEXTS = ("seed", "source", "status", "prompt", "image_url")
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#\\].*", re.IGNORECASE)
# What could end the block, or end a line, or is not to be seen in the page's source: controls,
# marks that turn the direction of text, and halves of pairs, which UTF-8 cannot write.
_NOT_PLAIN = re.compile(
    "[<>&\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_ENVIRONMENT = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
)


class LineError(ValueError):
    """Raised for a line that `mj-async seeds` does not write.

    Args:
        reason: What is wrong with it.
        torn: Whether it is the beginning of a line whose rest is still to be written.
    """

    def __init__(self, reason: str, *, torn: bool = False) -> None:
        super().__init__(reason)
        self.torn = torn


@attrs.frozen(kw_only=True)
class Row:
    """One task, as `mj-async seeds` wrote it."""

    task_id: str
    seed: str | None
    source: str | None
    status: str | None
    prompt: str | None
    image_url: str | None
    error_type: str | None
    error_message: str | None


class _StoredRow(NamedTuple):
    """A row ready for the page: its JSON, and what is counted."""

    text: str
    has_seed: bool
    has_image: bool


@attrs.define
class GalleryRows:
    """The rows of one page. Of an id that comes again, the last row is kept, in its own place."""

    _entries: dict[str, _StoredRow] = attrs.field(factory=dict, init=False)

    def add(self, row: Row) -> None:
        """Add a row, kept as JSON: a hundred thousand rows are tens of megabytes."""
        self._entries.pop(row.task_id, None)
        text = write_json(attrs.astuple(row, recurse=False))
        self._entries[row.task_id] = _StoredRow(text, bool(row.seed), row.image_url is not None)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def seeds(self) -> int:
        """The number of rows with a seed."""
        return sum(entry.has_seed for entry in self._entries.values())

    @property
    def images(self) -> int:
        """The number of rows with an image."""
        return sum(entry.has_image for entry in self._entries.values())

    def __iter__(self) -> Iterator[str]:
        return (entry.text for entry in self._entries.values())


def parse_row(line: bytes) -> Row:
    """Read a line.

    Raises:
        LineError: It is not a line of `mj-async seeds`.
    """
    value = _read_object(line)
    if not value.get("task_id"):
        raise LineError("it has no task_id")
    error = value.get("error")
    if not isinstance(error, dict | None):
        raise LineError("its error is neither an object nor null")
    texts = {name: _text(value, name) for name in _TEXTS}
    return Row(
        task_id=_text(value, "task_id") or "",
        **{**texts, "image_url": http_url_or_none(texts["image_url"])},
        error_type=_text(error or {}, "type"),
        error_message=_text(error or {}, "message"),
    )


def _read_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(str(line, "utf-8-sig"))
    except (ValueError, RecursionError) as error:
        torn = line.startswith(b"{") and not line.endswith(b"\n")
        raise LineError("it is not JSON", torn=torn) from error
    if not isinstance(value, dict):
        raise LineError("it is not a JSON object")
    return value


def _text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if not isinstance(text, str | None):
        raise LineError(f"its {name} is neither a string nor null")
    return text


def http_url_or_none(text: str | None) -> str | None:
    """Give the address back if it is one of http or https, and nothing in it is hidden."""
    good = text is not None and text.isprintable() and _WEB_ADDRESS.fullmatch(text)
    return text if good else None


def write_json(value: Any) -> str:
    """Write JSON that means the same to a reader, and nothing to HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _NOT_PLAIN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def render_page(sheet: GalleryRows, *, name: str) -> Iterator[str]:
    """Write the page, piece by piece.

    Args:
        sheet: The rows.
        name: What stands above them.
    """
    style, script = (_joined(names) for names in (_STYLES, _SCRIPTS))
    return _ENVIRONMENT.from_string(_read_asset("page.html.j2")).generate(
        name=name,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        counts={"rows": len(sheet), "seeds": sheet.seeds, "images": sheet.images},
        rows=sheet,
    )


def _joined(names: tuple[str, ...]) -> str:
    return "\n".join(_read_asset(name) for name in names)


def _read_asset(name: str) -> str:
    # Read as text: a carriage return would be in the hash, and not in what a browser hashes.
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
