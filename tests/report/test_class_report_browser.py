"""The report of several classes in headless Chromium: drawn, interactive, silent, fit for a phone."""

from pathlib import Path

import pytest
from tests.report.browsing import PHONE, assert_fits_a_phone, launched, watched
from tests.report.test_class_report import ODD, made_up

from featureconvex.report.multi_class.report import render_class_report

pytestmark = pytest.mark.browser


def test_the_page_reads_off_certified_accuracy_and_fits_a_phone(tmp_path: Path) -> None:
    run = made_up(ODD)
    (tmp_path / "report.html").write_text(render_class_report(run))
    curve = "#plot-certified .scatterlayer .trace path.js-line"
    with launched() as browser, watched(browser, curve) as opened:
        page = opened(tmp_path / "report.html", PHONE)
        page.locator("#radius-value").fill("0.5")
        right = run.points["label"] == run.points["predicted"]
        k = int((right & (run.points["radius_l2"] >= 0.5)).sum())
        said = page.locator("#reading-text").inner_text()
        assert said.startswith(f"of the 120 test samples ({k}) are recognised and certified for l2")
        labels = page.locator("#plot-classes .ytick text").all_text_contents()
        assert sorted(labels) == sorted(ODD)
        assert page.locator("#plot-confusion .heatmaplayer image").count() == 1
        assert_fits_a_phone(page, "#plot-classes")
