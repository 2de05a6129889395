"""The gallery in use: search, sort, filter, copy, details."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ._images import Images
from ._page import FAR_HOST, GalleryPage, eventually
from .conftest import OpenGallery


def line(task_id: str, seed: str | None, prompt: str | None, **fields: Any) -> dict[str, Any]:
    """Make a line without an image."""
    return {"task_id": task_id, "seed": seed, "prompt": prompt, "status": "SUCCESS"} | fields


LONG = "A fox, asleep\n" + "in a drawer of maps " * 100 + "終"
LINES = [
    line("1730621826053455", "900", "A lighthouse at dusk", source="list"),
    line("99", "1387462901", "a Fox in the snow"),
    line("1730621826053457", None, None, error={"type": "TaskNotFoundError", "message": "none"}),
    line("zebra", "18446744073709551617", LONG),
    line("1730621826053456", "0", "a fox at dusk"),
    line("7", None, "fox, refused", error={"type": "TaskFailedError", "message": "Banned prompt"}),
]
IN_FILE = [line["task_id"] for line in LINES]


@pytest.fixture
def page(open_gallery: OpenGallery) -> GalleryPage:
    """Open the six lines."""
    return open_gallery(LINES)


def test_all_rows_are_there_and_the_console_is_empty(page: GalleryPage) -> None:
    """A benign page shows every row as in the file; no policy and no script complains."""
    assert IN_FILE == page.ids()
    assert "Showing all 6" == page.count()
    assert ["6 tasks: 4 with a seed, 2 without. 0 images."] == page.texts(".heading p")
    assert [] == page.console()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fox", ["99", "zebra", "1730621826053456", "7"]),
        ("DUSK fox", ["1730621826053456"]),
        ("1387462901", ["99"]),
        ("30621826053455", ["1730621826053455"]),
        ("終", ["zebra"]),
        ("  ", IN_FILE),
        ("fox.*", []),
    ],
)
def test_search_narrows_the_rows(page: GalleryPage, text: str, found: list[str]) -> None:
    """A row is shown if each word is in its prompt, its seed or its id, in any case."""
    page.search(text)

    eventually(found, page.ids)
    expected = "all 6" if found == IN_FILE else f"{len(found)} of 6"
    assert f"Showing {expected}" == page.count()


@pytest.mark.parametrize(
    ("order", "places"),
    [
        ("File order", [0, 1, 2, 3, 4, 5]),
        ("Seed", [4, 0, 1, 3, 2, 5]),
        ("Prompt", [4, 1, 3, 0, 5, 2]),
        ("Id", [5, 1, 0, 4, 2, 3]),
    ],
)
def test_sort_reorders(page: GalleryPage, order: str, places: list[int]) -> None:
    """Seeds and ids are sorted as numbers of any size; what is not there stands last."""
    page.sort("Prompt")
    page.sort(order)

    eventually([IN_FILE[place] for place in places], page.ids)


def test_the_filter_shows_with_and_without(page: GalleryPage) -> None:
    """Rows with a seed (0 is one) and rows without are shown apart, and errors say why."""
    page.filter("without")

    eventually([IN_FILE[2], "7"], page.ids)
    assert ["No seed", "No seed"] == page.seeds()
    expected = ["TaskNotFoundError: none", "TaskFailedError: Banned prompt"]
    assert expected == page.texts(".card .problem")
    page.filter("with")
    eventually([IN_FILE[0], "99", "zebra", IN_FILE[4]], page.ids)


def test_all_controls_work_together(page: GalleryPage) -> None:
    """Search, filter and sort narrow and order the same rows."""
    page.search("fox")
    page.filter("with")
    page.sort("Seed")

    eventually(["1730621826053456", "99", "zebra"], page.ids)


def test_where_nothing_matches_one_button_shows_all(page: GalleryPage) -> None:
    """An empty sheet says so; its button takes back the search and the filter."""
    page.filter("without")
    page.search("lighthouse")
    eventually([], page.ids)
    page.find("#reset").click()

    eventually(IN_FILE, page.ids)
    assert not page.find("#nothing").is_displayed()


@pytest.mark.parametrize(
    ("kind", "text"), [("seed", "18446744073709551617"), ("id", "zebra"), ("prompt", LONG)]
)
@pytest.mark.parametrize("place", [".card", "dialog"])
def test_copy_buttons_copy(page: GalleryPage, kind: str, text: str, place: str) -> None:
    """Each button puts the whole text into the clipboard, and says that it did."""
    page.search("zebra")
    eventually(["zebra"], page.ids)
    if place == "dialog":
        page.find("[data-opens]").click()
    page.copy(kind, within=place)
    button = page.find(f"{place} [data-copies={kind}]")

    eventually(f"Copied {kind}", lambda: button.get_attribute("aria-label"))
    assert text == page.clipboard()
    assert f"Copied {kind}" in page.texts("[role=status]")
    eventually(f"Copy {kind}", lambda: button.get_attribute("aria-label"))


def test_what_is_not_there_cannot_be_copied(page: GalleryPage) -> None:
    """A row without seed and prompt has the button for its id alone."""
    page.search(IN_FILE[2])
    eventually([IN_FILE[2]], page.ids)
    buttons = page.driver.find_elements(By.CSS_SELECTOR, ".card [data-copies]")

    shown = [button.get_attribute("data-copies") for button in buttons if button.is_displayed()]
    assert ["id"] == shown


def test_copying_works_on_plain_http(page: GalleryPage, images: Images, tmp_path: Path) -> None:
    """Where a browser gives a page no clipboard, the text is copied in the old way."""
    images.pages["/gallery"] = tmp_path / "gallery.html"
    page.driver.get(f"http://{FAR_HOST}:{images.server_port}/gallery")

    assert page.run("return navigator.clipboard === undefined")
    page.copy("seed")
    button = page.find(".card [data-copies=seed]")
    eventually("Copied seed", lambda: button.get_attribute("aria-label"))
    assert button == page.driver.switch_to.active_element
    page.driver.get((tmp_path / "gallery.html").as_uri())
    assert "900" == page.clipboard()


def test_details_show_all_of_a_task(page: GalleryPage) -> None:
    """The details have every field, the prompt to its end; Escape goes back to where one was."""
    page.search("zebra")
    eventually(["zebra"], page.ids)
    page.find("[data-opens]").send_keys(Keys.ENTER)

    assert LONG not in page.texts(".card .prompt")
    assert ["18446744073709551617", "zebra", LONG, "SUCCESS"] == page.texts("dialog [data-shows]")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    eventually(False, lambda: page.run("return details.open"))  # noqa: FBT003
    assert page.find("[data-opens]") == page.driver.switch_to.active_element
