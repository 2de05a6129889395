"""A whole answer: unpacking it, and quoting the text of a refusal."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _samples import TASK_ID, response_to
from mj_async import errors
from mj_async._credentials import Secret
from mj_async._protocol.response import printable, refusal_code, refusal_text

KEY = "sk-0123456789abcdef"
PACKED = gzip.compress(b'{"id":"1"}')
NO_KEY = Secret("")

# --- unpacking --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param({}, b'{"id":"1"}', id="none named"),
        pytest.param({"content-encoding": ""}, b'{"id":"1"}', id="empty"),
        pytest.param({"content-encoding": "identity"}, b'{"id":"1"}', id="identity"),
        pytest.param({"content-encoding": "gzip"}, PACKED, id="gzip"),
        pytest.param({"content-encoding": " GZIP "}, PACKED, id="gzip, in capitals"),
        pytest.param({"content-encoding": "x-gzip"}, PACKED, id="gzip by its old name"),
        pytest.param({"Content-Encoding": "gzip"}, PACKED, id="the header in capitals"),
        pytest.param({"content-encoding": "gzip"}, PACKED + b"\0" * 8, id="zeros behind its end"),
    ],
)
def test_unpacking(encoding: dict[str, str], body: bytes) -> None:
    """Plain and gzip bodies are unpacked, and all else of the answer stays."""
    response = response_to(body, 201, encoding, retry_after=3.0)
    decompressed = response.decompressed(1_000)

    assert b'{"id":"1"}' == decompressed.body
    assert (201, 3.0, TASK_ID) == (
        decompressed.status,
        decompressed.retry_after,
        decompressed.task_id,
    )
    assert response.headers == decompressed.headers


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        pytest.param("gzip", PACKED[:-1], "cut short", id="its last byte missing"),
        pytest.param("gzip", PACKED[:12], "cut short", id="half of it missing"),
        pytest.param("gzip", PACKED[:3], "cut short", id="cut in its head"),
        pytest.param("gzip", b'{"id":"1"}', "cut short", id="no gzip at all"),
        pytest.param("gzip", PACKED[:-8] + b"\0" * 8, "cut short", id="a wrong checksum"),
        pytest.param("deflate", zlib.compress(b"{}"), "json", id="deflate, not asked for"),
        pytest.param("br", b"\x0b\x02\x80", "json", id="brotli, not asked for"),
        pytest.param("gzip, gzip", gzip.compress(PACKED), "json", id="packed twice"),
    ],
)
def test_what_cannot_be_unpacked(encoding: str, body: bytes, reason: str) -> None:
    """A packed body without its end, or packed otherwise, is never an empty answer."""
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        response_to(body, 200, {"content-encoding": encoding}).decompressed(1_000)

    assert (reason, 200, TASK_ID) == (
        caught.value.reason,
        caught.value.status_code,
        caught.value.task_id,
    )
    assert "" == caught.value.snippet


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_the_limit_is_for_the_unpacked_body(packed: bool) -> None:  # noqa: FBT001
    """A body may be as large as the limit and not a byte larger."""
    body = b"x" * 1_000
    headers = {"content-encoding": "gzip"} if packed else {}
    response = response_to(gzip.compress(body) if packed else body, 200, headers)

    assert body == response.decompressed(1_000).body
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        response.decompressed(999)
    assert ("too large", 200) == (caught.value.reason, caught.value.status_code)
    assert "x" * 200 == caught.value.snippet


def test_a_bomb_is_not_unpacked() -> None:
    """A small body that unpacks to a huge one is refused at the limit."""
    bomb = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        response_to(bomb, 200, {"content-encoding": "gzip"}).decompressed(1_000_000)

    assert "too large" == caught.value.reason
    assert 200 == len(caught.value.snippet)


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_any_body_survives_packing(body: bytes, limit: int) -> None:
    """What was packed comes out whole, or is refused for its size."""
    response = response_to(gzip.compress(body), 200, {"content-encoding": "gzip"})

    if len(body) > limit:
        with pytest.raises(errors.UnexpectedAnswerError, match="larger than such an answer"):
            response.decompressed(limit)
    else:
        assert body == response.decompressed(limit).body


# --- the text of a refusal ------------------------------------------------------------------------

TEXTS: list[Any] = [
    ("description", {"description": "no"}),
    ("error in words", {"error": "no"}),
    ("error.message", {"error": {"message": "no", "type": "new_api_error"}}),
    ("error.description", {"error": {"description": "no"}}),
    ("message", {"success": False, "message": "no"}),
    ("msg", {"msg": "no"}),
    ("detail before title", {"title": "Bad Request", "detail": "no"}),
    ("title", {"title": "no", "status": 415}),
    ("description before error", {"error": "why", "description": "no"}),
    ("an empty description", {"description": " ", "message": "no"}),
    ("a description of another type", {"description": {"a": 1}, "message": "no"}),
    ("a text alone", "no"),
]


@pytest.mark.parametrize("raw", [pytest.param(row[1], id=row[0]) for row in TEXTS])
def test_where_gateways_keep_their_words(raw: Any) -> None:
    """The text of a refusal is found in each of the places where gateways keep it."""
    assert "no" == refusal_text(raw)


@pytest.mark.parametrize("raw", [None, 5, [], ["no"], {}, {"error": None}, {"error": []}], ids=repr)
def test_where_nothing_is_said(raw: Any) -> None:
    """Without words there is an empty text, and no code."""
    assert "" == refusal_text(raw)
    assert refusal_code(raw) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"code": 4}, 4),
        ({"code": 0}, 0),
        ({"code": "quota"}, "quota"),
        ({"code": "", "error": {"code": 30}}, 30),
        ({"error": {"code": "30"}}, "30"),
        ({"code": None, "error": {"code": ""}}, None),
        ({"code": True}, None),
        ({"code": 4.5}, None),
        ({"code": [4]}, None),
    ],
    ids=repr,
)
def test_the_code_of_a_refusal(raw: Any, expected: int | str | None) -> None:
    """The gateway's code is a number or a text, and may stand inside `error`."""
    assert expected == refusal_code(raw)


