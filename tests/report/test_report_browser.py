"""The report in headless Chromium: drawn, interactive, silent, self-contained, fit for a phone."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page
from tests.report.browsing import PHONE, assert_fits_a_phone, launched, watched, wide_tables

from featureconvex.results.rows import read_rows
from featureconvex.results.statistics.intervals import clopper_pearson

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with launched() as page:
        yield page


@pytest.fixture(scope="module")
def reports(image_report: Path, table_report: Path) -> dict[str, Path]:
    return {"image": image_report, "table": table_report}


@pytest.fixture
def open_report(browser: Page, reports: dict[str, Path]) -> Iterator[Open]:
    with watched(browser, "#plot-certified .scatterlayer .trace path.js-line") as opened:
        yield lambda kind="image", width=1100: opened(reports[kind] / "report.html", width)


def reading(page: Page) -> tuple[str, str]:
    texts = (
        page.locator("#reading-accuracy").inner_text(),
        page.locator("#reading-text").inner_text(),
    )
    return texts[0].replace("\u00a0", " "), texts[1].replace("\u00a0", " ")


def expected(rows: pd.DataFrame, column: str, radius: float) -> tuple[str, str]:
    sensitive = rows[rows["label"] == 1]
    k = int(((sensitive["predicted"] == 1) & (sensitive[column] >= radius)).sum())
    low, high = (float(np.asarray(end)) for end in clopper_pearson(k, len(sensitive)))
    return f"{100 * k / len(sensitive):.1f} %", f"interval {100 * low:.1f} % to {100 * high:.1f} %"


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f'input[name="{name}"][value="{value}"] + span').click()


def slide(page: Page, fraction: float) -> float:
    """Move the slider to a fraction of its range; returns the radius it shows."""
    slider = page.locator("#radius-slider")
    slider.fill(str(float(slider.get_attribute("max") or 0) * fraction))
    return float(page.locator("#radius-value").input_value())


def test_reads_off_what_the_rows_say_for_every_norm(
    open_report: Open, reports: dict[str, Path]
) -> None:
    page, rows = open_report(), read_rows(reports["image"] / "rows.parquet")
    seen = set()
    for norm in ("l2", "l1", "linf"):
        choose(page, "threat", norm)
        for fraction in (0.2, 0.35):
            radius = slide(page, fraction)
            share, text = reading(page)
            assert (share, text.split("95 % ")[1]) == expected(rows, f"radius_{norm}", radius)
            assert f"{norm} radius" in text
            seen.add(text)
    assert len(seen) == 6


def test_a_typed_radius_counts_ties_as_certified(
    open_report: Open, reports: dict[str, Path]
) -> None:
    page, rows = open_report(), read_rows(reports["image"] / "rows.parquet")
    radius = float(rows[rows["label"] == 1]["radius_l2"].quantile(0.6, interpolation="nearest"))
    for typed in (radius, float(np.nextafter(radius, 99))):
        page.locator("#radius-value").fill(repr(typed))
        assert reading(page)[0] == expected(rows, "radius_l2", typed)[0]


def test_levels_stand_side_by_side_and_can_be_chosen(
    open_report: Open, reports: dict[str, Path]
) -> None:
    page, rows = open_report(), read_rows(reports["image"] / "rows.parquet")
    radius = slide(page, 0.4)
    lines = page.locator("#reading-levels tbody tr").all_inner_texts()
    for line, suffix in zip(lines, ("", "_domain", "_tight", "_sound"), strict=True):
        share = expected(rows, f"radius_l2{suffix}", radius)[0]
        assert share in line.replace("\u00a0", " ")
    before = reading(page)
    choose(page, "level", "tight")
    assert reading(page) != before
    assert reading(page)[0] == expected(rows, "radius_l2_tight", radius)[0]
    choose(page, "threat", "l0")
    assert page.locator("#level-choice").is_hidden()
    radius = slide(page, 0.5)
    assert reading(page)[0] == expected(rows, "radius_l0_domain", radius)[0]
    choose(page, "threat", "patch-5")
    assert reading(page)[0] == expected(rows, "radius_patch-5_domain", 5.0)[0]


def test_a_table_offers_both_units(open_report: Open, reports: dict[str, Path]) -> None:
    page, rows = open_report("table"), read_rows(reports["table"] / "rows.parquet")
    radius = slide(page, 0.3)
    assert reading(page)[0] == expected(rows, "radius_std_l2", radius)[0]
    choose(page, "unit", "raw")
    radius = slide(page, 0.3)
    assert reading(page)[0] == expected(rows, "radius_l2", radius)[0]
    assert "raw feature units" in page.locator("#plot-certified").inner_text()


def test_the_line_has_the_height_of_the_curve_and_follows_the_norm(open_report: Open) -> None:
    page = open_report()
    path = page.locator("#plot-certified .scatterlayer .trace path.js-line").last
    first = path.get_attribute("d") or ""
    box = path.bounding_box()
    assert len(first) > 200
    assert box is not None
    assert box["height"] > 100
    assert box["width"] > 400
    choose(page, "threat", "linf")
    page.wait_for_function(
        "d => document.querySelector('#plot-certified').innerText.includes('linf')"
    )
    assert (path.get_attribute("d") or "") != first


def test_hovering_shows_the_share_and_its_interval(open_report: Open) -> None:
    page = open_report()
    plot = page.locator("#plot-certified .nsewdrag").bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + 0.3 * plot["width"], plot["y"] + 0.5 * plot["height"])
    label = page.locator("#plot-certified .hoverlayer .legend")
    label.wait_for()
    text = (label.text_content() or "").replace("\u00a0", " ")
    assert re.search(r"closed form : \d+\.\d % \(\d+\.\d % to \d+\.\d %\)", text), text


@pytest.mark.parametrize("kind", ["image", "table"])
def test_fits_a_phone_in_light_and_in_dark(open_report: Open, kind: str) -> None:
    assert_fits_a_phone(open_report(kind, width=PHONE), "#plot-certified")


@pytest.mark.parametrize(("width", "some"), [(PHONE, True), (1100, False)])
def test_wide_tables_say_so_and_can_be_moved_to_their_last_column(
    open_report: Open, width: int, some: bool
) -> None:
    boxes = wide_tables(open_report("image", width=width))
    assert len(boxes) > 5
    assert any(box["over"] for box in boxes) == some


def test_every_chart_is_drawn(open_report: Open) -> None:
    page = open_report()
    plots = page.locator(".plot")
    assert plots.count() >= 9
    assert page.locator(".plot .main-svg >> nth=0").count() == 1
    undrawn = page.evaluate(
        """() => [...document.querySelectorAll(".plot")]
             .filter((plot) => !plot.querySelector(".main-svg")).map((plot) => plot.id)"""
    )
    assert undrawn == []


def test_every_table_can_be_saved_as_csv(open_report: Open, tmp_path: Path) -> None:
    """The file that the button saves holds the cells of the table above it."""
    page = open_report("table")
    assert page.locator("button.csv").count() == page.locator(".scroll").count()
    box = page.locator("#detection .scroll").first
    with page.expect_download() as started:
        page.locator("#detection button.csv").first.click()
    started.value.save_as(tmp_path / "table.csv")
    saved = pd.read_csv(tmp_path / "table.csv")
    assert list(saved.columns) == box.locator("thead th").all_inner_texts()
    assert saved.iloc[:, 0].tolist() == box.locator("tbody th, tfoot th").all_inner_texts()
