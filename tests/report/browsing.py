"""Pages in headless Chromium, watched: nothing may be logged, or requested from elsewhere."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
OUTSIDE = """() => [...document.querySelectorAll("main *")]
  .filter((element) => !element.closest(".scroll") && !element.closest("svg"))
  .filter((element) => element.getBoundingClientRect().right > 391)
  .map((element) => element.outerHTML.slice(0, 80))"""
"""What sticks out of a page 390 pixels wide, outside boxes that scroll."""


@contextmanager
def launched() -> Iterator[Browser]:
    """The Chromium on the PATH."""
    executable = next(path for path in map(shutil.which, NAMES) if path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, ready: str) -> Iterator[Callable[[Path, int], Page]]:
    """Yield what opens a file at a width; at the end there may have been no fault.

    Args:
        browser: to open pages in.
        ready: the selector of what a drawn page has.
    """
    faults: list[str] = []
    pages: list[Page] = []

    def opened(path: Path, width: int) -> Page:
        address = path.as_uri()
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: (
                faults.append(f"request: {request.url}")
                if request.url != address and not request.url.startswith("data:")
                else None
            ),
        )
        page.goto(address)
        page.wait_for_selector(ready, state="attached")
        return page

    yield opened
    for page in pages:
        page.close()
    assert faults == []
