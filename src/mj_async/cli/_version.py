"""`mj-async --version`: what runs here, for a report of a fault."""

from __future__ import annotations

import platform
from importlib.metadata import version
from importlib.util import find_spec


def versions() -> str:
    """Name the versions that matter, a line each; the first is that of the package."""
    orjson = f"orjson {version('orjson')}" if find_spec("orjson") else "json of Python (no orjson)"
    python = f"Python {platform.python_version()} ({platform.python_implementation()})"
    return "\n".join(
        [f"mj_async {version('mj_async')}", python, f"httpx {version('httpx')}", orjson]
    )
