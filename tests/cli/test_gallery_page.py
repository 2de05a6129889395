"""The gallery's page, read back as a browser reads it: all that is in a row is untrusted."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mj_async.cli.gallery._page import (
    GalleryRows,
    LineError,
    http_url_or_none,
    parse_row,
    render_page,
)

NAMES = ("task_id", "seed", "source", "status", "prompt", "image_url")
HOSTILE = (
    "</script>",
    "<script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "' onerror='alert(1)",
    '"><img src=x onerror=alert(1)>',
    "&lt;&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe",
    "\u2028\u2029",
    "\x00\x1b[31m\r\n\t\x7f\x85",
    "\ud800",
    "\udfff",
    "\U0001f98a",
    "\ufeff",
)
TEXTS = st.lists(st.sampled_from(HOSTILE) | st.characters(exclude_categories=())).map("".join)
OPTIONAL = st.none() | TEXTS
LINES = st.fixed_dictionaries(
    {
        "task_id": TEXTS.filter(bool),
        "error": st.none() | st.fixed_dictionaries({"type": OPTIONAL, "message": OPTIONAL}),
    },
    optional=dict.fromkeys(("seed", "source", "status", "prompt", "image_url"), OPTIONAL),
)


class Page(HTMLParser):
    """The page as a browser parses it: tags, names of attributes, and texts."""

    def __init__(self, lines: list[dict[str, Any]], name: str = "seeds.jsonl") -> None:
        super().__init__()
        self.structure: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.policy = ""
        self._within = False
        sheet = GalleryRows()
        for line in lines:
            sheet.add(parse_row(json.dumps(line).encode()))
        self.feed("".join(render_page(sheet, name=name)))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the tag."""
        self.structure.append((tag, tuple(name for name, _ in attrs)))
        self.texts.append("")
        self._within = True
        values = dict(attrs)
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""

    def handle_data(self, data: str) -> None:
        """Record the text between a tag and the next tag."""
        if self._within:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Record the end of the text."""
        self._within = False

    def within(self, tag: str) -> list[str]:
        """Return the text of each such tag."""
        return [
            text for (name, _), text in zip(self.structure, self.texts, strict=True) if name == tag
        ]

    @property
    def rows(self) -> list[list[str | None]]:
        """Read the rows as the page's script does."""
        rows: list[list[str | None]] = json.loads(self.within("script")[0])
        return rows


PLAIN = Page([{"task_id": "1"}])


@given(line=LINES, name=TEXTS.map(lambda text: text.encode(errors="replace").decode()))
def test_every_text_comes_back_and_nothing_else(line: dict[str, Any], name: str) -> None:
    """Any text of a field is read back unchanged, and the page has the template's tags only."""
    page = Page([line], name=name)
    sent = json.loads(json.dumps(line))  # which joins halves of pairs, as any reader does
    error = sent["error"] or {}
    expected = [sent.get(field) for field in NAMES] + [error.get("type"), error.get("message")]
    expected[5] = http_url_or_none(expected[5])

    assert [expected] == page.rows
    assert PLAIN.structure == page.structure


@given(prompt=TEXTS)
def test_the_source_shows_what_it_is(prompt: str) -> None:
    """The source of the page has no invisible characters and no line breaks from a text."""
    sheet = GalleryRows()
    sheet.add(parse_row(json.dumps({"task_id": "1", "prompt": prompt}).encode()))
    (text,) = sheet

    assert not re.search(r"[<>&\x00-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff\ufeff]", text)
    text.encode()


def test_a_long_prompt_is_whole() -> None:
    """A prompt of 100 kB is in the page to its last character."""
    prompt = "</script>" * 12_000

    assert prompt == Page([{"task_id": "1", "prompt": prompt}]).rows[0][4]


def test_nothing_runs_but_our_own_blocks() -> None:
    """The content security policy allows the page's own style and script only, by their hashes."""
    (style,), (_data, script) = PLAIN.within("style"), PLAIN.within("script")
    hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in (style, script)]

    assert [
        "default-src 'none'",
        "img-src https: http:",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[1]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ] == PLAIN.policy.split("; ")


