"""PURE: safe text and JSON for terminals, whatever a gateway sends; and durations."""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters, all line breaks, and marks that change the direction of writing. Every
# escape sequence begins with one of them.
_CONTROL_CHARACTERS = (
    "\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
)
_UNSAFE = re.compile(f"[{_CONTROL_CHARACTERS}\\ud800-\\udfff]")
_UNSAFE_RUN = re.compile(f"[{_CONTROL_CHARACTERS}\\ud800-\\udfff]+")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def sanitize(text: str) -> str:
    """Return the text as one line without control characters and lone surrogates."""
    return _UNSAFE_RUN.sub(" ", text)


def to_json_line(value: Any, *, ascii_only: bool = False) -> str:
    """Return JSON as one line, with control characters and lone surrogates escaped.

    Args:
        value: The value.
        ascii_only: True to escape all characters beyond ASCII as well.
    """
    text = json.dumps(value, ensure_ascii=ascii_only)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def format_duration(seconds: float) -> str:
    """Return a duration in at most six characters: `41s`, `2m05s`, `3h12m`, `5d04h`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"
