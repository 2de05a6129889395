"""The gallery in Chromium, as its user sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import attrs
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

_PATIENCE = 10.0
# A name that is not loopback's, where a browser has no clipboard for plain http.
FAR_HOST = "gallery.example"


def start_chromium() -> webdriver.Chrome:
    """Start Debian's Chromium by Debian's driver: nothing is fetched for it."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")  # which root, as CI is, cannot have
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument(f"--host-resolver-rules=MAP {FAR_HOST} 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def eventually(expected: object, actual: Callable[[], object]) -> None:
    """Assert that it becomes what is expected: a page draws when its next frame is due."""
    end = time.monotonic() + _PATIENCE
    while (last := actual()) != expected and time.monotonic() < end:
        time.sleep(0.02)

    assert expected == last, f"{expected!r} was expected, and {last!r} is there"


@attrs.frozen
class GalleryPage:
    """The page that is open."""

    driver: webdriver.Chrome

    def look_at(self, width: int, height: int, scheme: str = "light") -> None:
        """Give the window a size, and a colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme_feature]})

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script of the test's, which the page's policy does not bind."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Find the first element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """Give the whole text of each element that is not hidden."""
        script = (
            "[...document.querySelectorAll(arguments[0])]"
            ".filter(e => !e.hidden).map(e => e.textContent)"
        )
        # As JSON, which can carry the half of a pair; the driver's own answer cannot.
        texts: list[str] = json.loads(self.run(f"return JSON.stringify({script})", selector))
        return texts

    def seeds(self) -> list[str]:
        """Give the seeds of the cards, in their order."""
        return self.texts(".card .seed")

    def ids(self) -> list[str]:
        """Give the ids of the cards, in their order."""
        return self.texts(".card .id")

    def count(self) -> str:
        """Give what is said about how many are shown."""
        return self.find("#count").text

    def search(self, text: str) -> None:
        """Type into the search field, in place of what is there."""
        field = self.find("#search")
        field.clear()
        field.send_keys(text)

    def sort(self, order: str) -> None:
        """Choose an order by its name."""
        Select(self.find("#sort")).select_by_visible_text(order)

    def filter(self, name: str) -> None:
        """Choose which are shown: `all`, `with` or `without`."""
        self.find(f"#filter [value={name}]").click()

    def scroll_to_end(self) -> None:
        """Scroll down as far as it goes."""
        self.run("scrollTo(0, document.documentElement.scrollHeight)")

    def copy(self, kind: str, within: str = ".card") -> None:
        """Press the first button that copies this."""
        self.find(f"{within} [data-copies={kind}]").click()

    def clipboard(self) -> str:
        """Read the clipboard."""
        script = "navigator.clipboard.readText().then(arguments[0], String)"
        text: str = self.driver.execute_async_script(script)
        return text

    def console(self) -> list[str]:
        """Give what the console says since it was last asked: a page at peace says nothing."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
