"""What all tests share; the Python examples in README.md and docs are tests, too."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# The time of an example is not tested, for machines are busy.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

pytest_plugins = ["cli._command_fixtures"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run a test marked `anyio` on asyncio and on trio."""
    return request.param


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's key, address, proxies and terminal from the environment."""
    for name in ("MJ_API_KEY", "MJ_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):  # pytest-xdist sets two of them
        monkeypatch.delenv(name, raising=False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out tests that need a browser, a Redis or frameworks of bots, unless named."""
    name = collection_path.name
    named = any(name in Path(argument).parts for argument in config.args)
    return True if name in {"browser", "distributed", "examples"} and not named else None


class _ByTest(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Distributes single tests, but a page's examples together: they build on each other."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith(".md") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute single tests, so that no process runs a long file alone at the end."""
    return _ByTest(config, log)


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection, for they are many objects."""
    gc.collect()
    gc.freeze()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    # They need a Redis: tests/distributed runs them.
    excludes=["docs/howto/limits.md", "docs/howto/machines.md"],
    fixtures=["no_environment"],
).pytest()
