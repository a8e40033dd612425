"""What every page must be: self-contained, fit for a phone, and silent in headless Chromium."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Error, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE = 390
BLANK = "about:blank"
# Milliseconds for one step, on a busy machine.
PATIENCE = 120_000
INKS = {"light": "rgb(31, 35, 40)", "dark": "rgb(230, 232, 234)"}
OUTSIDE = """() => [...document.querySelectorAll("main *")]
  .filter((element) => !element.closest(".scroll") && !element.closest("svg"))
  .filter((element) => element.getBoundingClientRect().right > 391)
  .map((element) => element.outerHTML.slice(0, 80))"""
"""What sticks out of a page 390 pixels wide, outside boxes that scroll."""


NOTE_FAULTS = "window.addEventListener('error', () => { window.scriptFailed = true; });"
DRAWN_OR_FAILED = "(ready) => window.scriptFailed || document.querySelector(ready) !== null"


@contextmanager
def launched() -> Iterator[Page]:
    """A page of the Chromium on the PATH.

    One for all tests: a renderer that has compiled the chart library once draws a report in a third of
    the time. Every opening is a new document.
    """
    executable = next(path for path in map(shutil.which, NAMES) if path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=QUIET)
        page = browser.new_page()
        page.add_init_script(NOTE_FAULTS)
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


@contextmanager
def watched(page: Page, ready: str) -> Iterator[Callable[[Path, int], Page]]:
    """Yield what opens a file at a width; at the end there may have been no fault.

    Args:
        page: where to open it.
        ready: the selector of what a drawn page has.
    """
    faults: list[str] = []
    addresses: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        faults.append(f"console: {message.text}")

    def on_error(error: Error) -> None:
        faults.append(f"error: {error}")

    def on_request(request: Request) -> None:
        if request.url not in addresses and not request.url.startswith("data:"):
            faults.append(f"request: {request.url}")

    def opened(path: Path, width: int) -> Page:
        addresses.append(path.as_uri())
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(addresses[-1])
        # A script that failed draws nothing, however long one waits.
        page.wait_for_function(DRAWN_OR_FAILED, arg=ready)
        assert not faults, faults
        return page

    page.on("console", on_console)
    page.on("pageerror", on_error)
    page.on("request", on_request)
    yield opened
    addresses.append(BLANK)
    page.emulate_media(color_scheme="null")
    page.goto(BLANK)
    page.remove_listener("console", on_console)
    page.remove_listener("pageerror", on_error)
    page.remove_listener("request", on_request)
    assert not faults, faults


def assert_fits_a_phone(page: Page, plot: str) -> None:
    """At a width of ``PHONE`` nothing sticks out, in light and in dark; colours of the plot follow."""
    open_details(page)
    for scheme, ink in INKS.items():
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        # The title is looked up anew each time: a redraw replaces it.
        page.wait_for_function(
            "([plot, ink]) => getComputedStyle(document.querySelector(plot + ' .xtitle')).fill === ink",
            arg=[plot, ink],
        )
        assert page.evaluate("getComputedStyle(document.body).color") == ink
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert page.evaluate(OUTSIDE) == []


def open_details(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")


WIDE = """() => [...document.querySelectorAll(".scroll")].map((box) => {
  const hint = box.previousElementSibling;
  const over = box.scrollWidth - box.clientWidth;
  box.scrollLeft = over;
  const inside = [...box.querySelectorAll("tr > :last-child")]
    .every((cell) => cell.getBoundingClientRect().right <= box.getBoundingClientRect().right + 1);
  return { over: over > 1, hinted: !hint.hidden && hint.getBoundingClientRect().height > 0, inside };
})"""
"""Of every box that scrolls: whether its table is wider, says so, and can be moved to its last column."""


def wide_tables(page: Page) -> list[dict[str, bool]]:
    """Every box that scrolls; each says so exactly where its table is wider, and shows its last column."""
    open_details(page)
    # The toggle event comes after the opening.
    page.wait_for_function(f"() => ({WIDE})().every((box) => box.over === box.hinted)")
    boxes: list[dict[str, bool]] = page.evaluate(WIDE)
    assert all(box["inside"] for box in boxes), boxes
    return boxes


def own_markup(page: str) -> str:
    """The page without the chart library."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def assert_refers_to_nothing_outside(page: str) -> None:
    """Every link and source is inside the file."""
    text = own_markup(page)
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert links
    assert all(link.startswith("data:") for link in links)
    assert "@import" not in text
    assert "url(" not in text
