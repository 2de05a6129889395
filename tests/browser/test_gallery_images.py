"""The gallery's images: by their addresses, only those near the window, and they may be gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._images import Images
from ._lines import lines
from ._page import GalleryPage, eventually
from .conftest import OpenGallery

MANY = 2_000
_SHIFT = """
    const done = arguments[0];
    new PerformanceObserver((list, observer) => {
        observer.disconnect();
        done(list.getEntries().reduce((sum, entry) => sum + entry.value, 0));
    }).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(0), 500);  // no entry, no call
"""
_LOADED = "return [...document.images].filter(image => image.naturalWidth).length"


def line(number: int, image_url: str | None) -> dict[str, Any]:
    """Make a line with a seed and this image."""
    return {"task_id": str(number), "seed": str(number), "image_url": image_url}


def heights(page: GalleryPage) -> set[float]:
    """Give the heights of all cards."""
    script = "return [...document.querySelectorAll('.card')].map(c => c.offsetHeight)"
    return set(page.run(script))


def test_only_images_near_the_window_are_asked_for(
    open_gallery: OpenGallery, images: Images
) -> None:
    """Of two thousand images a few are fetched; the last one is when it is scrolled to."""
    page = open_gallery(line(number, images.image(number)) for number in range(MANY))
    last = "/image/1024/1024/1999"

    eventually(True, lambda: page.run(_LOADED) > 0)  # noqa: FBT003
    assert "/image/1024/1024/0" in images.asked
    assert len(images.asked) < 60
    assert last not in images.asked
    page.scroll_to_end()
    eventually(True, lambda: last in images.asked)  # noqa: FBT003
    assert len(images.asked) < 120
    assert [] == page.console()


def test_no_server_learns_where_its_image_is_shown(
    open_gallery: OpenGallery, images: Images, tmp_path: Path
) -> None:
    """An image is asked for without a referrer, from a page on the web too."""
    page = open_gallery([line(1, images.image(1))])
    images.pages["/gallery"] = tmp_path / "gallery.html"
    page.driver.get(f"{images.address}/gallery")

    eventually(1, lambda: page.run(_LOADED))
    assert [] == images.referrers


def test_an_image_that_is_gone_leaves_a_quiet_place(
    open_gallery: OpenGallery, images: Images
) -> None:
    """A dead address and no address show words, are no links, and cost no second request."""
    dead = f"{images.address}/attachments/1.png?ex=66"
    page = open_gallery([line(1, images.image(1)), line(2, dead), line(3, None)])

    eventually(["", "Image not available", "No image"], lambda: page.texts(".absence"))
    assert 1 == len(page.run("return [...document.querySelectorAll('a[href]')]"))
    page.search("3")
    eventually(["3"], page.ids)
    page.search(" ")
    eventually(["1", "2", "3"], page.ids)
    assert ["", "Image not available", "No image"] == page.texts(".absence")
    assert 1 == images.asked.count("/attachments/1.png?ex=66")


def test_nothing_moves_when_images_come_or_fail(open_gallery: OpenGallery, images: Images) -> None:
    """Wide, high, dead and absent images have cards of one size, and the layout never shifts."""
    addresses = [
        images.image("wide", 2000, 100),
        images.image("high", 100, 2000),
        images.image("tiny", 1, 1),
        f"{images.address}/gone.png",
        None,
    ] * 4
    page = open_gallery(line(number, address) for number, address in enumerate(addresses))

    eventually(12, lambda: page.run(_LOADED))
    eventually(4, lambda: page.texts(".absence").count("Image not available"))
    assert 1 == len(heights(page))
    assert 0 == page.driver.execute_async_script(_SHIFT)


def test_images_stay_when_the_search_changes(open_gallery: OpenGallery, images: Images) -> None:
    """A row that stays in sight keeps its card, so that its image does not flicker."""
    page = open_gallery(lines(30, f"{images.address}/image/{{number}}/9/x"))
    card = page.find(".card")
    page.search(page.ids()[0])
    eventually(1, lambda: len(page.ids()))

    assert card == page.find(".card")
