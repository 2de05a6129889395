"""PURE: text for terminals and for machines, which no gateway's words can steer."""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters, line breaks of every kind, lone surrogates, and what turns the direction
# of writing: an escape sequence begins with one of them, and a line ends with one.
_CONTROL_CHARACTERS = (
    "\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
)
_UNSAFE = re.compile(f"[{_CONTROL_CHARACTERS}\\ud800-\\udfff]")
_UNSAFE_RUN = re.compile(f"[{_CONTROL_CHARACTERS}\\ud800-\\udfff]+")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def sanitize(text: str) -> str:
    """Give the text as one line that a terminal only shows."""
    return _UNSAFE_RUN.sub(" ", text)


def to_json_line(value: Any, *, ascii_only: bool = False) -> str:
    """Give JSON in one line, with escapes in place of what a terminal would obey.

    Args:
        value: What to write.
        ascii_only: Whether every character beyond ASCII is escaped, too.
    """
    text = json.dumps(value, ensure_ascii=ascii_only)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def format_duration(seconds: float) -> str:
    """Give a time in at most six characters: `41s`, `2m05s`, `3h12m`, `5d04h`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"
