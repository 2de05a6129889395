"""Bytes to JSON, and JSON to tasks by cattrs. Pure.

It is tolerant where gateways are (see the gateways page, "The task") and strict elsewhere: a value
of the wrong type is never coerced, it stays in `Task.extra`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from .._models import BUTTON_WIRE_NAMES, EMPTY_VALUES, EPOCH, WIRE_NAMES, Button, Task

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number beyond all bounds")
    return value


def read_json_with_stdlib(body: bytes) -> Any:
    """Read JSON with the standard library.

    It differs from orjson in two things: half a surrogate pair is kept where orjson refuses the
    body, and an integer beyond 64 bits stays one where orjson makes a float of it.

    Raises:
        ValueError: The body is no JSON.
    """
    try:
        # Decoded first, for the standard library would also accept UTF-16.
        return json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(str(error)) from None


_loads = import_module("orjson").loads if find_spec("orjson") else read_json_with_stdlib


def read_json(body: bytes) -> Any:
    """Read JSON with orjson where it is installed; a byte order mark may stand before it.

    Raises:
        ValueError: The body is no JSON.
    """
    return _loads(body.removeprefix(_BYTE_ORDER_MARK))


# orjson gives up at 1024 levels and the standard library at a depth that differs by version;
# what we keep must also survive ==, repr and pickle, which recurse.
_DEEPEST = 64
_SEEDS = range(2**64)
_LONGEST_SEED = 20
_MILLISECOND = timedelta(milliseconds=1)
_LATEST_TIME = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MILLISECOND
# So many milliseconds, up to the year 2106, are exact to the microsecond as a float of seconds.
_EXACT_TIMES = 2**32 * 1000
_DIGITS = re.compile(r"[0-9]{1,15}")
_CONTAINERS = frozenset({dict, list})


def parse_seed(value: object) -> str | None:
    """Return the digits of a seed: 0 is one; "", null and 1.5 are not."""
    if type(value) is int:
        return str(value) if value in _SEEDS else None
    if not isinstance(value, str):
        return None
    digits = value.strip()
    fits = len(digits) <= _LONGEST_SEED and digits.isascii() and digits.isdigit()
    return digits if fits else None


# --- hooks for cattrs: each returns the value of an attribute, or raises TypeError --------------


def _text(value: Any, _: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _whole_number(value: Any, _: object) -> int:
    if type(value) is int:
        return value
    raise TypeError


def _task_id(value: Any, _: object) -> str:
    return str(value) if type(value) is int else _text(value, _)


def _time(value: Any, _: object) -> datetime | None:
    # Milliseconds since 1970, as a number or in digits; 0 means not reached.
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is int and 0 < value < _EXACT_TIMES:
        return datetime.fromtimestamp(value / 1000, UTC)
    if type(value) is int and 0 <= value <= _LATEST_TIME:
        return EPOCH + value * _MILLISECOND if value else None
    raise TypeError


def _properties(value: Any, _: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise TypeError


def _seed(value: Any, _: object) -> str | None:
    seed = parse_seed(value)
    if seed is None and value != "":
        raise TypeError
    return seed


def _urls(value: Any, _: object) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(url, str) and url for url in value):
        return tuple(value)
    raise TypeError


def _buttons(value: Any, _: object) -> tuple[Button, ...]:
    if not isinstance(value, list):
        raise TypeError
    structure, buttons = _hook(Button), []
    for item in value:
        if not isinstance(item, dict) or not _BUTTON_KEYS.issuperset(item):
            raise TypeError
        buttons.append(structure(item, Button))
    return tuple(buttons)


# By wire names, which cattrs renames to those of the attributes.
_BUTTON_HOOKS: dict[str, Callable[[Any, Any], Any]] = {
    "customId": _text,
    "emoji": _text,
    "label": _text,
    "type": _whole_number,
    "style": _whole_number,
}
_BUTTON_KEYS = frozenset(_BUTTON_HOOKS)
_TASK_HOOKS: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(WIRE_NAMES.values(), _text),
    "id": _task_id,
    "submitTime": _time,
    "startTime": _time,
    "finishTime": _time,
    "buttons": _buttons,
    "properties": _properties,
    "seed": _seed,
    "imageUrls": _urls,
    "videoUrls": _urls,
}


@cache  # made on first use: importing the package stays cheap
def converter() -> cattrs.Converter:
    """Return the converter, whose functions for `Task` and `Button` are generated by cattrs."""
    made = cattrs.Converter(detailed_validation=False)
    button = _overrides(BUTTON_WIRE_NAMES, _BUTTON_HOOKS)
    task = _overrides(WIRE_NAMES, _TASK_HOOKS)
    task |= dict.fromkeys(("extra", "empty_keys"), override(struct_hook=lambda value, _: value))
    made.register_structure_hook(Button, make_dict_structure_fn(Button, made, **button))
    made.register_structure_hook(Task, make_dict_structure_fn(Task, made, **task))
    return made


def _overrides(names: dict[str, str], hooks: dict[str, Callable[[Any, Any], Any]]) -> Any:
    return {name: override(rename=key, struct_hook=hooks[key]) for name, key in names.items()}


@cache
def _hook(kind: Any) -> Callable[[Any, Any], Any]:
    return converter().get_structure_hook(kind)


# --- a task ---------------------------------------------------------------------------------------


def structure_task(raw: Mapping[str, Any]) -> Task:
    """Structure a task; an absent or unreadable id becomes "".

    Raises:
        ValueError: A value is nested more deeply than any gateway would.
    """
    structure = _hook(Task)
    extra = {key: value for key, value in raw.items() if key not in _TASK_HOOKS}
    fields = {key: value for key, value in raw.items() if value is not None}
    fields.setdefault("id", "")
    fields["extra"] = extra
    fields["empty_keys"] = tuple([k for k, empty in EMPTY_VALUES.items() if raw.get(k) == empty])
    try:
        task: Task = structure(fields, Task)
    except TypeError:
        _set_aside(fields, extra)
        task = structure(fields, Task)
    if task.seed is None and task.properties and "seed" in task.properties:
        task = attrs.evolve(task, seed=parse_seed(task.properties["seed"]))
    _refuse_depth(extra, task.properties)
    return task


def _set_aside(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    for key, hook in _TASK_HOOKS.items():
        if key in fields and not _fits(hook, fields[key]):
            extra[key] = value = fields.pop(key)
            items = value if isinstance(value, list) else []
            if key == "id":
                fields[key] = ""
            elif key == "buttons":
                fields[key] = [_readable_button(item) for item in items if isinstance(item, dict)]
            elif hook is _urls:
                urls = [item.get("url") if isinstance(item, dict) else item for item in items]
                fields[key] = [url for url in urls if isinstance(url, str) and url]


def _readable_button(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: raw[key] for key, hook in _BUTTON_HOOKS.items() if _fits(hook, raw.get(key))}


def _fits(hook: Callable[[Any, Any], Any], value: Any) -> bool:
    try:
        hook(value, None)
    except TypeError:
        return False
    return True


def _refuse_depth(*values: Any) -> None:
    level = [value for value in values if value]
    for _ in range(1, _DEEPEST):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if item and type(item) in _CONTAINERS
        ]
        if not level:
            return
    raise ValueError(f"nested more than {_DEEPEST} levels deep")
