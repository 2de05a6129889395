"""The gallery's page: parse a line of seeds, and render the rows as HTML.

The texts of a row are not trusted: prompts, messages of gateways, addresses. The page has them
as JSON in a block that no browser runs, and its script shows them as text.
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
# Characters that could end the block or a line, or that are invisible in the source of the page:
# controls, marks that change the direction of text, and lone surrogates, which UTF-8 cannot encode.
_UNSAFE = re.compile(
    "[<>&\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_ENVIRONMENT = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
)


class LineError(ValueError):
    """Raised for a line that is not of `mj-async seeds`."""

    def __init__(self, reason: str, *, is_truncated: bool = False) -> None:
        super().__init__(reason)
        self.is_truncated = is_truncated


@attrs.frozen(kw_only=True)
class Row:
    """One task, as in a line of `mj-async seeds`."""

    task_id: str
    seed: str | None
    source: str | None
    status: str | None
    prompt: str | None
    image_url: str | None
    error_type: str | None
    error_message: str | None


class _StoredRow(NamedTuple):
    """A row as JSON. A hundred thousand of them need tens of megabytes."""

    text: str
    has_seed: bool
    has_image: bool


@attrs.define
class GalleryRows:
    """The rows of one page. If an id occurs again, its last row counts, at its last place."""

    _entries: dict[str, _StoredRow] = attrs.field(factory=dict, init=False)

    def add(self, row: Row) -> None:
        """Add a row."""
        self._entries.pop(row.task_id, None)
        text = to_html_safe_json(attrs.astuple(row, recurse=False))
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
    """Parse a line.

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
        is_truncated = line.startswith(b"{") and not line.endswith(b"\n")
        raise LineError("it is not JSON", is_truncated=is_truncated) from error
    if not isinstance(value, dict):
        raise LineError("it is not a JSON object")
    return value


def _text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if not isinstance(text, str | None):
        raise LineError(f"its {name} is neither a string nor null")
    return text


def http_url_or_none(text: str | None) -> str | None:
    """PURE: return the text if it is an http or https address without invisible characters."""
    good = text is not None and text.isprintable() and _WEB_ADDRESS.fullmatch(text)
    return text if good else None


def to_html_safe_json(value: Any) -> str:
    """PURE: return JSON in which no character has a meaning in HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def render_page(rows: GalleryRows, *, name: str) -> Iterator[str]:
    """Yield the page in pieces."""
    style, script = (_joined(names) for names in (_STYLES, _SCRIPTS))
    return _ENVIRONMENT.from_string(_read_asset("page.html.j2")).generate(
        name=name,
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        counts={"rows": len(rows), "seeds": rows.seeds, "images": rows.images},
        rows=rows,
    )


def _joined(names: tuple[str, ...]) -> str:
    return "\n".join(_read_asset(name) for name in names)


def _read_asset(name: str) -> str:
    # Read as text: browsers hash the script without carriage returns.
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
