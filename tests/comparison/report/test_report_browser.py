"""A comparison's page in headless Chromium: exact, interactive, silent, fit for a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page
from tests.comparison.report.conftest import MakeFolder
from tests.report.browsing import (
    OUTSIDE,
    PHONE,
    assert_fits_a_phone,
    launched,
    watched,
    wide_tables,
)

from featureconvex.comparison.folder import read_comparison
from featureconvex.comparison.norm_equivalence import conversion_factor
from featureconvex.comparison.report.write import write_comparison_report
from featureconvex.results.statistics.intervals import clopper_pearson

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with launched() as page:
        yield page


@pytest.fixture
def open_page(browser: Page, comparison_report: Path) -> Iterator[Open]:
    with watched(browser, "main") as opened:
        yield lambda width=1100, folder=comparison_report: opened(folder / "report.html", width)


def readings(page: Page) -> dict[str, tuple[str, str]]:
    """Certified share and interval by the name of the line."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll("#reading tbody tr")].map((row) =>
             [row.querySelector("th span").firstChild.textContent,
              row.cells[1].textContent, row.cells[2].textContent])"""
    )
    return {
        name: (share.replace("\u00a0", " "), interval.replace("\u00a0", " "))
        for name, share, interval in rows
    }


def expected(radii: pd.Series, radius: float) -> tuple[str, str]:
    k, n = int(((radii >= radius) & (radii > 0)).sum()), len(radii)
    low, high = (float(np.asarray(end)) for end in clopper_pearson(k, n))
    return words(k / n), f"{words(low)} to {words(high)}"


def words(share: float) -> str:
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"


def sensitive(folder: Path, name: str, setting: str) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "rows.parquet")
    return rows[(rows["method"] == name) & (rows["setting"] == setting) & (rows["label"] == 1)]


def choose(page: Page, norm: str) -> None:
    page.locator(f'input[name="norm"][value="{norm}"] + span').click()


def read_off(page: Page, radius: float) -> dict[str, tuple[str, str]]:
    page.locator("#radius-value").fill(repr(radius))
    return readings(page)


def test_reads_off_what_the_rows_say_in_every_norm(
    open_page: Open, comparison_report: Path
) -> None:
    page = open_page()
    cayley = sensitive(comparison_report, "cayley", "")["radius_l2_certified"]
    for norm, factor in (
        ("l1", 1.0),
        ("l2", 1.0),
        ("linf", conversion_factor(2.0, np.inf, 784)),
    ):
        choose(page, norm)
        # A radius that is one of the points' own: a tie counts as certified.
        tie = float((cayley * factor).quantile(0.6, interpolation="nearest"))
        for radius in (0.0, tie, float(np.nextafter(tie, 99))):
            assert read_off(page, radius)["cayley"] == expected(cayley * factor, radius)
    # feature-convex is shown at the setting that is best in the norm.
    best = sensitive(comparison_report, "feature-convex", "recipe default, norm linf")
    share = read_off(page, 0.05)["feature-convex"]
    assert share == expected(best["radius_linf_closed-form"], 0.05)
    assert len(readings(page)) == 11


def test_settings_and_levels_of_one_method(open_page: Open, comparison_report: Path) -> None:
    page = open_page()
    choose(page, "l1")
    page.locator("#group-choice").select_option("settings:splitting")
    shown = read_off(page, 2.5)
    assert set(shown) == {f"sigma {s}" for s in (0.75, 1.5, 2.25, 3.0)}
    for setting, reading in shown.items():
        radii = sensitive(comparison_report, "splitting", setting)["radius_l1_certified"]
        assert reading == expected(radii, 2.5)
    page.locator("#group-choice").select_option("levels:feature-convex")
    shown = read_off(page, 30.0)
    assert set(shown) == {"closed-form", "domain", "tight", "sound"}
    rows = sensitive(comparison_report, "feature-convex", "recipe default, norm l1")
    # Infinite radii hold at every radius.
    assert shown["tight"] == expected(rows["radius_l1_tight"], 30.0)
    assert shown["tight"][0] != "0 %"
    assert "filled: floating-point sound" in page.locator("#dash-key").inner_text()


def test_the_largest_share_stands_first(open_page: Open) -> None:
    page = open_page()
    for norm, radius in (("l1", 3.0), ("linf", 0.1)):
        choose(page, norm)
        shares = [float(share.split()[0]) for share, _ in read_off(page, radius).values()]
        assert shares == sorted(shares, reverse=True)
        assert shares[0] > shares[-1]


def test_the_slider_moves_the_reading_and_the_line(open_page: Open) -> None:
    page = open_page()
    before = readings(page)
    top = float(page.locator("#radius-slider").get_attribute("max") or 0)
    page.locator("#radius-slider").fill(str(0.1 * top))
    assert float(page.locator("#radius-value").input_value()) == pytest.approx(0.1 * top)
    assert readings(page) != before
    assert page.locator("#plot-curves .shapelayer path").count() == 1


def test_lines_can_be_hidden(open_page: Open) -> None:
    page = open_page()
    lines = page.locator("#plot-curves .trace")
    page.wait_for_function("() => document.querySelectorAll('#plot-curves .trace').length === 11")
    page.locator("#reading tbody input").first.uncheck()
    page.wait_for_function("() => document.querySelectorAll('#plot-curves .trace').length === 10")
    choose(page, "l2")
    assert lines.count() == 10
    assert page.locator("#reading tbody input:not(:checked)").count() == 1


def test_dashes_tell_the_kinds_apart(open_page: Open) -> None:
    page = open_page()
    choose(page, "l2")
    dashes = page.evaluate(
        """() => Object.fromEntries(document.getElementById("plot-curves").data
             .map((trace) => [trace.name, trace.line.dash + " " + trace.marker.symbol]))"""
    )
    kinds = {name.split(",")[0]: look.split()[0] for name, look in dashes.items()}
    assert kinds["cayley"] == "solid"
    assert kinds["smoothing gaussian"] == "dash"
    assert kinds["splitting"] == "dot"
    assert kinds["smoothing uniform"] == "dashdot"
    assert len(set(dashes.values())) >= 10
    key = page.locator("#dash-key").inner_text()
    assert "probabilistic, converted" in key
    swatches = page.locator("#reading tbody svg.line path").evaluate_all(
        "paths => new Set(paths.map((path) => path.getAttribute('stroke-dasharray'))).size"
    )
    assert swatches == 4


def test_fits_a_phone_in_light_and_in_dark(open_page: Open) -> None:
    assert_fits_a_phone(open_page(PHONE), "#plot-curves")


@pytest.mark.parametrize("width", [PHONE, 2000])
def test_a_table_that_goes_on_says_so(open_page: Open, width: int) -> None:
    boxes = wide_tables(open_page(width))
    assert len(boxes) > 10
    assert any(box["over"] for box in boxes)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("names", "failed"),
    [
        pytest.param(["linear"], [], id="one"),
        pytest.param(["linear"], ["linear"], id="failed"),
        pytest.param(["smoothing-uniform", "interval"], ["interval"], id="no reference"),
    ],
)
def test_small_comparisons_have_a_page_too(
    open_page: Open, make_comparison: MakeFolder, names: list[str], failed: list[str]
) -> None:
    folder = make_comparison(names, failed, n=60)
    write_comparison_report(folder)
    page = open_page(PHONE, folder)
    ran = len(names) - len(failed)
    assert page.locator("#reading tbody tr").count() == ran
    assert page.locator(".failed").count() == len(failed)
    assert page.evaluate(OUTSIDE) == []
    assert len(read_comparison(folder).results) == len(names)
