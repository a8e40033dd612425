import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featureconvex.report.wording import (
    LEVEL_NAMES,
    calibration_text,
    headline,
    level_text,
    threat_text,
    unavailable_texts,
)
from featureconvex.results.folder import Run, read_run
from featureconvex.results.record import Record

MakeRecord = Callable[..., Record]


@pytest.fixture(scope="module")
def run(image_folder: Path) -> Run:
    return read_run(image_folder)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_headline_is_true_of_the_rows(run: Run) -> None:
    sensitive = run.rows[run.rows["label"] == 1]
    found = sensitive[sensitive["predicted"] == 1]
    first = plain(headline(run)[0])
    assert first.startswith(f"Of {len(sensitive)} sensitive test samples (3), ")
    assert f"{100 * len(found) / len(sensitive):.1f} % are flagged" in first
    radius = float(first.split("size below ")[1].split()[0])
    assert (found["radius_l2"] >= radius).mean() >= 0.8
    assert (found["radius_l2"] >= radius * 1.05).mean() < 0.8


def test_the_headline_names_the_stronger_certificates(run: Run) -> None:
    text = plain(" ".join(headline(run)))
    assert "With the tight certificate" in text
    assert "With the floating-point sound certificate" in text
    assert "are flagged by mistake" in text


def test_a_table_speaks_of_standard_deviations_and_pixels_of_grey_levels(
    run: Run, table_folder: Path
) -> None:
    assert "training standard deviations" in headline(read_run(table_folder))[0]
    linf = replace(run, record=run.record | {"norm": "inf"})
    assert "of 255 grey levels" in headline(linf)[0]


def test_a_detector_without_certificates_says_so(run: Run) -> None:
    silent = run.rows.assign(predicted=0)
    assert "none is flagged" in headline(replace(run, rows=silent))[0]
    zero = run.rows.assign(radius_l2=0.0)
    assert "0 % of those a positive l2 radius" in plain(headline(replace(run, rows=zero))[0])
    always = run.rows.assign(
        radius_l2=run.rows["radius_l2"].where(run.rows["predicted"] == 0, math.inf)
    )
    assert "no allowed change of any size" in headline(replace(run, rows=always))[0]


@pytest.mark.parametrize(
    ("calibration", "expected"),
    [
        ({"rule": "balanced", "on": "test"}, "balanced on the evaluation points (paper protocol)"),
        ({"rule": "balanced", "on": "validation"}, "balanced on a validation split"),
        ({"rule": "fpr", "on": "validation", "target_fpr": 0.01}, "at most 1.0 % of the other"),
        ({"rule": "fpr", "on": "test", "target_fpr": 0.01}, "set on the evaluation points"),
    ],
)
def test_says_where_the_threshold_comes_from(
    calibration: dict[str, Any], expected: str, make_record: MakeRecord
) -> None:
    assert expected in plain(calibration_text(make_record(calibration=calibration)))


@pytest.mark.parametrize("level", sorted(LEVEL_NAMES))
@pytest.mark.parametrize("kind", ["image", "table"])
def test_each_level_is_explained_in_two_sentences(level: str, kind: str) -> None:
    text = level_text(level, kind)
    assert text.endswith(".")
    assert text.count(". ") == 1
    assert "{" not in text
    assert ("pixel" in text) == (kind == "image" and level == "domain")


def test_a_level_that_refused_the_model_is_named_with_its_reason(make_record: MakeRecord) -> None:
    assert unavailable_texts(make_record()) == []
    record = make_record(levels_unavailable={"sound": "no proof for Softplus.", "tight": "no rule"})
    assert unavailable_texts(record) == [
        "The floating-point sound certificate was not computed: no proof for Softplus.",
        "The tight certificate was not computed: no rule.",
    ]


@pytest.mark.parametrize("threat", ["l1", "l2", "linf", "l0", "patch-5", "l1.5"])
@pytest.mark.parametrize("kind", ["image", "table"])
def test_each_threat_is_explained(threat: str, kind: str) -> None:
    assert len(threat_text(threat, kind)) > 15