REFUSALS: list[Any] = [
    ("its last space", "task_no_found ", "task_no_found"),
    ("line breaks", "one\r\n\ttwo", "one two"),
    ("an ANSI colour", "\x1b[31mred\x1b[0m", "[31mred [0m"),
    ("a bell and a zero", "a\x07b\x00c", "a b c"),
    ("C1 controls", "a\x9bb\x85c", "a b c"),
    ("a direction override", "abc\u202ecba", "abc cba"),
    ("a zero-width space", "a\u200bb", "a b"),
    ("the key", f"bad key {KEY}!", "bad key ***!"),
    ("the key twice", f"{KEY} {KEY}", "*** ***"),
    ("too much of it", "x" * 600, "x" * 500),
    ("the key across the limit", "x" * 490 + KEY, "x" * 490 + "***"),
    ("other letters stay", "无效的令牌 🔄 für", "无效的令牌 🔄 für"),
]


@pytest.mark.parametrize(
    ("text", "expected"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS]
)
def test_a_description_is_safe_to_print(text: str, expected: str) -> None:
    """Control characters and the key are taken out of the text of a refusal."""
    refusal = response_to(b"", 400, key=KEY).refusal(errors.APIError, {"description": text})

    assert expected == refusal.description
    assert KEY not in str(refusal)


def test_a_text_that_is_no_json_is_quoted() -> None:
    """A plain text is the description, without the key."""
    refusal = response_to(f"bad\n{KEY}\xff".encode("latin-1"), 401, key=KEY).refusal(
        errors.APIError
    )

    assert "bad ***\N{REPLACEMENT CHARACTER}" == refusal.description


def test_the_key_is_taken_out_of_the_snippet_and_the_type() -> None:
    """An answer that is not this API may quote the key, too."""
    headers = {"content-type": f"text/html; x={KEY}"}
    response = response_to(f"<p>{'x' * 180}{KEY}</p>".encode(), 200, headers, key=KEY)
    error = response.unexpected("html")

    assert f"<p>{'x' * 180}***</p>" == error.snippet
    assert "text/html; x=***" == error.content_type
    assert KEY not in str(error)


@given(st.text())
def test_cleaned_text_is_printable(text: str) -> None:
    """The text of a refusal is one line without control characters."""
    cleaned = printable(text, NO_KEY)

    assert cleaned.isprintable()
    assert cleaned == printable(cleaned, NO_KEY)


# --- the request's id -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "headers", "expected"),
    [
        ("无效的令牌 (request id: 2025a1B2)", {}, "2025a1B2"),
        ("no (request id:2025-a_b)", {"x-request-id": "7"}, "2025-a_b"),
        ("no", {"x-oneapi-request-id": "8", "x-request-id": "7"}, "8"),
        ("no", {"X-Request-Id": "7"}, "7"),
        ("no", {"x-oneapi-request-id": "", "x-request-id": "7"}, "7"),
        ("no", {"x-request-id": f"7{KEY}\x1b[0m"}, "7*** [0m"),
        ("no", {}, None),
    ],
)
def test_the_request_id(description: str, headers: dict[str, str], expected: str | None) -> None:
    """The id for the gateway's operator is in the text or in a header."""
    response = response_to(b"", 401, headers, key=KEY)
    refusal = response.refusal(errors.AuthenticationError, {"error": {"message": description}})

    assert expected == refusal.request_id
    assert expected is None or f"request id {expected}" in str(refusal)
