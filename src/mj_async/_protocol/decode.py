"""JSON to tasks. Pure, and the only user of cattrs.

Tolerant where gateways are (see the gateways page, "The task"), strict elsewhere: a value of
the wrong type is never coerced, it stays in `Task.extra`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from operator import itemgetter
from typing import Any

import attrs
import cattrs

from .._models import BUTTON_WIRE_NAMES, EMPTY_VALUES, EPOCH, WIRE_NAMES, Button, Task

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


def read_json_with_stdlib(body: bytes) -> Any:
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
    return import_module("orjson").loads if find_spec("orjson") else read_json_with_stdlib


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


# orjson gives up at 1024 levels and the standard library at a depth that differs by version;
# what we keep must also survive ==, repr and pickle, which recurse.
_DEEPEST = 64
_BIGGEST_INTEGER = 2**64
_LONGEST_SEED = 20
_MILLISECOND = timedelta(milliseconds=1)
_LATEST_TIME = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MILLISECOND
_from_timestamp = datetime.fromtimestamp
# So many milliseconds, up to the year 2106, are exact to the microsecond as a float of seconds.
_EXACT_TIMES = 2**32 * 1000
_DIGITS = re.compile(r"[0-9]{1,15}")

_TIME_NAMES = ("submit_time", "start_time", "finish_time")
_TEXT_NAMES = tuple(
    name
    for name in WIRE_NAMES
    if name not in {*_TIME_NAMES, "id", "seed", "buttons", "properties", "image_urls", "video_urls"}
)
_TEXT_KEYS = tuple(WIRE_NAMES[name] for name in _TEXT_NAMES)
_TIME_KEYS = as_read(WIRE_NAMES[name] for name in _TIME_NAMES)
_OTHER_KEYS = ("id", "properties", "seed", "buttons", "imageUrls", "videoUrls")
_KEYS = as_read([*_OTHER_KEYS, *_TEXT_KEYS])
_STATUS = _TEXT_NAMES.index("status")
_OTHER_NAMES = ("properties", "seed", "buttons", "image_urls", "video_urls", "extra", "empty_keys")
# A task that can still be written to: to fill a frozen class takes five times as long, for each of
# its fields is a call. It has the slots of a task, and so becomes one when it is given its class.
_Draft: Any = attrs.make_class(
    "_Draft", ["id", *_TEXT_NAMES, *_TIME_NAMES, *_OTHER_NAMES], slots=True, weakref_slot=False
)
_KNOWN_KEYS = frozenset(as_read(WIRE_NAMES.values()))
_EMPTY_VALUES = tuple(EMPTY_VALUES.items())
_TEXT_TYPES = frozenset({str, type(None)})
_CONTAINERS = frozenset({dict, list})

_BUTTON_KEYS = as_read(BUTTON_WIRE_NAMES.values())
_BUTTON_TYPES = ((str, type(None)),) * 3 + ((int, type(None)),) * 2
_BUTTON_VALUES = itemgetter(*_BUTTON_KEYS)
_BUTTON_SIZES = {len(_BUTTON_KEYS)}
_PLAIN_BUTTON = [str, str, str, int, int]


def parse_seed(value: object) -> str | None:
    """Read a seed: digits or a whole number. 0 is one; "", null and 1.5 are not."""
    if type(value) is int:
        return str(value) if 0 <= value < _BIGGEST_INTEGER else None
    if not isinstance(value, str):
        return None
    digits = value.strip()
    fits = len(digits) <= _LONGEST_SEED and digits.isascii() and digits.isdigit()
    return digits if fits else None


def structure_task(raw: Mapping[str, Any]) -> Task:
    """Structure a task; an absent or unreadable id becomes "".

    Raises:
        ValueError: A value is nested more deeply than any gateway would.
    """
    return _structure_hook()(raw, Task)


def structure_tasks(rows: list[dict[str, Any]]) -> list[Task]:
    """Structure tasks, and use the rows up.

    Each row is a dozen objects: kept until the last one is read, they have the garbage collector
    look through all of them once more.

    Raises:
        ValueError: A value is nested more deeply than any gateway would.
    """
    structure = _structure_hook()
    rows.reverse()
    tasks = []
    while rows:
        tasks.append(structure(rows.pop(), Task))
    return tasks


def _structure_task(raw: dict[str, Any], _: object) -> Task:
    # A call costs as much as most of what is done here: what is usual, or absent, needs none.
    get = raw.get
    extra = {} if _KNOWN_KEYS.issuperset(raw) else _unknown(raw)
    task_id, properties, seed, buttons, images, videos, *texts = map(get, _KEYS)
    if not _TEXT_TYPES.issuperset(map(type, texts)):
        _set_aside(_TEXT_KEYS, texts, extra)
    status = texts[_STATUS] = texts[_STATUS] or ""
    if properties is not None:
        properties = _read_properties(properties, extra)
    plain = status and buttons and seed is images is videos is None
    if seed is not None or (properties and "seed" in properties):
        seed = _read_task_seed(seed, properties, extra)
    task: Any = _Draft(
        task_id if type(task_id) is str else _read_id(task_id, extra),
        *texts,
        *[
            _from_timestamp(value / 1000, UTC)
            if type(value := get(key)) is int and 0 < value < _EXACT_TIMES
            else _read_time(key, value, extra)
            for key in _TIME_KEYS
        ],
        properties,
        seed,
        () if buttons is None else _read_buttons(buttons, extra),
        () if images is None else _read_urls("imageUrls", images, extra),
        () if videos is None else _read_urls("videoUrls", videos, extra),
        extra,
        () if plain else _empty_keys(raw),
    )
    if extra or (properties and not _CONTAINERS.isdisjoint(map(type, properties.values()))):
        _refuse_depth(extra, properties or {})
    task.__class__ = Task
    drafted: Task = task
    return drafted


def _unknown(raw: dict[str, Any]) -> dict[str, Any]:
    extra = dict(raw)
    for key in _KNOWN_KEYS:  # fewer than there are others
        extra.pop(key, None)
    return extra


def _empty_keys(raw: dict[str, Any]) -> tuple[str, ...]:
    get = raw.get
    return tuple([key for key, empty in _EMPTY_VALUES if get(key) == empty])


def _set_aside(keys: tuple[str, ...], values: list[Any], extra: dict[str, Any]) -> None:
    for index, (key, value) in enumerate(zip(keys, values, strict=True)):
        if not isinstance(value, str | None):
            extra[key] = value
            values[index] = None


def _read_id(value: Any, extra: dict[str, Any]) -> str:
    if type(value) is int:
        return str(value)
    if isinstance(value, str | None):
        return value or ""
    extra["id"] = value
    return ""


def _read_time(key: str, value: Any, extra: dict[str, Any]) -> datetime | None:
    """Read milliseconds since 1970, as a number or in digits; 0 means not reached."""
    if value is None:
        return None
    digits = value if type(value) is str and _DIGITS.fullmatch(value) else None
    milliseconds = int(digits) if digits else value
    if type(milliseconds) is int and 0 <= milliseconds <= _LATEST_TIME:
        return EPOCH + milliseconds * _MILLISECOND if milliseconds else None
    extra[key] = value
    return None


def _read_properties(value: Any, extra: dict[str, Any]) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    extra["properties"] = value
    return None


def _read_task_seed(
    value: Any, properties: dict[str, Any] | None, extra: dict[str, Any]
) -> str | None:
    seed = parse_seed(value)
    if seed is None and value not in (None, ""):
        extra["seed"] = value
    if seed is None and properties is not None:
        seed = parse_seed(properties.get("seed"))
    return seed


def _read_urls(key: str, value: Any, extra: dict[str, Any]) -> tuple[str, ...]:
    """Read `["…"]` and `[{"url": "…", "thumbnail": "…"}]`."""
    if value == []:
        return ()
    items = value if isinstance(value, list) else []
    urls = [item.get("url") if isinstance(item, dict) else item for item in items]
    found = tuple(url for url in urls if isinstance(url, str) and url)
    if list(found) != value:
        extra[key] = value
    return found


def _read_buttons(value: Any, extra: dict[str, Any]) -> tuple[Any, ...]:
    """Read the buttons, or the values of plain ones: `Task.buttons` makes buttons of those."""
    if not isinstance(value, list):
        extra["buttons"] = value
        return ()
    try:
        values = tuple(chain.from_iterable(map(_BUTTON_VALUES, value)))
    except (KeyError, TypeError):  # something is absent, or is no object
        return _read_odd_buttons(value, extra)
    whole = _BUTTON_SIZES.issuperset(map(len, value))
    if whole and [*map(type, values)] == _PLAIN_BUTTON * len(value):
        return values
    return _read_odd_buttons(value, extra)


def _read_odd_buttons(value: list[Any], extra: dict[str, Any]) -> tuple[Button, ...]:
    items = [item for item in value if isinstance(item, dict)]
    buttons = tuple(
        Button(*map(_fit, map(item.get, _BUTTON_KEYS), _BUTTON_TYPES)) for item in items
    )
    if [button.to_dict() for button in buttons] != value:
        extra["buttons"] = value
    return buttons


def _fit(value: Any, kinds: tuple[type, ...]) -> Any:
    return value if type(value) in kinds else None


def _refuse_depth(*values: Any) -> None:
    level = [*values]
    for _ in range(1, _DEEPEST):
        level = [
            item
            for value in level
            for item in filter(None, value.values() if isinstance(value, dict) else value)
            if type(item) in _CONTAINERS
        ]
        if not level:
            return
    raise ValueError(f"nested more than {_DEEPEST} levels deep")


@cache  # made on first use: importing the package stays cheap
def _structure_hook() -> Callable[[Any, Any], Task]:
    converter = cattrs.Converter()
    converter.register_structure_hook(Task, _structure_task)
    return converter.get_structure_hook(Task)
