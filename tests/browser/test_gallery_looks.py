"""The gallery for eyes, ears and hands: narrow and wide, light and dark, named controls."""

from __future__ import annotations

import pytest

from ._images import Images
from ._lines import lines
from ._page import GalleryPage, eventually
from .conftest import OpenGallery

SIZES = [(320, 640), (360, 780), (720, 900), (1280, 860), (2560, 1300)]
# What WCAG 2.2 AA asks for: of text, and of the edges and icons that make a control one.
TEXT_CONTRAST, EDGE_CONTRAST = 4.5, 3.0
TEXTS = ("h1", ".heading p", ".count", ".name", "#search", "#sort", ".choices span", ".absence")
CARD_TEXTS = (".seed", ".prompt", ".problem", ".id", ".without .seed")
EDGES = ("#search", "#sort", ".choices")
_NAMED = {"button", "link", "textbox", "searchbox", "combobox", "radio", "list", "group", "dialog"}
_COLOURS = """
    const [selector, kind] = arguments;
    const behind = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
    };
    return [...document.querySelectorAll(selector)].map(element => [
        getComputedStyle(element)[kind],
        behind(kind === "color" ? element : element.parentElement),
    ]);
"""


@pytest.fixture
def page(open_gallery: OpenGallery, images: Images) -> GalleryPage:
    """Open sixty rows, some of them without a seed or an image."""
    return open_gallery(lines(60, f"{images.address}/image/{{number}}/9/x"))


def luminance(colour: str) -> float:
    """Give the relative luminance of `rgb(r, g, b)`, as WCAG defines it."""
    parts = [int(part) / 255 for part in colour.strip("rgb()").split(",")]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def worst(page: GalleryPage, selector: str, kind: str) -> float:
    """Give the worst contrast of these elements with what is behind them."""
    pairs: list[list[str]] = page.run(_COLOURS, selector, kind)
    return min(contrast(*pair) for pair in pairs)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_every_window(page: GalleryPage, width: int, height: int) -> None:
    """From 320 pixels on nothing is wider than the window, and no control is cut."""
    page.look_at(width, height)
    eventually(width, lambda: page.run("return innerWidth"))

    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    right = "return Math.max(...[...document.querySelectorAll('main *, .controls *')]"
    assert width >= page.run(f"{right}.map(e => e.getBoundingClientRect().right))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(page: GalleryPage, scheme: str) -> None:
    """Text and the edges of controls have the contrast that WCAG AA asks for."""
    page.look_at(1280, 860, scheme)
    page.find("#search").send_keys(" ")
    bad = [text for text in (*TEXTS, *CARD_TEXTS) if worst(page, text, "color") < TEXT_CONTRAST]
    weak = [edge for edge in EDGES if worst(page, edge, "borderColor") < EDGE_CONTRAST]

    assert [] == bad + weak


def test_the_scheme_is_followed(page: GalleryPage) -> None:
    """Where dark is preferred, the page is dark."""
    behind = "return getComputedStyle(document.body).backgroundColor"
    light = luminance(page.run(behind))
    page.look_at(1280, 860, "dark")

    assert luminance(page.run(behind)) < 0.05
    assert light > 0.8


def test_every_control_has_a_name(page: GalleryPage) -> None:
    """Who cannot see the page is told what each control does."""
    page.driver.execute_cdp_cmd("Accessibility.enable", {})
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
    controls = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"] and node["role"]["value"] in _NAMED
    ]

    assert [] == [role for role, name in controls if not name.strip()]
    assert {("searchbox", "Search"), ("combobox", "Sort"), ("group", "Show")} <= set(controls)
    assert {("radio", name) for name in ("All", "With seed", "Without")} <= set(controls)


def test_buttons_are_large_enough_to_be_hit(page: GalleryPage) -> None:
    """Each is at least 32 pixels wide and high on a phone."""
    page.look_at(360, 780)
    eventually(360, lambda: page.run("return innerWidth"))
    script = (
        "return Math.min(...[...document.querySelectorAll('.card button:not([hidden])')]"
        ".flatMap(b => [b.offsetWidth, b.offsetHeight]))"
    )

    assert page.run(script) >= 32
