import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featureconvex.results.metrics import derive_metrics
from featureconvex.results.strict_json import dump_json, number

MakeRows = Callable[..., pd.DataFrame]
MakeRecord = Callable[..., Any]
NORMS = {"l1", "l2", "linf"}


def strict(text: str) -> Any:
    def refuse(literal: str) -> None:
        raise AssertionError(f"{literal} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_holds_everything_that_others_rely_on(make_rows: MakeRows, make_record: MakeRecord) -> None:
    rows, record = make_rows(levels=("domain", "tight", "sound")), make_record()
    metrics = strict(dump_json(derive_metrics(rows, record)))
    assert metrics["task"] == "mnist-3-8"
    assert metrics["n_train"] == 11982
    assert metrics["n_test"] == 200
    assert metrics["train_accuracy"] == 0.995
    right = rows["label"] == rows["predicted"]
    assert metrics["clean_accuracy"] == pytest.approx(right.mean())
    for name, label in (("sensitive", 1), ("other", 0)):
        wanted = right[rows["label"] == label].mean()
        assert metrics["accuracy_by_class"][name] == pytest.approx(wanted)
    assert set(metrics["median_radius"]) == set(metrics["certified_accuracy"]) == NORMS
    assert list(metrics["levels"]) == ["domain", "tight", "sound"]
    assert set(metrics["levels"]["domain"]["median_radius"]) == NORMS | {"l0", "patch-5"}
    assert set(metrics["levels"]["tight"]["certified_accuracy"]) == NORMS
    assert metrics["seconds"] == record["seconds"]
    assert metrics["provenance"] == record["provenance"]
    assert "training_std_units" not in metrics


def test_medians_and_curves_can_be_recomputed_from_the_rows(
    make_rows: MakeRows, make_record: MakeRecord
) -> None:
    rows = make_rows(levels=("domain",))
    metrics = derive_metrics(rows, make_record())
    sensitive = rows[rows["label"] == 1]
    found = sensitive[sensitive["predicted"] == 1]
    for norm in NORMS:
        for part, column in (
            (metrics, f"radius_{norm}"),
            (metrics["levels"]["domain"], f"radius_{norm}_domain"),
        ):
            assert part["median_radius"][norm] == pytest.approx(np.median(found[column]))
            curve = part["certified_accuracy"][norm]
            shares = [(found[column] >= r).sum() / len(sensitive) for r in curve["radius"]]
            np.testing.assert_allclose(curve["accuracy"], shares)


def test_tables_have_both_units(make_rows: MakeRows, make_record: MakeRecord) -> None:
    rows = make_rows(table=True)
    metrics = derive_metrics(rows, make_record("table"))
    std = metrics["training_std_units"]
    found = rows[(rows["label"] == 1) & (rows["predicted"] == 1)]
    assert std["median_radius"]["l2"] == pytest.approx(np.median(found["radius_std_l2"]))
    assert metrics["median_radius"]["l2"] == pytest.approx(np.median(found["radius_l2"]))
    assert std["median_radius"]["l2"] != metrics["median_radius"]["l2"]


def test_infinity_is_a_word_and_a_missing_median_is_null(
    make_rows: MakeRows, make_record: MakeRecord
) -> None:
    rows = make_rows()
    rows.loc[rows["predicted"] == 1, "radius_l1"] = math.inf
    metrics = strict(dump_json(derive_metrics(rows, make_record())))
    assert metrics["median_radius"]["l1"] == "inf"
    assert metrics["average_certified_radius"]["l1"] == "inf"
    nothing = make_rows()
    for column in [c for c in nothing.columns if c.startswith("radius_")]:
        nothing[column] = 0.0
    nothing["margin"], nothing["predicted"] = -1.0, 0
    metrics = strict(dump_json(derive_metrics(nothing, make_record())))
    assert metrics["median_radius"] == {"l1": None, "l2": None, "linf": None}
    assert set(metrics["certified_accuracy"]["l2"]["accuracy"]) == {0.0}


def test_certified_recall_falls_with_the_radius_and_rises_with_the_rate(
    make_rows: MakeRows, make_record: MakeRecord
) -> None:
    recall = derive_metrics(make_rows(1000), make_record())["certified_recall"]
    table = np.array(recall["l2"]["recall"])
    assert table.shape == (4, len(recall["l2"]["radius"])) == (4, 3)
    assert (np.diff(table, axis=1) <= 0).all()
    assert (np.diff(table, axis=0) >= 0).all()
    assert (table[:, 0] <= np.array(recall["recall"])).all()
    targets = np.array(recall["target_false_positive_rate"])
    assert (np.array(recall["false_positive_rate"]) <= targets + 1e-9).all()


def test_flat_lists_take_one_line_and_text_survives() -> None:
    value = {
        "a": [1, 2.5, None],
        "b": [],
        "c": ["x, [y]\n", "z"],
        "d": [[1, 2], [3]],
        "e": [{"f": 1}],
    }
    text = dump_json(value)
    assert strict(text) == value
    assert '"a": [1, 2.5, null]' in text


def test_numbers_come_back() -> None:
    assert [number(x) for x in ("inf", 2, None)] == [math.inf, 2.0, None]
