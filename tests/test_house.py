"""The house of CONTRIBUTING.md: imports go down its levels, and the doors are complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

import mj_async
import mj_async.errors
import mj_async.testing

SOURCE = Path(mj_async.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"

# The table of levels stands once, where contributors read it: | 4 | `_protocol/`, `_config` | … |
ROWS = re.findall(
    r"^\| (\d+) \| ([^|]+) \|", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE
)
LEVELS = {room: int(level) for level, rooms in ROWS for room in re.findall(r"`(\w+)/?`", rooms)}

# The two largest rooms have floors, each above those that it may import.
FLOORS = {
    "cli": ["output gallery _version", "files _options", "commands", "_app", "__init__"],
    "distributed": ["_redis", "_gate _job", "__init__"],
}

# distributed/ may use these private files: they decide and read, and send nothing.
SHARED_WITH_MACHINES = {"_config", "_credentials", "_http/gate", "_http/retry", "_seeds/source"}


def name_of(path: Path) -> str:
    """Return the name of a file inside the package: `_http/pool`, or `_http` for its `__init__`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return "/".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in FILES}


def room_of(name: str) -> str:
    """Return the room of a file: its folder, or its own name if it is beside the folders."""
    return name.partition("/")[0]


def place_of(name: str) -> tuple[str, str]:
    """Return the room of a file, and in a room with floors its folder or itself."""
    room, _, inside = name.partition("/")
    return room, (inside.partition("/")[0] or "__init__") if room in FLOORS else ""


def height_of(name: str) -> tuple[int, int]:
    """Return the level of a file's room, and its floor in there; -1 if it is on none."""
    room, inner = place_of(name)
    floors = [floor for floor, row in enumerate(FLOORS.get(room, [""])) if inner in row.split(" ")]
    return LEVELS[room], next(iter(floors), -1)


def imported_files(name: str, text: str) -> set[str]:
    """Return the files of the package that a text imports, also under TYPE_CHECKING."""
    is_folder = NAMES[name].name == "__init__.py"
    here = [] if name == "__init__" else name.split("/") if is_folder else name.split("/")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
            found.update(
                "/".join(rest) or "__init__" for top, *rest in modules if top == "mj_async"
            )
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".") if node.module else []
            if node.level:
                module = ["mj_async", *here[: len(here) + 1 - node.level], *module]
            if module[0] == "mj_async":
                inner = ("/".join([*module[1:], alias.name]) for alias in node.names)
                folder = "/".join(module[1:]) or "__init__"
                found.update(one if one in NAMES else folder for one in inner)
    return found


GRAPH = {name: imported_files(name, path.read_text("utf-8")) for name, path in NAMES.items()}


def upward_imports(graph: dict[str, set[str]]) -> Iterator[str]:
    """Find imports that do not go down, but for those inside a folder."""
    for name, imported in graph.items():
        for other in imported:
            if place_of(name) != place_of(other) and height_of(name) <= height_of(other):
                yield f"{name} {height_of(name)} imports {other} {height_of(other)}"


def files_used_by(folder: str) -> set[str]:
    """Return what the files of a room import from other rooms."""
    used = set().union(*(GRAPH[name] for name in GRAPH if room_of(name) == folder))
    return {name for name in used if room_of(name) != folder}


def test_every_room_has_a_level() -> None:
    """The table names each room once, and no room that does not exist; it has eleven levels."""
    rooms = [room for _, cell in ROWS for room in re.findall(r"`(\w+)/?`", cell)]

    assert sorted({room_of(name) for name in NAMES}) == sorted(rooms)
    assert [str(level) for level in range(1, 12)] == [level for level, _ in ROWS]
    assert [] == [name for name in NAMES if height_of(name)[1] < 0]


def test_imports_go_down() -> None:
    """A file imports only from rooms of lower levels, and from its own room."""
    assert [] == sorted(upward_imports(GRAPH))


def test_no_files_import_each_other() -> None:
    """There is no circle of files, not inside a room either."""
    assert set(NAMES) == set(TopologicalSorter(GRAPH).static_order())  # CycleError names a circle


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("_models", "if TYPE_CHECKING:\n    from ._client import AsyncMJClient", ["_client"]),
        ("_models", "from . import errors", ["errors"]),
        ("_http/pool", "from .._gateway.auth import Authenticator", ["_gateway/auth"]),
        ("_http", "from .._gateway import auth", ["_gateway/auth"]),
        ("_polling/watch", "from .._seeds import source", ["_seeds/source"]),
        ("_seeds/source", "def read():\n    from mj_async import Task", ["__init__"]),
        ("testing/_gateway", "import mj_async.cli", ["cli"]),
        ("__init__", "from .testing import FakeGateway", ["testing"]),
        ("cli/output/_rows", "from ..files._ids import TaskIds", ["cli/files/_ids"]),
        ("cli/output/_rows", "from .. import _app", ["cli/_app"]),
        ("distributed/_gate/shared_gate", "from .._job import state", ["distributed/_job/state"]),
    ],
)
def test_a_wrong_import_is_found(name: str, text: str, found: list[str]) -> None:
    """The check sees imports up and to the side, in each way of writing them."""
    graph = {name: imported_files(name, text)}

    assert found == sorted(graph[name])
    assert 1 == len(list(upward_imports(graph)))


def test_the_fake_gateway_does_not_share_our_parser() -> None:
    """A fake that shared the parser would share its mistakes."""
    assert {"_client", "_clock", "_config", "errors"} >= files_used_by("testing")


def test_the_command_line_uses_public_names_only() -> None:
    """The command line is a user of the library like any other."""
    assert {"__init__", "errors", "testing", "distributed"} >= files_used_by("cli")


def test_machines_share_no_connection() -> None:
    """distributed/ uses public names, and of the private files only those that send nothing."""
    assert {"__init__", "errors"} | SHARED_WITH_MACHINES >= files_used_by("distributed")


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
