import json
import re
from pathlib import Path

import pytest
from tests.report.browsing import assert_refers_to_nothing_outside, own_markup

from featureconvex.errors import UserError
from featureconvex.report.figures import FIGURES
from featureconvex.report.report import write_report


@pytest.fixture(scope="module")
def page(image_report: Path) -> str:
    return (image_report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def table_page(table_report: Path) -> str:
    return (table_report / "report.html").read_text(encoding="utf-8")


def test_rebuilds_everything_from_the_three_files(image_folder: Path) -> None:
    written = write_report(image_folder)
    names = {str(p.relative_to(image_folder)) for p in written}
    drawn = set(FIGURES) - {"certified_accuracy_std.png", "radius_histogram_std.png"}
    assert names == {"metrics.json", "report.html"} | {f"figures/{name}" for name in drawn}
    assert all(p.stat().st_size > 500 for p in written)
    assert not list(image_folder.rglob(".*"))
    json.loads((image_folder / "metrics.json").read_text())


def test_only_figures_the_run_no_longer_has_are_removed(table_report: Path) -> None:
    assert not (table_report / "figures" / "tradeoff.png").exists()
    assert (table_report / "figures" / "mine.png").exists()


def test_a_damaged_run_changes_nothing(image_folder: Path, tmp_path: Path) -> None:
    for name in ("rows.parquet", "record.json"):
        (tmp_path / name).write_bytes((image_folder / name).read_bytes())
    with pytest.raises(UserError, match=r"examples\.npz is missing"):
        write_report(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"rows.parquet", "record.json"}


def test_says_what_the_issue_asks_for(page: str) -> None:
    text = own_markup(page)
    for part in (
        "What the certificate means",
        "What it does not say",
        "floating-point sound",
        "balanced on a validation split",
        "Area under the ROC curve",
        "false positives allowed",
        "Most robust",
        "Least robust",
        "13.0 µs",
        "featureconvex run mnist-3-8 --norm 2 --out out",
        "4a215a7",
        "Linux x86_64, 2 cores",
        "Accuracy against radius",
        "MNIST, the official IDX files",
    ):
        assert part in text, part
    assert text.count("data:image/png;base64,") == 32


def test_a_table_shows_standard_deviations_first_and_features(table_page: str) -> None:
    text = own_markup(table_page)
    first = text.index("Norms in training standard deviations")
    assert first < text.index("Norms in raw feature units")
    assert "mean texture" in text
    assert 'class="bars"' in text
    assert "The floating-point sound certificate was not computed: no proof for Softplus." in text
    assert "here every feature may take any value" in text
    assert "pixel" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_data_from_outside_is_escaped(page: str, table_page: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert "<b>odd & name</b>" not in table_page


def test_refers_to_nothing_outside_the_file(page: str) -> None:
    assert_refers_to_nothing_outside(page)
