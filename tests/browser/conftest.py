"""Chromium for all tests, and for each a page of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from mj_async.cli.commands._gallery import gallery

from ._images import Images, serve_images
from ._lines import write_lines
from ._page import GalleryPage, start_chromium

Figures = list[str]
_FIGURES = pytest.StashKey[Figures]()
OpenGallery = Callable[[Iterable[dict[str, Any]]], GalleryPage]


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what is measured."""
    config.stash[_FIGURES] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was measured."""
    for figure in config.stash[_FIGURES]:
        terminalreporter.write_line(figure)


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Figures:
    """Give the list of what is printed at the end."""
    return pytestconfig.stash[_FIGURES]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    """Give a Chromium whose pages may read the clipboard, and believe to be looked at."""
    driver = start_chromium()
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": permissions})
    driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    yield driver
    driver.quit()


@pytest.fixture
def images() -> Iterator[Images]:
    """Give a server of images."""
    with serve_images() as server:
        yield server


@pytest.fixture
def open_gallery(chromium: Chrome, tmp_path: Path) -> OpenGallery:
    """Give a function that makes a gallery of lines, and opens it as a file."""
    page = GalleryPage(chromium)

    def open_it(lines: Iterable[dict[str, Any]]) -> GalleryPage:
        output = tmp_path / "gallery.html"
        gallery(write_lines(tmp_path / "seeds.jsonl", lines), output=output)
        page.look_at(1280, 860)
        page.console()
        chromium.get(output.as_uri())
        return page

    return open_it
