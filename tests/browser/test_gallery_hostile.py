"""A file full of traps: a gateway, or who wrote a prompt, must not run anything in the page."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.common.exceptions import NoAlertPresentException

from ._page import GalleryPage, eventually
from .conftest import OpenGallery

RUN = "window.trapped = 1; alert(1)"
TEXTS = [
    f"</script><script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f'"><svg onload="{RUN}">',
    f"<!--<script>{RUN}</script>-->",
    f"</template></ol><iframe srcdoc='<script>{RUN}</script>'></iframe>",
    "<style>@import '//127.0.0.1:9'</style><base href=//127.0.0.1:9>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    "{{ constructor.constructor('alert(1)')() }} ${alert(1)} {% raw %}",
    "\u202e\u2066gnp.exe \u2028\u2029 \x00\x1b[31m\x7f \ufeff \r\n\t",
    "\ud800 half \udc00",
    "__proto__",
    "w" * 100_000,
    "</script>" * 11_000,
    "𝖋\u0300" * 20_000,
]
ADDRESSES = [
    f"javascript:{RUN}",
    f"JaVaScRiPt:{RUN}//https://127.0.0.1:9/",
    f"data:text/html,<script>{RUN}</script>",
    f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN}'/>",
    f"\x01javascript:{RUN}",
    f"java\nscript:{RUN}",
    f"vbscript:{RUN}",
    "file:///etc/passwd",
    "//127.0.0.1:9/1.png",
    "blob:null/1",
]
_STRANGE = """
    const known = "HTML HEAD META TITLE STYLE BODY SVG SYMBOL PATH USE HEADER H1 H2 P NOSCRIPT "
        + "DIV LABEL SPAN INPUT SELECT OPTION FIELDSET LEGEND MAIN OL LI BUTTON TEMPLATE A IMG "
        + "DIALOG DL DT DD SCRIPT";
    return [...document.querySelectorAll("*")].filter(e =>
        !known.split(" ").includes(e.tagName.toUpperCase())
        || [...e.attributes].some(a => a.name.startsWith("on") || a.name === "srcdoc")
        || (e.hasAttribute("href") && !/^(https?:|#icon-)/.test(e.getAttribute("href")))
        || (e.hasAttribute("src") && !/^https?:/.test(e.getAttribute("src")))
    ).map(e => e.outerHTML.slice(0, 200));
"""


def hostile_lines() -> list[dict[str, Any]]:
    """Put each text into each field, and each address into a row of its own."""
    everywhere = [
        {
            **dict.fromkeys(("seed", "source", "status", "prompt", "image_url"), text),
            "task_id": f"{text[:2000]}{number}",
            "error": {"type": text, "message": text},
        }
        for number, text in enumerate(TEXTS)
    ]
    addressed = [{"task_id": address, "image_url": address} for address in ADDRESSES]
    return everywhere + addressed


@pytest.fixture
def page(open_gallery: OpenGallery) -> GalleryPage:
    """Open the file of traps, all of it in sight."""
    page = open_gallery(hostile_lines())
    page.look_at(1280, 3000)
    eventually(len(TEXTS) + len(ADDRESSES), lambda: len(page.ids()))
    return page


def at_peace(page: GalleryPage) -> None:
    """Assert that no script ran, nothing was blocked, and no tag is there but the template's."""
    with pytest.raises(NoAlertPresentException):
        page.driver.switch_to.alert.dismiss()

    assert page.run("return window.trapped === undefined")
    assert [] == page.run(_STRANGE)
    assert [] == page.console()


def test_nothing_hostile_runs(page: GalleryPage) -> None:
    """All of it is shown as text; not even the policy has anything to stop."""
    at_peace(page)
    assert 0 == page.run("return document.querySelectorAll('a[href], img[src]').length")


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_details_of_a_hostile_row_are_text(page: GalleryPage, number: int) -> None:
    """The details show every character as it is, and nothing of it runs."""
    page.run("sheet.children[arguments[0]].querySelector('[data-opens]').click()", number)

    assert TEXTS[number] == page.texts("dialog [data-shows=prompt]")[0]
    at_peace(page)


def test_searching_and_sorting_hostile_rows_is_safe(page: GalleryPage) -> None:
    """What is searched for is text, too, and every order can be made."""
    for order in ("Seed", "Prompt", "Id", "File order"):
        page.sort(order)
    page.search("</script><script>")
    eventually(f"Showing 1 of {len(TEXTS) + len(ADDRESSES)}", page.count)

    at_peace(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_text_stays_in_its_card(page: GalleryPage, width: int) -> None:
    """However long a text is, the page is as wide as the window and the cards equally high."""
    page.look_at(width, 800)
    eventually(width, lambda: page.run("return innerWidth"))

    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    script = "return [...document.querySelectorAll('.card')].map(card => card.offsetHeight)"
    eventually(1, lambda: len(set(page.run(script))))


@pytest.mark.parametrize(
    "attack",
    [
        "body.append(document.createElement('script')); body.lastChild.text = 'window.trapped = 1'",
        "body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.trapped = 1\">')",
        "body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')",
        "body.insertAdjacentHTML('beforeend', '<img src=\"data:image/gif;base64,R0lGODlhAQ==\">')",
        "body.insertAdjacentHTML('beforeend', '<iframe src=\"http://127.0.0.1:9/\"></iframe>')",
        "location.href = 'javascript:window.trapped = 1'",
        "fetch('http://127.0.0.1:9/').catch(() => 0)",
    ],
    ids=["script", "handler", "style", "data", "frame", "javascript", "fetch"],
)
def test_the_policy_is_a_second_wall(open_gallery: OpenGallery, attack: str) -> None:
    """Had something come through, the browser would not have run, loaded or styled it."""
    page = open_gallery([])
    page.run(f"const body = document.body; {attack}")

    eventually(True, lambda: any("Content Security Policy" in text for text in page.console()))  # noqa: FBT003
    assert page.run("return window.trapped === undefined")
