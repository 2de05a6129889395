"""`mj-async --version`: the versions that a bug report needs."""

from __future__ import annotations

import platform
from importlib.metadata import version
from importlib.util import find_spec


def versions() -> str:
    """Return the versions of mj_async, Python, httpx and orjson, a line each."""
    orjson = f"orjson {version('orjson')}" if find_spec("orjson") else "json of Python (no orjson)"
    python = f"Python {platform.python_version()} ({platform.python_implementation()})"
    return "\n".join(
        [f"mj_async {version('mj_async')}", python, f"httpx {version('httpx')}", orjson]
    )
