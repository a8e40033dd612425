"""The pages below docs/ tell the truth: their code runs, their tables are the committed results."""

import json
import re
from pathlib import Path

import pytest
from tests.pages.pages import ROOT, blocks, local_links, run_page, script

import featureconvex as fc

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
WITH_CODE = [page for page in PAGES if any(kind in ("python", "sh") for kind, _ in blocks(page))]


@pytest.mark.timeout(900)  # some pages train several models
@pytest.mark.usefixtures("own_methods", "few_pilots", "undrawn")
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_its_code_runs_as_printed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_it_links_to_exists(page: Path) -> None:
    for target in local_links(page):
        assert target.exists(), target


def test_every_code_is_run_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    for kind in ("bash", "console", "", "py"):
        page.write_text(f"text\n\n```{kind}\nrm -rf /\n```\n")
        with pytest.raises(AssertionError, match="nobody runs"):
            run_page(page, monkeypatch)
    for line in ("make everything", "pip install featureconvex", "python benchmarks/none.py"):
        page.write_text(f"```sh\n{line}\n```\n")
        with pytest.raises(AssertionError):
            run_page(page, monkeypatch)
    page.write_text("```sh\nfeatureconvex certify --no-such-option\n```\n")
    with pytest.raises(AssertionError, match="no-such-option"):
        run_page(page, monkeypatch)


def test_every_page_is_in_the_contents() -> None:
    named = re.findall(r"^[\w-]+$", (DOCS / "index.md").read_text(), flags=re.MULTILINE)
    assert sorted([*named, "index"]) == sorted(page.stem for page in PAGES)


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    rooms = {"features", "nn", "testing", "levels"}
    for name in fc.__all__:
        directive = rf"auto\w+:: featureconvex\.{name}\b"
        assert re.search(directive, text), name
        assert name in rooms or re.search(rf"fc\.{name}\b|{name}", text), name


def test_tables_are_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "certificates.md").read_text(encoding="utf-8")
    module = script("certificates_page", monkeypatch)
    assert module.filled(page) == page
    wrong = page.replace(" (1.", " (7.", 1)
    assert wrong != page
    assert module.filled(wrong) == page


def test_the_comparison_is_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("comparison_page", monkeypatch)
    for path, pattern in zip(
        module.PAGES, (r"(?<=\| l1 \| )\d", r"(?<=\| l1, l2, linf \| )\d"), strict=True
    ):
        page = path.read_text(encoding="utf-8")
        assert module.filled(page) == page
        wrong = re.sub(pattern, "9", page, count=1)
        assert wrong != page
        assert module.filled(wrong) == page
    assert "python benchmarks/comparison/compare.py --only fashion-shirts" in module.task_block(
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


def test_the_pages_on_theory_are_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("theory_pages", monkeypatch)
    for name in module.PAGES:
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        assert module.filled(page) == page
        table = page.split("<!-- end ")[0].splitlines()[-1]
        wrong = page.replace(table, f"{table}7")
        assert wrong != page
        assert module.filled(wrong) == page


def test_the_page_of_public_tables_is_the_committed_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = script("tables_page", monkeypatch)
    page = (DOCS / "tables.md").read_text(encoding="utf-8")
    assert module.filled(page) == page
    wrong = re.sub(r"(?<=\| l2 \| )\d", "1", page, count=1)
    assert wrong != page
    assert module.filled(wrong) == page
    training = (DOCS / "training.md").read_text(encoding="utf-8")
    assert module.maps_filled(training) == training


def test_the_comparison_of_several_classes_is_the_committed_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = script("classes_page", monkeypatch)
    page = module.PAGE.read_text(encoding="utf-8")
    assert module.filled(page) == page
    wrong = re.sub(r"(?<=\| l2 \| )\w", "9", page, count=1)
    assert wrong != page
    assert module.filled(wrong) == page


def test_the_pages_on_studies_are_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("study_pages", monkeypatch)
    for name in module.PAGES:
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        assert module.filled(page) == page
        last = page.split("\n<!-- end ")[0].splitlines()[-1]
        wrong = page.replace(last, f"{last}7")
        assert wrong != page
        assert module.filled(wrong) == page


def test_worked_examples_quote_their_results() -> None:
    """The page is written by hand; its numbers are those of the committed run."""
    page = " ".join((ROOT / "docs" / "worked-examples.md").read_text().split())
    found = json.loads((ROOT / "results" / "worked_examples.json").read_text())["examples"]

    def percent(share: float, digits: int = 0) -> str:
        return f"{100 * share:.{digits}f} %"

    phishing, income, spam = (found[name] for name in ("phishing", "income", "spam"))
    tumours, files = found["measurements"], found["binaries"]
    quoted = [
        phishing["attacker"],
        f"With {percent(phishing['accuracy'], 1)} accuracy",
        f"off {percent(phishing['certified_share']['1.0'])} of the pages",
        f"no two changes off {percent(phishing['certified_share']['2.0'])}",
        f"hides {percent(income['certified_share']['1.0'])} of the households",
        f"Accuracy {percent(income['accuracy'], 1)}",
        f"{spam['median_percent_added']:.2f} % and {spam['median_percent_added_or_removed']:.2f} %",
        f"{percent(spam['share_that_stands_k_rewritten_words']['1'], 1)} of the mails",
        f"At {percent(spam['accuracy'], 1)} accuracy",
        f"off by {tumours['median_standard_errors_of_all_at_once']:.1f} of their own",
        f"{percent(tumours['share_certified_at_one_standard_error'])} of the flagged tumours",
        f"At {percent(tumours['accuracy'], 1)} accuracy",
        f"{files['median_certified_bytes']['append']:,.0f} appended",
        f"{files['median_certified_bytes']['change']:,.0f} changed bytes",
        f"of {files['appended_files']:,} files none passed",
    ]
    assert [words for words in quoted if words not in page] == []
    assert files["of_these_passed"] == 0
