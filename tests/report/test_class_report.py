"""The report of several classes, from made-up rows."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from tests.synthetic_runs import MakeRecord, synthetic_record

from featureconvex.errors import UserError
from featureconvex.report.multi_class.figures import draw_class_figures
from featureconvex.report.multi_class.report import render_class_report, write_class_report
from featureconvex.report.multi_class.tables import class_table, confusion_table
from featureconvex.report.multi_class.wording import class_headline
from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.folder import ClassRun, read_class_run
from featureconvex.results.multi_class.metrics import derive_class_metrics
from featureconvex.results.multi_class.record import (
    is_of_classes,
    read_class_record,
    write_class_record,
)
from featureconvex.results.multi_class.rows import validate_class_rows, write_class_rows
from featureconvex.results.multi_class.warnings import class_warnings

ODD = ["<b>ham & eggs</b>", "$5 or $6", "plain"]
COVERED = 40


def made_up(classes: list[str], n: int = 120, mistakes: float = 0.1, seed: int = 0) -> ClassRun:
    """Points of every class in turn, some taken for the next one; level tight on the first ones."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % len(classes)
    wrong = rng.random(n) < mistakes
    predicted = np.where(wrong, (label + 1) % len(classes), label)
    names = np.array(classes, dtype=object)
    rows = pd.DataFrame(
        {
            "index": np.arange(n),
            "row": np.arange(n),
            "label": names[label],
            "predicted": names[predicted],
            "margin": rng.random(n) + 0.1,
            "status": "certified",
        }
    )
    for norm, scale in (("l1", 2.0), ("l2", 1.0), ("linf", 0.1)):
        radius = scale * rng.lognormal(-label / len(classes), 0.3)
        rows[f"radius_{norm}"] = radius
        rows[f"rival_{norm}"] = names[(predicted + 1) % len(classes)]
        rows[f"radius_{norm}_tight"] = np.where(np.arange(n) < COVERED, 1.25 * radius, np.nan)
    record: Any = synthetic_record("table")
    for name in ("sensitive_name", "other_name", "calibration"):
        del record[name]
    record |= {"multi_class": "own", "classes": classes, "tau": [0.0] * len(classes)}
    return ClassRun(rows, record)


def written(run: ClassRun, folder: Path) -> Path:
    """Its two files."""
    write_class_rows(run.points, run.classes, folder / "rows.parquet")
    write_class_record(run.record, folder / "record.json")
    return folder


def test_the_headline_and_the_tables_say_what_the_rows_say() -> None:
    run = made_up(["a", "b", "c"])
    right = (run.points["label"] == run.points["predicted"]).to_numpy()
    opening, weakest, levels = class_headline(run)
    assert opening.startswith("Of 120 test samples of 3 classes, ")
    eighty = np.sort(run.points["radius_l2"][right])[right.sum() - int(0.8 * right.sum() + 0.99)]
    shown = float(opening.partition("l2 size below ")[2].split()[0])
    assert shown <= eighty < shown * 1.02
    counts = class_counts(run.points, run.classes)
    worst = counts.by_class.argmin()
    assert weakest.startswith(f"The class {run.classes[worst]!r} is recognised least, ")
    first = run.points[:COVERED][right[:COVERED]]["radius_l2"].median()
    assert levels == (
        f"On the first {COVERED} of them the tight certificate has a median l2 radius of "
        f"{1.25 * first:.3g}, and the closed form {first:.3g}."
    )
    table = class_table(run)
    assert [line[0] for line in table.body] == run.classes
    own = run.points[right & (run.points["label"] == "a")]
    assert table.body[0][3] == f"{own['radius_l2'].median():.3g}"
    assert table.body[0][-1] == "b"
    assert confusion_table(run).body[0][1:] == [str(n) for n in counts.table[0]]


def test_where_nothing_goes_wrong_the_weakest_class_has_the_smallest_radius() -> None:
    _, weakest, _ = class_headline(made_up(["a", "b", "c"], mistakes=0.0))
    assert weakest.startswith(
        "Every class is recognised without a mistake. The weakest is 'c'; its"
    )


def test_where_nothing_is_recognised_nothing_is_certified(tmp_path: Path) -> None:
    run = made_up(["a", "b", "c"], mistakes=1.0)
    assert class_headline(run) == [
        "Of 120 test samples of 3 classes, none is recognised as its own class, so there is nothing to "
        "certify."
    ]
    assert derive_class_metrics(run)["median_radius"] == {"l1": None, "l2": None, "linf": None}
    assert write_class_report(written(run, tmp_path))[-1].is_file()
    warnings = class_warnings(run.points, run.record)
    assert warnings[0].startswith("The classes cannot be told from a guess: 0\u00a0% of the test")
    assert "No test sample of class 'a' is recognised." in warnings


