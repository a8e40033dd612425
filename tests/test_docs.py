"""The pages below docs/ tell the truth: their code runs, their tables are the committed results."""

import re
from pathlib import Path

import pytest
from tests.pages import ROOT, local_links, run_python, script

CERTIFICATES = ROOT / "docs" / "certificates.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.usefixtures("own_methods")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_runs_as_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_python(page)
    assert ran >= 8 or page != CERTIFICATES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_links_to_exists(page: Path) -> None:
    for target in local_links(page):
        assert target.exists(), target


def test_tables_are_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    page = CERTIFICATES.read_text(encoding="utf-8")
    module = script("certificates_page", monkeypatch)
    assert module.filled(page) == page
    wrong = page.replace(" (1.", " (7.", 1)
    assert wrong != page
    assert module.filled(wrong) == page


def test_the_comparison_is_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    module = script("comparison_page", monkeypatch)
    assert module.filled(page) == page
    wrong = re.sub(r"(?<=\| l1, l2, linf \| )\d", "9", page, count=1)
    assert wrong != page
    assert module.filled(wrong) == page
    assert "python benchmarks/compare.py --only fashion-shirts" in module.task_block(
        "fashion-shirts", None
    )


def test_the_other_tables_read_what_the_benchmarks_write(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("certificates_page", monkeypatch)
    line = {"threat": "l1", "level": "domain", "ratio": 2.5}
    costs = {"tables": [{"features": "identity", "results": [line], "level_0_us_per_row": 20.4}]}
    assert "| centred pixels | domain | 2.5 |" in module.cost_table(costs)
    gaps = {
        "threat": "l1",
        "domain": "Box(0, 1)",
        "gap_median": 0.004,
        "gap_p95": 0.02,
        "ratio": 31,
    }
    table = module.gap_table({"networks": {"a": {"results": [gaps]}, "b": {"reason": "none"}}})
    assert table.endswith("| a | l1 | Box(0, 1) | 0.40 % | 2.00 % | 31 |")
