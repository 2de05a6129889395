"""JSON out of bytes: the standard library and orjson differ in two things, and in nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
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
    ("64 bits below zero", b"-9223372036854775808", -9223372036854775808),
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
    ("two byte order marks", BYTE_ORDER_MARK * 2 + b"1"),
    ("100000 lists", b"[" * 100_000 + b"]" * 100_000),
    ("100000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
]

# What the standard library reads, and what orjson does.
DIFFERENT: list[Any] = [
    (
        "more than 64 bits",
        b"18446744073709551616",
        "18446744073709551616",
        "1.8446744073709552e+19",
    ),
    ("and below zero", b"-9223372036854775809", "-9223372036854775809", "-9.223372036854776e+18"),
    ("400 digits", b"1" * 400, "1" * 400, "refused"),
    ("half a pair", rb'"\ud83d"', r"'\ud83d'", "refused"),
    ("half a pair in capitals", rb'"\uD83D"', r"'\ud83d'", "refused"),
    ("the other half", rb'"\ude00"', r"'\ude00'", "refused"),
    ("the halves the wrong way round", rb'"\ude00\ud83d"', r"'\ude00\ud83d'", "refused"),
    ("half a pair before an escape", rb'"\ud83d\u0041"', r"'\ud83dA'", "refused"),
    ("half a pair after a backslash", rb'"\\\ud83d"', r"'\\\ud83d'", "refused"),
    ("half a pair in a key", rb'{"\ud83d":1}', r"{'\ud83d': 1}", "refused"),
]


def outcome(read: Callable[[bytes], Any], body: bytes) -> str:
    """Return what a decoder makes of the bytes, types and all, or that it refuses them."""
    try:
        return repr(read(body))
    except ValueError:
        return "refused"


def test_what_is_json() -> None:
    """Both decoders return the same value, of the same type."""
    expected = {name: repr(value) for name, _, value in READABLE}

    for read in (read_json, read_json_with_stdlib):
        assert expected == {name: outcome(read, body) for name, body, _ in READABLE}


def test_what_is_no_json() -> None:
    """Both decoders refuse, with a ValueError."""
    for read in (read_json, read_json_with_stdlib):
        assert [] == [name for name, body in UNREADABLE if "refused" != outcome(read, body)]


def test_how_the_decoders_differ() -> None:
    """Half a surrogate pair, and integers beyond 64 bits; docs/gateways.md has the same table."""
    by_stdlib = {name: outcome(read_json_with_stdlib, body) for name, body, *_ in DIFFERENT}
    by_orjson = {name: outcome(read_json, body) for name, body, *_ in DIFFERENT}

    assert {name: stdlib for name, _, stdlib, _ in DIFFERENT} == by_stdlib
    assert {name: orjson for name, _, _, orjson in DIFFERENT} == by_orjson


def test_a_byte_order_mark_is_skipped() -> None:
    """A byte order mark may stand before the JSON."""
    assert [1] == read_json(BYTE_ORDER_MARK + b"[1]")


def test_recorded_answers() -> None:
    """Every recorded JSON is read, and by both decoders alike."""
    for path in sorted(FOLDER.glob("*/*.json")):
        body = path.read_bytes()

        assert json.loads(body) == read_json(body), path
        assert repr(read_json(body)) == repr(read_json_with_stdlib(body)), path


def in_64_bits(value: Any) -> Any:
    """Return the value with floats in place of integers beyond 64 bits."""
    if isinstance(value, dict):
        return {key: in_64_bits(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_64_bits(item) for item in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**64 else value


def common_outcome(read: Callable[[bytes], Any], body: bytes) -> str:
    """Return what a decoder makes of the bytes, without what may differ."""
    try:
        value = in_64_bits(read(body))
        json.dumps(value, ensure_ascii=False).encode()  # half a pair cannot be encoded
    except (ValueError, OverflowError):
        return "refused"
    return repr(value)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
PIECES = [r"\ud83d", r"\ude00", r"\uD83D", r"\uDE00", r"\u0041", r"\n", r"\"", "a", "ud83d", "é"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map(lambda pieces: f'"{"".join(pieces)}"')


@given(
    VALUES.map(json.dumps).map(str.encode) | TEXTS.map(str.encode) | st.binary(max_size=40),
    st.integers(0, 60),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_both_decoders_agree_on_any_bytes(body: bytes, at: int, noise: bytes, lost: int) -> None:
    """Whatever bytes are lost or changed, the decoders differ in those two things alone."""
    damaged = (body[:at] + noise + body[at + lost :]).removeprefix(BYTE_ORDER_MARK)

    for found in (body.removeprefix(BYTE_ORDER_MARK), damaged):
        assert common_outcome(read_json_with_stdlib, found) == common_outcome(read_json, found)
