"""PURE: outcomes as the lines of a part, and back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mj_async import ImageSeed, SeedOutcome, Task, errors, parse_task

# Text of many lines that are alike: more effort would cost more time than memory.
_COMPRESSION_LEVEL = 1


def pack(lines: Iterable[bytes]) -> bytes:
    """Make a part of lines, for Redis."""
    return zlib.compress(b"".join(lines), _COMPRESSION_LEVEL)


def unpack(part: bytes) -> bytes:
    """Give the lines of a part; none of an empty one."""
    return zlib.decompress(part) if part else b""


def _to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_dumps: Callable[[Any], bytes] = import_module("orjson").dumps if find_spec("orjson") else _to_json


def write_line(outcome: SeedOutcome) -> bytes:
    """Write an outcome as a line of `mj-async seeds`."""
    value = outcome.to_dict()
    try:
        return _dumps(value) + b"\n"
    except TypeError:  # orjson's, for half a character, which no UTF-8 can say
        return _to_json(value) + b"\n"


def has_seed(line: bytes) -> bool:
    """Tell whether a line of ours has a seed; within a text its quotes would be escaped."""
    return line.endswith(b'"error":null}\n')


def lines_by_id(lines: bytes) -> dict[str, bytes]:
    """Tell the lines of a part apart."""
    return {str(json.loads(line)["task_id"]): line for line in lines.splitlines(keepends=True)}


def read_outcomes(lines: bytes) -> Iterator[SeedOutcome]:
    """Read outcomes: what a line does not say of a task or an error is not known any more."""
    return map(_read_outcome, map(json.loads, lines.splitlines()))


def _read_outcome(line: dict[str, Any]) -> SeedOutcome:
    task_id, task = line["task_id"], _read_task(line)
    if line["error"] is None:
        return SeedOutcome(task_id, ImageSeed(task_id, line["seed"], line["source"], task))
    return SeedOutcome(task_id, error=_read_error(line["error"], task_id, task))


def _read_task(line: dict[str, Any]) -> Task | None:
    if line["status"] is None:
        return None
    names = {"id": "task_id", "status": "status", "prompt": "prompt", "imageUrl": "image_url"}
    return parse_task({wire: line[name] for wire, name in names.items()})


# What a line does not say of an error, and how it is then.
_NOT_STORED: Mapping[type[errors.MJError], dict[str, Any]] = {
    errors.TransportError: {"temporary": True},
    errors.UnexpectedAnswerError: {
        "reason": "json",
        "status_code": None,
        "content_type": "",
        "snippet": "",
    },
    errors.APIError: {"status_code": None, "request_id": None, "retry_after": None},
    errors.TaskError: {"elapsed": 0.0, "polls": 0},
}


def _read_error(stored: dict[str, Any], task_id: str, task: Task | None) -> errors.MJError:
    """Make an error as unpickling does: what `__init__` takes, its message is made of already."""
    kind: type[errors.MJError] = getattr(errors, stored["type"], errors.MJError)
    message = stored["message"]
    error = kind.__new__(kind, message)
    error.args = (message,)  # which that of some leaves to `__init__`
    for base, defaults in _NOT_STORED.items():
        if issubclass(kind, base):
            vars(error).update(defaults)
    vars(error).update(task_id=task_id, task=task, code=stored.get("code"), description=message)
    return error
