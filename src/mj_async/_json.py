"""Bytes to JSON. Pure.

Both decoders, the standard library's and orjson, give the same for the same bytes, or refuse.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_BIGGEST_INTEGER = 2**64
_ESCAPES = re.compile(rb"\\(?:u[dD](?:[89abAB]..\\u[dD][c-fC-F]..|[89a-fA-F]..)|.)", re.DOTALL)
_WHITE_SPACE = " \t\n\r"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


@lru_cache(maxsize=256)  # most are the types and styles of buttons, and a hit costs no call
def _read_integer(digits: str) -> int | float:
    # Beyond 64 bits orjson reads a float; so do we, for both must give the same.
    if len(digits) < 19:
        return int(digits)
    value = int(digits)
    return value if -(_BIGGEST_INTEGER // 2) <= value < _BIGGEST_INTEGER else _read_float(digits)


def _read_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number beyond all bounds")
    return value


_STRICT = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_read_integer, parse_float=_read_float
)


def read_json_slowly(body: bytes) -> Any:
    """Read JSON with the standard library, as strictly as orjson does.

    Raises:
        ValueError: It is no JSON.
    """
    text = body.decode().strip(_WHITE_SPACE)
    try:
        value, end = _STRICT.raw_decode(text)
        # Half a surrogate pair could not be written again. Writing tells for sure; the search,
        # in which half a pair has 6 bytes, spares nearly every body that.
        if b"\\" in body and any(len(escape) == 6 for escape in _ESCAPES.findall(body)):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if end < len(text):
        raise ValueError("there is more behind the JSON")
    return value


def _fastest_reader() -> Any:
    return import_module("orjson").loads if find_spec("orjson") else read_json_slowly


_read_json = _fastest_reader()


def read_json(body: bytes) -> Any:
    """Read JSON, a byte order mark before it allowed.

    Raises:
        ValueError: It is no JSON.
    """
    return _read_json(body.removeprefix(b"\xef\xbb\xbf"))


def as_read(keys: Iterable[str]) -> tuple[str, ...]:
    """Give keys as they will be read.

    orjson keeps one of each, and a dict finds the very same one faster than an equal one.
    """
    return tuple(read_json(json.dumps(dict.fromkeys(keys)).encode()))
