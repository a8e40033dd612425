from typing import Any

import numpy as np
import pytest
from tests.comparison.comparisons import MADE_UP, synthetic_comparison

from featureconvex.comparison.norm_equivalence import conversion_factor
from featureconvex.comparison.report.costs import (
    cost_sentences,
    every_runtime_table,
    runtime_table,
)
from featureconvex.comparison.report.line_radii import LineRadii
from featureconvex.comparison.report.lines import all_lines
from featureconvex.comparison.report.method_tables import every_table, norm_table, overview_table
from featureconvex.comparison.report.pairwise_tables import leaders_table, pairwise_table
from featureconvex.comparison.report.remarks import (
    failures,
    guarantees,
    literature,
    opening,
    unavailable,
)
from featureconvex.report.table import Table
from featureconvex.results.numbers import percent, significant


def make(*arguments: Any, **keywords: Any) -> LineRadii:
    comparison = synthetic_comparison(*arguments, **keywords)
    return LineRadii(comparison, comparison.derive())


@pytest.fixture(scope="module")
def results() -> LineRadii:
    return make(failed=["interval"], n=200, infinite=True)


def column(table: Table, name: str) -> dict[str, str]:
    """One column by the row's first cell; the first row of each."""
    place = table.head.index(name)
    return {row[0]: row[place] for row in reversed(table.body)}


def test_every_row_has_a_cell_per_column(results: LineRadii) -> None:
    tables = results.tables
    made = [overview_table(tables), runtime_table(tables), every_runtime_table(tables)]
    for norm in ("l1", "l2", "linf"):
        made += [norm_table(results, norm), every_table(results, norm), leaders_table(tables, norm)]
        for every in (False, True):
            pairwise = pairwise_table(tables, norm, every)
            assert pairwise is not None
            made.append(pairwise)
    for table in made:
        assert table.body
        assert {len(row) for row in table.body} == {len(table.head)}


def test_numbers_are_those_of_the_rows(results: LineRadii) -> None:
    rows = next(r for r in results.comparison.results if r.method.name == "cayley").fits[0].rows
    sensitive = rows[rows["label"] == 1]
    flagged = sensitive[sensitive["predicted"] == 1]
    radii = sensitive["radius_l2_certified"].to_numpy()
    table = norm_table(results, "l2")
    assert column(table, "median radius")["cayley"] == significant(
        float(np.median(flagged["radius_l2_certified"]))
    )
    for radius in results.tables["ordering"]["l2"]["radii"]:
        shown = column(table, f"l2 ≥ {significant(radius)}")["cayley"]
        assert shown == percent(float((radii >= radius).mean()))
    factor = conversion_factor(2.0, np.inf, 784)
    shown = column(norm_table(results, "linf"), "median radius")["cayley"]
    assert shown == significant(factor * float(np.median(flagged["radius_l2_certified"]))) + "†"
    clean = (rows["label"] == rows["predicted"]).mean()
    assert column(table, "clean accuracy")["cayley"] == percent(float(clean))


def test_every_median_stands_with_the_accuracy_of_its_own_setting(results: LineRadii) -> None:
    table = overview_table(results.tables)
    for norm in ("l1", "linf"):
        method = results.tables["methods"]["feature-convex"]
        setting = next(
            s for s in method["settings"] if s["setting"] == method["best_setting"][norm]
        )
        median = setting["levels"]["closed-form"]["median_radius"][norm]
        shown = column(table, f"median {norm}, clean accuracy")["feature-convex"]
        assert shown == f"{significant(median)} at {percent(setting['clean_accuracy'])}"


def test_converted_radii_are_marked_everywhere(results: LineRadii) -> None:
    table = overview_table(results.tables)
    for name, (native, *_) in MADE_UP.items():
        if name == "interval":
            continue
        title = results.tables["methods"][name]["title"]
        for norm, p in (("l1", 1.0), ("l2", 2.0), ("linf", np.inf)):
            cell = column(table, f"median {norm}, clean accuracy")[title]
            assert ("† at " in cell) == (p not in native)
    worth = column(norm_table(results, "l2"), "radii are")
    assert worth["smoothing gaussian"] == "probabilistic"
    assert worth["smoothing uniform"] == "probabilistic, converted from l1"
    assert worth["splitting"] == "deterministic, converted from l1"


