import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.comparison.report.conftest import MakeFolder
from tests.report.browsing import assert_refers_to_nothing_outside, own_markup

from featureconvex.cli import main
from featureconvex.comparison.report.write import write_comparison_report
from featureconvex.errors import UserError

DRAWN = {"certified_l1", "certified_l2", "certified_linf", "settings", "levels"}


@pytest.fixture(scope="module")
def page(comparison_report: Path) -> str:
    return (comparison_report / "report.html").read_text(encoding="utf-8")


def test_the_report_comes_last_and_everything_is_there(make_comparison: MakeFolder) -> None:
    folder = make_comparison(["feature-convex", "splitting"], n=60)
    written = write_comparison_report(folder)
    names = [str(p.relative_to(folder)) for p in written]
    assert names[:2] == ["comparison.json", "rows.parquet"]
    assert {Path(name).stem for name in names[2:-1]} == DRAWN
    assert names[-1] == "report.html"
    assert all(p.stat().st_size > 500 for p in written)
    assert not list(folder.rglob(".*"))


def test_the_command_rebuilds_from_the_rows(make_comparison: MakeFolder) -> None:
    folder = make_comparison(["linear", "cayley"], n=60)
    for name in ("settings.png", "certified_l7.png", "mine.png"):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / name).write_text("old")
    rows = pd.read_parquet(folder / "rows.parquet")
    chosen = (rows["method"] == "linear") & (rows["label"] == 1) & (rows["predicted"] == 1)
    rows.loc[chosen, "radius_l2_certified"] = 123.0
    rows.to_parquet(folder / "rows.parquet", index=False)
    main_quietly("report", str(folder))
    found = json.loads((folder / "comparison.json").read_text())
    assert found["methods"]["linear"]["median_radius"]["l2"] == 123.0
    assert found["ordering"]["l2"]["largest_native"] == "linear"
    assert found["ordering"]["l2"]["sentences"][0].startswith("Of 2 methods certified in l2")
    assert "<td>123</td>" in (folder / "report.html").read_text()
    assert {p.name for p in (folder / "figures").iterdir()} == {
        "mine.png",
        *(f"certified_{norm}.png" for norm in ("l1", "l2", "linf")),
    }


def test_methods_of_another_command_are_named(make_comparison: MakeFolder) -> None:
    folder = make_comparison(["feature-convex", "linear", "cayley"], n=60)
    table = json.loads((folder / "comparison.json").read_text())
    for setting in table["methods"]["linear"]["settings"]:
        setting["provenance"] |= {"command": "featureconvex compare --methods linear"}
    (folder / "comparison.json").write_text(json.dumps(table))
    write_comparison_report(folder)
    text = own_markup((folder / "report.html").read_text())
    assert "Not all measured in the same run" in text
    assert "--out out&#34; (feature-convex, cayley)" in text
    assert "--methods linear&#34; (linear)" in text


def test_a_file_where_the_figures_should_be_is_named(
    make_comparison: MakeFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_comparison(["linear"], n=60)
    (folder / "figures").write_text("a file")
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(folder)])
    assert "figures" in capsys.readouterr().err


def main_quietly(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 0


def test_a_damaged_comparison_changes_nothing(make_comparison: MakeFolder) -> None:
    folder = make_comparison(["linear"], n=60)
    (folder / "rows.parquet").unlink()
    before = (folder / "comparison.json").read_bytes()
    with pytest.raises(UserError, match=r"rows\.parquet is missing"):
        write_comparison_report(folder)
    assert {p.name for p in folder.iterdir()} == {"comparison.json"}
    assert (folder / "comparison.json").read_bytes() == before


def test_nothing_but_failures_is_still_a_page(make_comparison: MakeFolder) -> None:
    folder = make_comparison(["linear", "cayley"], ["linear", "cayley"], n=60)
    written = write_comparison_report(folder)
    assert [p.name for p in written] == ["comparison.json", "report.html"]
    text = own_markup(written[-1].read_text())
    assert "No method gave a certificate." in text
    assert "cayley is left out: ZeroDivisionError" in text


def test_says_what_a_reader_needs(page: str) -> None:
    text = own_markup(page)
    for part in (
        "Where the ordering holds",
        "Of 7 methods certified in l1 itself",
        "If those with several settings may choose anew at every radius",
        "feature-convex against each setting, linf",
        "What a certificate costs",
        "420,000 with fresh noise",
        "Every setting and level, l2",
        "interval is left out: ZeroDivisionError: no luck &lt;at&gt; all",
        "no bound for &lt;batch norm&gt; in float32",
        "What the paper of cayley reports &amp; where",
        "featureconvex compare mnist-3-8 --out out",
        "converted from l1",
        "200 test points",
        "made up, 2 cores, Linux x86_64, 1 thread, revision 4a215a7.",
    ):
        assert part in text, part


def test_data_from_outside_is_escaped(page: str) -> None:
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_refers_to_nothing_outside_the_file(page: str) -> None:
    assert_refers_to_nothing_outside(page)


def test_neither_methods_nor_results_load_the_drawing_libraries() -> None:
    code = (
        "import sys, featureconvex.baselines, featureconvex.results.folder, featureconvex.results.metrics; "
        "print(sorted({'matplotlib', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
