"""Outcomes as lines of JSON (JSON Lines), and back. No I/O."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mj_async import ImageSeed, SeedOutcome, Task, errors, parse_task

# The lines are similar, so a low level is enough; a higher one only takes more time.
_COMPRESSION_LEVEL = 1


def pack(lines: Iterable[bytes]) -> bytes:
    return zlib.compress(b"".join(lines), _COMPRESSION_LEVEL)


def unpack(part: bytes) -> bytes:
    """Return the lines of a part; an empty part has no lines."""
    return zlib.decompress(part) if part else b""


def _to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_dumps: Callable[[Any], bytes] = import_module("orjson").dumps if find_spec("orjson") else _to_json


def write_line(outcome: SeedOutcome) -> bytes:
    """Return an outcome as a line, as in the output of `mj-async seeds`."""
    value = outcome.to_dict()
    try:
        return _dumps(value) + b"\n"
    except TypeError:  # orjson refuses a lone surrogate, which UTF-8 cannot encode
        return _to_json(value) + b"\n"


def has_seed(line: bytes) -> bool:
    """Return True if a line of `write_line` has a seed. In a text, the quotes are escaped."""
    return line.endswith(b'"error":null}\n')


def lines_by_id(lines: bytes) -> dict[str, bytes]:
    return {str(json.loads(line)["task_id"]): line for line in lines.splitlines(keepends=True)}


def read_outcomes(lines: bytes) -> Iterator[SeedOutcome]:
    """Read outcomes. Of tasks and errors, they have only the fields that a line has."""
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


# Attributes of errors that a line does not have, and their values after reading.
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
    # Without `__init__`, as unpickling does: the message is already made of its arguments.
    kind: type[errors.MJError] = getattr(errors, stored["type"], errors.MJError)
    message = stored["message"]
    error = kind.__new__(kind, message)
    error.args = (message,)  # some classes set it only in `__init__`
    for base, defaults in _NOT_STORED.items():
        if issubclass(kind, base):
            vars(error).update(defaults)
    vars(error).update(task_id=task_id, task=task, code=stored.get("code"), description=message)
    return error