def test_an_infinite_radius_counts_at_every_radius() -> None:
    results = make(["feature-convex"], n=200, infinite=True)
    rows = results.comparison.results[0].fits[0].rows
    share = np.isinf(rows.loc[rows["label"] == 1, "radius_l1_tight"]).mean()
    assert share > 0
    radius = max(results.tables["ordering"]["l1"]["radii"])
    table = every_table(results, "l1")
    line = next(row for row in table.body if row[1] == "tight")
    shown = line[table.head.index(f"l1 ≥ {significant(radius)}")]
    assert float(shown.split("\u00a0")[0]) >= 100 * share - 0.06


def test_a_radius_of_zero_certifies_nothing_not_even_at_zero(results: LineRadii) -> None:
    missed = 0
    for line in all_lines(results.tables, "l1"):
        share = results.share(line, "l1", 0.0)
        assert share == line.curve["accuracy"][0]
        missed += share < 1
    assert missed


def test_costs_are_ratios_to_the_reference(results: LineRadii) -> None:
    table = runtime_table(results.tables)
    assert column(table, "ratio")["feature-convex"] == "1"
    assert column(table, "ratio")["splitting"] == "400"
    assert column(table, "ratio")["smoothing gaussian"] == "24,000"
    fresh = column(table, "seconds with fresh noise")
    assert fresh["smoothing uniform"] == "21.0 s (ratio 420,000)"
    assert fresh["cayley"] == "–"
    assert column(table, "forward passes")["smoothing uniform"] == "100,100"
    assert len(every_runtime_table(results.tables).body) == 3 * 4 + 3 + 4 * 4 + 6
    (said,) = cost_sentences(results.tables)
    assert (
        "smoothing laplacian 26,000 (26,000 between the settings of the table, "
        "420,000 with fresh noise)" in said
    )


def test_without_the_reference_no_ratio_and_no_pairwise_table() -> None:
    results = make(["smoothing-gaussian", "linear"], n=60)
    assert set(column(runtime_table(results.tables), "ratio").values()) == {"–"}
    assert pairwise_table(results.tables, "l2") is None
    assert cost_sentences(results.tables) == []
    assert all("feature-convex" not in sentence for sentence in opening(results.tables))


def test_the_reference_alone_is_in_no_pairwise_table() -> None:
    results = make(["feature-convex"], n=60)
    assert pairwise_table(results.tables, "l2") is None
    assert opening(results.tables)[0].startswith(
        "feature-convex (recipe default, norm l1) is the only"
    )


def test_pairwise_tables_name_settings_and_the_free_choice(results: LineRadii) -> None:
    best = pairwise_table(results.tables, "l1")
    every = pairwise_table(results.tables, "l1", every_setting=True)
    assert best is not None
    assert every is not None
    assert [row[0] for row in best.body] == [
        m["title"]
        for name, m in results.tables["methods"].items()
        if name not in ("feature-convex", "interval")
    ]
    splitting = [row[1] for row in every.body if row[0] == "splitting"]
    assert splitting == [*(f"sigma {s}" for s in (0.75, 1.5, 2.25, 3.0)), "the best at each radius"]
    assert not [row for row in every.body if row[0] == "cayley"]


def test_what_did_not_run_is_named_with_its_reason(results: LineRadii) -> None:
    assert failures(results.tables) == [("interval", "ZeroDivisionError: no luck <at> all")]
    assert unavailable(results.tables) == [
        ("feature-convex, recipe paper, norm l2, sound", "no bound for <batch norm> in float32")
    ]
    cards = {card["title"]: card for card in literature(results.tables)}
    assert cards["interval"]["here"].startswith("nothing: ZeroDivisionError")
    assert "epochs" in cards["sll"]["here"]
    assert "(l2)" in cards["sll"]["here"]
    assert "sll reports" in cards["sll"]["there"]


def test_only_the_guarantees_that_occur_are_explained(results: LineRadii) -> None:
    names = [name for name, _ in guarantees(results.tables)]
    assert names == [
        "deterministic",
        "deterministic, floating-point sound",
        "probabilistic",
        "converted",
    ]
    assert [name for name, _ in guarantees(make(["linear"], n=60).tables)] == ["deterministic"]


def test_nothing_at_all_is_said_so() -> None:
    tables = make(["linear"], ["linear"], n=60).tables
    assert opening(tables) == ["No method gave a certificate."]
