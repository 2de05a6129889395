"""The command `mj-async`. Its dependencies are in the extra `mj_async[cli]`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_DEPENDENCIES = ("cyclopts", "jinja2", "rich", "starlette", "uvicorn")


def main() -> None:
    """Run the command line; exit with 2 if a dependency is missing."""
    missing = [name for name in _DEPENDENCIES if find_spec(name) is None]
    if missing:
        print(
            f"mj-async needs {', '.join(missing)}: python -m pip install 'mj_async[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        from ._app import run_command_line  # noqa: PLC0415  # needs the dependencies

        run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