def test_few_samples_are_said_for_each_class_or_together() -> None:
    few = class_warnings(*_parts(made_up(["a", "b", "c"], n=30)))
    assert sum(sentence.startswith("Only 10 test samples") for sentence in few) == 3
    many = class_warnings(*_parts(made_up([f"c{i}" for i in range(8)], n=80)))
    assert sum("8 classes have few test samples. Only 10" in sentence for sentence in many) == 1


def _parts(run: ClassRun) -> Any:
    return run.points, run.record


def test_metrics_are_strict_and_by_level() -> None:
    run = made_up(["a", "b"])
    metrics = json.loads(json.dumps(derive_class_metrics(run), allow_nan=False))
    assert metrics["n_test"], metrics["n_compared"] == (120, COVERED)
    closed, tight = (metrics["levels"][name]["median_radius"] for name in ("closed-form", "tight"))
    assert tight["l1"] == pytest.approx(1.25 * closed["l1"])
    curve = metrics["certified_accuracy"]["l2"]
    assert curve["accuracy"][0] == metrics["clean_accuracy"]
    assert curve["accuracy"] == sorted(curve["accuracy"], reverse=True)


@pytest.mark.parametrize("classes", [ODD, [f"class {i}" for i in range(34)]], ids=["odd", "many"])
def test_pages_and_figures_take_odd_names_and_many_classes(classes: list[str]) -> None:
    run = made_up(classes, n=170)
    page = render_class_report(run)
    assert "<b>ham" not in page
    assert "34 classes" in page or "&lt;b&gt;ham &amp; eggs&lt;/b&gt;" in page
    assert f"certify the first {COVERED} test samples only" in page
    many = confusion_table(run).head == ["true class", "taken for", "test samples"]
    assert many == (len(classes) > 30)
    drawn = draw_class_figures(run)
    assert set(drawn) >= {"confusion.png", "radii_by_class.png", "levels.png", "training.png"}
    assert [text.get_text() for text in drawn["confusion.png"].axes[0].get_yticklabels()] == [
        name.replace("$", r"\$") for name in classes
    ]


def test_levels_that_cover_all_points_share_one_curve() -> None:
    run = made_up(["a", "b"])
    whole = ClassRun(run.points[:COVERED].reset_index(drop=True), run.record)
    assert not whole.is_partial
    assert [column.level for column in whole.whole.levels("l2", "raw")] == ["closed-form", "tight"]
    assert "levels.png" not in draw_class_figures(whole)
    assert "With the tight certificate: for " in class_headline(whole)[-1]


def test_records_of_both_kinds_are_told_apart(tmp_path: Path, make_record: MakeRecord) -> None:
    written(made_up(["a", "b"]), tmp_path)
    assert is_of_classes(tmp_path / "record.json")
    assert not is_of_classes(tmp_path / "none.json")
    assert read_class_run(tmp_path).classes == ["a", "b"]
    record = cast("Any", make_record())
    (tmp_path / "record.json").write_text(json.dumps(record))
    assert not is_of_classes(tmp_path / "record.json")
    with pytest.raises(UserError, match="lacks the field 'multi_class'"):
        read_class_record(tmp_path / "record.json")
    with pytest.raises(UserError, match="there is no folder"):
        read_class_run(tmp_path / "none")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"label": "nobody"}, "'label' must hold names"),
        ({"rival_l2": "nobody"}, "'rival_l2' must hold names"),
        ({"radius_l2": -1.0}, "'radius_l2' must be 0 or larger"),
        ({"radius_l2": np.nan}, "NaN only above the closed form"),
        ({"radius_l2_tight": -1.0}, "'radius_l2_tight' must be 0 or larger"),
        ({"status": "fine"}, "a status is unknown"),
        ({"index": 0}, "distinct whole numbers"),
    ],
    ids=str,
)
def test_rows_with_a_fault_are_refused(fault: dict[str, Any], message: str) -> None:
    run = made_up(["a", "b"])
    assert validate_class_rows(run.points, run.classes) is run.points
    with pytest.raises(UserError, match=message):
        validate_class_rows(run.points.assign(**fault), run.classes)
    with pytest.raises(UserError, match="lack the columns margin"):
        validate_class_rows(run.points.drop(columns="margin"), run.classes)
