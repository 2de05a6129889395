"""The house: a file imports only from levels above its own, and the door is complete."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import mj_async
import mj_async.errors
import mj_async.testing

SOURCE = Path(mj_async.__file__).parent
LEVELS = [
    ["_models", "_clock", "_json"],
    ["_task_list", "_stages", "_bell"],
    ["errors"],
    [
        "_access",
        "_proxy",
        "_checks",
        "_landing",
        "_credentials",
        "_lifecycle",
        "_life",
        "_outcomes",
    ],
    ["_pulse", "_queues", "_run", "_settings", "_config", "_lanes"],
    ["_protocol", "_http_client", "_intake", "_retry"],
    ["_gate", "_log", "_statistics", "_wire"],
    ["_exchange", "_http"],
    ["_ledger", "_schedule"],
    ["_waiting", "_bulk"],
    ["_alone", "_scheme"],
    ["_lists"],
    ["_gateway", "_agenda"],
    ["_driver"],
    ["_seats", "_task_run"],
    ["_poller"],
    ["_polling", "_seeds"],
    ["_client"],
    ["__init__"],
    ["testing", "distributed"],
    ["cli"],
]
ROOMS = {name: level for level, names in enumerate(LEVELS) for name in names}


def room_of(path: Path) -> str:
    """Give the room of a file: its folder, or its own name at the top."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Name the rooms that a file imports, also under TYPE_CHECKING."""
    depth = len(path.relative_to(SOURCE).parts)
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            module = (node.module or "").partition(".")[0]
            rooms.update([module] if module else [alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom) and node.module == "mj_async":
            private = {alias.name for alias in node.names if alias.name.startswith("_")}
            public = {"__init__"} if len(private) < len(node.names) else set()
            rooms |= private | public
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mj_async."):
            rooms.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            rooms.update("__init__" for alias in node.names if alias.name == "mj_async")
    return rooms


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_up(path: Path) -> None:
    """A file imports only from rooms of the levels above its own."""
    level = ROOMS[room_of(path)]
    not_above = {room for room in imported_rooms(path) if ROOMS[room] >= level}

    assert set() == not_above


def test_a_wrong_import_is_found() -> None:
    """The check sees an import that goes down, also where only types need it."""
    wrong = SOURCE / "_models.py"
    text = "if TYPE_CHECKING:\n    from ._client import AsyncMJClient\n"

    nodes = ast.walk(ast.parse(text))
    found = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]

    assert ["_client"] == found
    assert ROOMS["_client"] > ROOMS[room_of(wrong)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_file_has_a_room(path: Path) -> None:
    """There is no file that the house does not know."""
    assert room_of(path) in ROOMS


def test_the_fake_gateway_does_not_share_our_reader() -> None:
    """A fake that shared the reader would share its mistakes."""
    rooms = set().union(*(imported_rooms(path) for path in (SOURCE / "testing").glob("*.py")))

    assert set() == rooms & {"_protocol"}


def test_the_command_line_uses_public_names_only() -> None:
    """The command line is a user like any other, but for the set that ids are counted with."""
    rooms = set().union(*(imported_rooms(path) for path in (SOURCE / "cli").rglob("*.py")))

    assert rooms <= {"__init__", "testing", "distributed"}


def test_machines_share_pure_rooms_only() -> None:
    """What many machines share uses public names, and of the rest only what does no I/O."""
    files = (SOURCE / "distributed").rglob("*.py")
    rooms = set().union(*(imported_rooms(path) for path in files))

    assert rooms <= {"__init__", "_access", "_checks", "_gate", "_intake", "_retry"} | {
        "_config",
        "_credentials",
        "_http",
        "_seeds",
    }


@pytest.mark.parametrize(
    "module", [mj_async, mj_async.errors, mj_async.testing], ids=lambda module: module.__name__
)
def test_all_is_sorted_and_complete(module: object) -> None:
    """`__all__` names what can be imported, sorted as ruff sorts it, and all of it exists."""
    names: list[str] = list(vars(module)["__all__"])
    public = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "").startswith("mj_async") and name[0] != "_"
    }

    assert (
        sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == names
    )
    assert public <= set(names)
    assert all(hasattr(module, name) for name in names)


def test_the_version_is_that_of_the_package() -> None:
    """The version is read from the metadata, and other names are refused as usual."""
    assert version("mj_async") == mj_async.__version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mj_async.nothing  # type: ignore[attr-defined]  # noqa: B018
