"""The command `mj-async`, which the extra `mj_async[cli]` completes."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_NEEDED = ("cyclopts", "jinja2", "rich", "starlette", "uvicorn")


def main() -> None:
    """Run the command line, or say what it needs."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"mj-async needs {', '.join(missing)}: python -m pip install 'mj_async[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        from ._app import start  # noqa: PLC0415  # only now is it known to be there

        start(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
