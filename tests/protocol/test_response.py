"""A response: how it is decompressed, and how its text is quoted."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any

import attrs
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

GZIP = {"content-encoding": "gzip"}

# --- decompression ----------------------------------------------------------------------------

COMPRESSED: list[Any] = [
    ("none named", {}, b'{"id":"1"}'),
    ("empty", {"content-encoding": ""}, b'{"id":"1"}'),
    ("identity", {"content-encoding": "identity"}, b'{"id":"1"}'),
    ("gzip", GZIP, PACKED),
    ("gzip, in capitals", {"content-encoding": " GZIP "}, PACKED),
    ("gzip by its old name", {"content-encoding": "x-gzip"}, PACKED),
    ("the header in capitals", {"Content-Encoding": "gzip"}, PACKED),
    ("zeros behind its end", GZIP, PACKED + b"\0" * 8),
    (
        "several members, the first of them empty",
        GZIP,
        gzip.compress(b"") + gzip.compress(b'{"id":') + gzip.compress(b'"1"}'),
    ),
]


def test_decompression() -> None:
    """Plain and gzip bodies are decompressed; the rest of the response stays."""
    for name, encoding, body in COMPRESSED:
        response = response_to(body, 201, encoding, retry_after=3.0)
        expected = attrs.evolve(response, body=b'{"id":"1"}')

        assert expected == response.decompressed(10), name


NOT_COMPRESSED: list[Any] = [
    ("gzip", PACKED[:-1], "cut short", "its last byte missing"),
    ("gzip", PACKED[:12], "cut short", "half of it missing"),
    ("gzip", PACKED[:3], "cut short", "cut in its head"),
    ("gzip", b'{"id":"1"}', "cut short", "no gzip at all"),
    ("gzip", b"\0" * 8, "cut short", "zeros alone"),
    ("gzip", PACKED + PACKED[:12], "cut short", "the second member cut"),
    ("gzip", PACKED[:-8] + b"\0" * 8, "cut short", "a wrong checksum"),
    ("deflate", zlib.compress(b"{}"), "json", "deflate, not asked for"),
    ("br", b"\x0b\x02\x80", "json", "brotli, not asked for"),
    ("gzip, gzip", gzip.compress(PACKED), "json", "compressed twice"),
]


def test_what_cannot_be_decompressed() -> None:
    """A body without its end, or compressed otherwise, is never an empty answer."""
    for encoding, body, reason, name in NOT_COMPRESSED:
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            response_to(body, 200, {"content-encoding": encoding}).decompressed(1_000)

        error = caught.value
        assert (reason, 200, TASK_ID) == (error.reason, error.status_code, error.task_id), name
        assert "" == error.snippet, name


def test_the_limit_is_for_the_decompressed_body() -> None:
    """A body may be as large as the limit and not a byte larger."""
    body = b"x" * 1_000
    for response in (response_to(body), response_to(gzip.compress(body), 200, GZIP)):
        assert body == response.decompressed(1_000).body
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            response.decompressed(999)
        assert ("too large", 200) == (caught.value.reason, caught.value.status_code)
        assert "x" * 200 == caught.value.snippet


def test_a_bomb_is_not_decompressed() -> None:
    """A small body that decompresses to a huge one is refused at the limit."""
    bomb = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        response_to(bomb, 200, GZIP).decompressed(1_000_000)

    assert "too large" == caught.value.reason
    assert 200 == len(caught.value.snippet)


def test_a_body_of_many_pieces() -> None:
    """Members may end anywhere, also where a piece for zlib ends."""
    parts = [random.Random(length).randbytes(length) for length in (16_300, 16_384, 70_000, 1)]
    compressed = b"".join(map(gzip.compress, parts)) + b"\0" * 20_000

    assert b"".join(parts) == response_to(compressed, 200, GZIP).decompressed(200_000).body


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_an_empty_body_needs_no_decompression(encoding: str) -> None:
    """The status alone counts, whatever encoding the response names: a 204 may name one."""
    response = response_to(b"", 204, {"content-encoding": encoding})

    assert response is response.decompressed(100)


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_any_body_survives_compression(body: bytes, limit: int) -> None:
    """A compressed body comes out whole, or is refused for its size."""
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


def test_where_gateways_put_the_text() -> None:
    """The text of a refusal is found in each of the places where gateways put it."""
    assert dict.fromkeys((name for name, _ in TEXTS), "no") == {
        name: refusal_text(raw) for name, raw in TEXTS
    }


def test_without_a_text() -> None:
    """Without a text there is an empty one, and no code."""
    odd: list[Any] = [None, 5, [], ["no"], {}, {"error": None}, {"error": []}]
    for raw in odd:
        assert ("", None) == (refusal_text(raw), refusal_code(raw)), raw


CODES: list[Any] = [
    ({"code": 4}, 4),
    ({"code": 0}, 0),
    ({"code": "quota"}, "quota"),
    ({"code": "", "error": {"code": 30}}, 30),
    ({"error": {"code": "30"}}, "30"),
    ({"code": None, "error": {"code": ""}}, None),
    ({"code": True}, None),
    ({"code": 4.5}, None),
    ({"code": [4]}, None),
]


def test_the_code_of_a_refusal() -> None:
    """The gateway's code is a number or a text, and may stand inside `error`."""
    assert CODES == [(raw, refusal_code(raw)) for raw, _ in CODES]


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


