"""JSON out of bytes: the standard library and orjson read the same or both refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from _samples import FOLDER
from mj_async._protocol.decode import read_json, read_json_with_stdlib

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

READABLE: list[Any] = [
    ("an object", b'{"id":"1"}', {"id": "1"}),
    ("a list", b"[1,2]", [1, 2]),
    ("a text", b'"a"', "a"),
    ("null", b"null", None),
    ("true", b"true", True),
    ("white space", b" \t\r\n[ 1 ]\n", [1]),
    ("a key twice: the last counts", b'{"a":1,"a":2}', {"a": 2}),
    ("an empty key", b'{"":1}', {"": 1}),
    ("zero", b"0", 0),
    ("minus zero", b"-0", 0),
    ("minus zero with a point", b"-0.0", -0.0),
    ("18 digits", b"123456789012345678", 123456789012345678),
    ("19 digits", b"1234567890123456789", 1234567890123456789),
    ("64 bits", b"18446744073709551615", 18446744073709551615),
    ("more than 64 bits", b"18446744073709551616", 18446744073709551616.0),
    ("64 bits below zero", b"-9223372036854775808", -9223372036854775808),
    ("more than 64 bits below zero", b"-9223372036854775809", -9223372036854775809.0),
    ("40 digits", b"1" * 40, float("1" * 40)),
    ("a fraction", b"0.1", 0.1),
    ("a long fraction", b"0.30000000000000004", 0.30000000000000004),
    ("an exponent", b"1.5E+3", 1500.0),
    ("a very small number", b"1e-400", 0.0),
    ("the largest float", b"1.7976931348623157e308", 1.7976931348623157e308),
    ("letters of the world", '"无效 🔄 für"'.encode(), "无效 🔄 für"),
    ("escapes", rb'"\"\\\/\b\f\n\r\t\u0041"', '"\\/\b\f\n\r\tA'),
    ("a zero character, escaped", rb'"\u0000"', "\0"),
    ("a surrogate pair", rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
    ("a surrogate pair in capitals", rb'"\uD83D\uDE00"', "\N{GRINNING FACE}"),
    ("two pairs", rb'"\ud83d\ude00\ud83d\ude00"', "\N{GRINNING FACE}" * 2),
    ("a pair after an escaped backslash", rb'"\\\ud83d\ude00"', "\\\N{GRINNING FACE}"),
    ("what only looks like half a pair", rb'"\\ud83d"', "\\ud83d"),
    ("a delete character", b'"\x7f"', "\x7f"),
    ("a line separator", '"\u2028"'.encode(), "\u2028"),
    ("60 levels", b"[" * 60 + b"]" * 60, json.loads("[" * 60 + "]" * 60)),
]
UNREADABLE: list[Any] = [
    ("nothing", b""),
    ("white space", b" \n"),
    ("a page", b"<html></html>"),
    ("words", b"no"),
    ("not a number", b"NaN"),
    ("not a number in a list", b"[NaN]"),
    ("infinity", b"Infinity"),
    ("minus infinity", b"-Infinity"),
    ("a float beyond all bounds", b"1e400"),
    ("a float below all bounds", b"[-1e400]"),
    ("a number of 5000 digits", b"1" * 5_000),
    ("a leading zero", b"01"),
    ("a plus", b"+1"),
    ("no digit behind the point", b"1."),
    ("no digit before the point", b".5"),
    ("a minus alone", b"-"),
    ("a number in hexadecimal", b"0x10"),
    ("a comma too many", b"[1,]"),
    ("a comma too many in an object", b'{"a":1,}'),
    ("a key without quotes", b"{a:1}"),
    ("single quotes", b"{'a':1}"),
    ("a comment", b"[1] // one"),
    ("garbage behind it", b'{"a":1} x'),
    ("an object behind it", b'{"a":1}{"b":2}'),
    ("cut in an object", b'{"a":1'),
    ("cut in a text", b'{"a":"b'),
    ("cut in a word", b"[t"),
    ("a line break in a text", b'"a\nb"'),
    ("a zero in a text", b'"a\0b"'),
    ("a zero behind it", b"[1]\0"),
    ("an unknown escape", rb'"\x41"'),
    ("half an escape", rb'"\u00"'),
    ("latin-1", '"für"'.encode("latin-1")),
    ("half a character", '"🔄"'.encode()[:-2] + b'"'),
    ("an overlong character", b'"\xc0\xaf"'),
    ("utf-16", '{"a":1}'.encode("utf-16")),
    ("a surrogate in utf-8", b'"\xed\xa0\xbd"'),
    ("half a pair", rb'"\ud83d"'),
    ("half a pair in capitals", rb'"\uD83D"'),
    ("the other half", rb'"\ude00"'),
    ("the halves the wrong way round", rb'"\ude00\ud83d"'),
    ("half a pair before a letter", rb'"\ud83dabcdef"'),
    ("half a pair before another escape", rb'"\ud83d\u0041"'),
    ("half a pair in a key", rb'{"\ud83d":1}'),
    ("half a pair among whole ones", rb'["\ud83d\ude00","\ud83d"]'),
    ("two byte order marks", BYTE_ORDER_MARK * 2 + b"1"),
    ("100000 lists", b"[" * 100_000 + b"]" * 100_000),
    ("100000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
]

READERS = [
    pytest.param(read_json, id="the fastest"),
    pytest.param(read_json_with_stdlib, id="the standard library"),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in READABLE]
)
def test_what_is_json(read: Callable[[bytes], Any], body: bytes, expected: object) -> None:
    """Both decoders give the same value, of the same type."""
    assert repr(expected) == repr(read(body))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("body", [pytest.param(row[1], id=row[0]) for row in UNREADABLE])
def test_what_is_no_json(read: Callable[[bytes], Any], body: bytes) -> None:
    """Both decoders refuse, with a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  # each decoder has its own words
        read(body)


