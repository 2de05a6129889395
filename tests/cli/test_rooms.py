"""The folders of the command line: imports go down, and a command is imported when it is called."""

from __future__ import annotations

import ast
from pathlib import Path

from mj_async import cli

SOURCE = Path(cli.__file__).parent
LEVELS = [["output"], ["files", "gallery"], ["_options", "_version"], ["commands"], ["_app"]]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FILES = [*SOURCE.glob("*/_*.py"), SOURCE / "_app.py", SOURCE / "_options.py"]


def imported(path: Path) -> set[tuple[str, ...]]:
    """Return the modules of the command line that a file imports."""
    here = path.relative_to(SOURCE).parent.parts
    return {
        (*here[: len(here) + 1 - node.level], *(node.module or "").split("."))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    }


def test_imports_go_down() -> None:
    """A file imports from its own folder and from lower levels."""
    wrong = {}
    for path in FILES:
        own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        others = {names[0] for names in imported(path)} - {own}
        if found := {name for name in others if LEVEL[name] >= LEVEL[own]}:
            wrong[path.name] = found

    assert {} == wrong
    assert len(FILES) > 20


def test_commands_are_imported_late() -> None:
    """`mj-async fetch` does not import what the other commands need; completion needs the app."""
    commands = {names for names in imported(SOURCE / "_app.py") if names[0] == "commands"}

    assert {("commands", "_completion")} == commands