def test_the_page_asks_for_nothing() -> None:
    """No tag has a resource, a style or an event handler."""
    attributes = {name for _, names in PLAIN.structure for name in names}

    assert set() == attributes & {"src", "srcset", "style", "action", "background", "data"}
    assert [] == [name for name in attributes if name.startswith("on")]
    assert "link" not in dict(PLAIN.structure)
    assert not re.search(r"url\(|@import", PLAIN.within("style")[0])
    assert not re.search(r"\bfetch\(|XMLHttp|import\(|innerHTML", PLAIN.within("script")[1])


@pytest.mark.parametrize(
    "address",
    ["https://cdn.example/1.png?ex=66&is=1", "http://127.0.0.1:8080/a b.png", "HTTPS://É.example"],
)
def test_an_address_on_the_web_is_an_image(address: str) -> None:
    """An http or https address with a host is kept as it is."""
    assert address == http_url_or_none(address)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)//https://cdn.example",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:image/svg+xml,<svg onload=alert(1)>",
        "blob:https://cdn.example/1",
        "file:///etc/passwd",
        "//cdn.example/1.png",
        "/1.png",
        "https:/cdn.example",
        "https://",
        "https:///1.png",
        "https://\\evil.example",
        "https://cdn.example/\u202egnp.exe",
        "https://cdn.example/\n1.png",
        "https://cdn.example/\ud800",
        "\x01https://cdn.example",
        " https://cdn.example",
    ],
)
def test_any_other_address_is_no_image(address: str | None) -> None:
    """Other addresses, and those with invisible characters, are never shown or linked."""
    assert http_url_or_none(address) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\n", "it is not JSON"),
        (b"\xff\n", "it is not JSON"),
        (b"[" * 100_000 + b"\n", "it is not JSON"),
        (b'{"task_id": "1"\n', "it is not JSON"),
        (b'["task_id"]\n', "it is not a JSON object"),
        (b"null", "it is not a JSON object"),
        (b"{}\n", "it has no task_id"),
        (b'{"task_id": ""}\n', "it has no task_id"),
        (b'{"task_id": 7}\n', "its task_id is neither a string nor null"),
        (b'{"task_id": "1", "seed": 7}\n', "its seed is neither a string nor null"),
        (b'{"task_id": "1", "prompt": []}\n', "its prompt is neither a string nor null"),
        (b'{"task_id": "1", "error": "no"}\n', "its error is neither an object nor null"),
        (b'{"task_id": "1", "error": {"type": 5}}\n', "its type is neither a string nor null"),
    ],
    ids=str,
)
def test_another_line_is_refused(line: bytes, reason: str) -> None:
    """A line that `mj-async seeds` does not write is refused with the reason."""
    with pytest.raises(LineError, match=reason) as refused:
        parse_row(line)

    assert not refused.value.is_truncated


def test_a_line_may_begin_with_a_byte_order_mark() -> None:
    """A byte order mark, which editors on Windows write, is skipped."""
    assert "1" == parse_row(b'\xef\xbb\xbf{"task_id": "1"}\r\n').task_id


def test_of_an_id_the_last_line_is_kept() -> None:
    """If an id occurs again, only its last line counts, in the place of that line."""
    first = {"task_id": "1", "seed": "7", "image_url": "https://cdn.example"}
    page = Page([first, {"task_id": "2", "seed": "8"}, {"task_id": "1", "seed": None}])

    assert [("2", "8"), ("1", None)] == [(row[0], row[1]) for row in page.rows]
    assert "2 tasks: 1 with a seed, 1 without. 0 images." in page.within("p")[0]


def test_a_seed_of_0_is_a_seed() -> None:
    """The seed 0 is a seed, the empty text is none."""
    page = Page([{"task_id": "1", "seed": "0"}, {"task_id": "2", "seed": ""}])

    assert "2 tasks: 1 with a seed" in page.within("p")[0]