def test_a_byte_order_mark_is_skipped() -> None:
    """A byte order mark may stand before the JSON."""
    assert [1] == read_json(BYTE_ORDER_MARK + b"[1]")


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*/*.json")), ids=lambda path: "/".join(path.parts[-2:])
)
def test_recorded_answers(path: Path) -> None:
    """Every recorded JSON is read, and by both decoders alike."""
    body = path.read_bytes()

    assert json.loads(body) == read_json(body)
    assert repr(read_json(body)) == repr(read_json_with_stdlib(body))


def outcome(read: Callable[[bytes], Any], body: bytes) -> str:
    """Give what a decoder makes of the bytes, types and all, or that it refuses."""
    try:
        return repr(read(body))
    except ValueError:
        return "refused"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)


@given(VALUES, st.booleans())
def test_both_decoders_read_the_same(value: object, ascii_only: bool) -> None:  # noqa: FBT001
    """What one decoder reads or refuses, the other does, too."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert outcome(read_json_with_stdlib, body) == outcome(read_json, body)


@given(VALUES, st.integers(0, 60), st.binary(max_size=3), st.integers(0, 3))
def test_both_decoders_refuse_the_same(
    value: object, place: int, noise: bytes, length: int
) -> None:
    """Bytes that were lost or changed on the way make no difference between the decoders."""
    body = json.dumps(value, ensure_ascii=False).encode()
    damaged = (body[:place] + noise + body[place + length :]).removeprefix(BYTE_ORDER_MARK)

    assert outcome(read_json_with_stdlib, damaged) == outcome(read_json, damaged)


PIECES = [r"\ud83d", r"\ude00", r"\uD83D", r"\uDE00", r"\u0041", r"\n", r"\"", "a", "ud83d", "é"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@example(r"\ud83d\ud83d\ude00\ude00")
def test_both_decoders_see_half_surrogates(text: str) -> None:
    """Half a surrogate pair is found wherever it stands."""
    body = f'"{text}"'.encode()

    assert outcome(read_json_with_stdlib, body) == outcome(read_json, body)


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_a_value_error(body: bytes) -> None:
    """No bytes raise anything but a ValueError, and both decoders agree on them."""
    is_single_task = body.removeprefix(BYTE_ORDER_MARK)

    assert outcome(read_json_with_stdlib, is_single_task) == outcome(read_json, is_single_task)