def test_a_description_is_safe_to_print() -> None:
    """Control characters and the key are removed from the text of a refusal."""
    for name, text, expected in REFUSALS:
        response = response_to(b"", 400, key=KEY)
        refusal = response.refusal(errors.APIError, {"description": text})

        assert expected == refusal.description, name
        assert KEY not in str(refusal), name


def test_a_code_is_safe_to_print() -> None:
    """A code that is a text has no key, no control characters and at most 60 characters."""
    code = f"\x1b[31m{KEY}{'x' * 5_000}"
    refusal = response_to(b"", 401, key=KEY).refusal(errors.APIError, {"code": code})

    assert f"[31m***{'x' * 53}" == refusal.code


def test_a_key_that_was_given_with_bearer_is_concealed_without_it() -> None:
    """A gateway may quote the bare key of `Bearer <key>`."""
    response = response_to(b"", 401, key=f"Bearer {KEY}")

    assert "bad ***" == response.refusal(errors.APIError, {"error": f"bad {KEY}"}).description


def test_no_half_of_the_key_is_shown() -> None:
    """The key is removed before a text is cut, so that no half of it stays."""
    texts = [
        response_to(b" " * 785 + KEY.encode(), key=KEY).unexpected("json").snippet,
        response_to(b" " * 1985 + KEY.encode(), 401, key=KEY).refusal(errors.APIError).description,
    ]
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        response_to(b"x" * 190 + KEY.encode() + b"x" * 900, key=KEY).decompressed(500)

    assert all(KEY[:8] not in text for text in (*texts, caught.value.snippet))


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


REQUEST_IDS: list[tuple[str, dict[str, str], str | None]] = [
    ("无效的令牌 (request id: 2025a1B2)", {}, "2025a1B2"),
    ("no (request id:2025-a_b)", {"x-request-id": "7"}, "2025-a_b"),
    ("no", {"x-oneapi-request-id": "8", "x-request-id": "7"}, "8"),
    ("no", {"X-Request-Id": "7"}, "7"),
    ("no", {"x-oneapi-request-id": "", "x-request-id": "7"}, "7"),
    ("no", {"x-request-id": f"7{KEY}\x1b[0m"}, "7*** [0m"),
    ("no", {}, None),
]


def test_the_request_id() -> None:
    """The id for the gateway's operator is in the text or in a header."""
    for description, headers, expected in REQUEST_IDS:
        response = response_to(b"", 401, headers, key=KEY)
        raw = {"error": {"message": description}}
        refusal = response.refusal(errors.AuthenticationError, raw)

        assert expected == refusal.request_id
        assert expected is None or f"request id {expected}" in str(refusal)
