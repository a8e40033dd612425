import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.errors import UserError
from featureconvex.results.columns import parse_radius_column
from featureconvex.results.statistics.curves import certified_curve
from featureconvex.results.statistics.detection import (
    area_under_curve,
    certified_recall,
    confusion,
    false_positive_rate_at,
    roc_curve,
    shifted_radii,
    threshold_at,
)

MakeRows = Callable[..., pd.DataFrame]
L2 = parse_radius_column("radius_l2")
HAND = pd.DataFrame(
    {
        "label": [1, 1, 1, 0, 0, 0, 0],
        "predicted": [1, 1, 0, 1, 0, 0, 0],
        "margin": [4.0, 1.0, -1.0, 0.5, -0.5, -2.0, -3.0],
        "slope_l2": [2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        "radius_l2": [2.0, math.inf, 0.0, 0.5, 0.0, 0.0, 0.0],
        "status": ["certified", "unbounded", *["not_sensitive"] * 5],
    }
)


def test_confusion_by_hand() -> None:
    counts = confusion(HAND)
    assert vars(counts) == {
        "sensitive_flagged": 2,
        "sensitive_missed": 1,
        "other_flagged": 1,
        "other_passed": 3,
    }
    assert counts.accuracy == pytest.approx(5 / 7)
    assert (counts.sensitive_accuracy, counts.other_accuracy) == pytest.approx((2 / 3, 3 / 4))


def test_thresholds_at_false_positive_rates_by_hand() -> None:
    assert threshold_at(HAND, 0.0) == 0.5
    assert threshold_at(HAND, 0.24) == 0.5
    assert threshold_at(HAND, 0.25) == -0.5
    assert threshold_at(HAND, 0.99) == -3.0
    with pytest.raises(UserError, match=r"must be in \[0, 1\)"):
        threshold_at(HAND, 1.0)


def test_moving_the_threshold_moves_the_radius_by_hand() -> None:
    moved = shifted_radii(HAND, L2, 0.5)
    np.testing.assert_allclose(moved, [1.75, math.inf, 0, 0, 0, 0, 0])
    moved = shifted_radii(HAND, L2, -2.0)
    np.testing.assert_allclose(moved, [3.0, math.inf, 1.0, 2.5, 1.5, 0, 0])
    table = certified_recall(HAND, L2, [0.5, -2.0], [0.0, 1.0, 2.0])
    np.testing.assert_allclose(table, [[2 / 3, 2 / 3, 1 / 3], [1, 1, 2 / 3]])


@pytest.mark.parametrize("status", ["non_finite", "outside_domain"])
def test_a_refused_row_is_certified_at_no_threshold(status: str) -> None:
    rows = HAND.assign(status=[status] * 7, radius_l2=0.0)
    assert shifted_radii(rows, L2, -10.0).max() == 0


def test_only_a_closed_form_radius_with_a_slope_can_be_moved(make_rows: MakeRows) -> None:
    with pytest.raises(UserError, match="cannot be moved to another threshold"):
        shifted_radii(make_rows(levels=("domain",)), parse_radius_column("radius_l2_domain"), 1.0)
    with pytest.raises(UserError, match="slope column 'slope_l2'"):
        shifted_radii(HAND.drop(columns="slope_l2"), L2, 1.0)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_at_the_calibrated_threshold_certified_recall_is_the_curve(
    norm: str, make_rows: MakeRows
) -> None:
    rows = make_rows()
    column = parse_radius_column(f"radius_{norm}")
    radii = np.linspace(0, float(rows[column.name].max()), 50)
    curve = certified_curve(rows, column.name, radii)
    np.testing.assert_array_equal(certified_recall(rows, column, [0.0], radii)[0], curve.accuracy)
    # The moved radius agrees with the row's own as the threshold goes to zero.
    np.testing.assert_allclose(shifted_radii(rows, column, 1e-13), rows[column.name], atol=1e-11)


ODD = (math.inf, -math.inf, math.nan)
margins = st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=1, max_size=40)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([*range(-3, 4), *ODD])), max_size=40))
def test_roc_and_area_are_those_of_counting(points: list[tuple[bool, float]]) -> None:
    """Ties, infinite margins and margins that are no numbers (never flagged, below all others) included."""
    margin = np.array([1.0, -1.0, *(m for _, m in points)], dtype=np.float64)
    label = np.array([1, 0] + [int(s) for s, _ in points])
    rows = pd.DataFrame({"label": label, "predicted": (margin > 0).astype(int), "margin": margin})
    score = np.where(np.isnan(margin), -np.inf, margin)
    found, (own, other) = roc_curve(rows), (score[label == 1], score[label == 0])
    above = other[:, None] > found.threshold, own[:, None] > found.threshold
    np.testing.assert_allclose(found.false_positive_rate, above[0].mean(axis=0))
    np.testing.assert_allclose(found.recall, above[1].mean(axis=0))
    assert set(found.threshold) == {*score, -np.inf}
    wins = (own[:, None] > other).mean() + (own[:, None] == other).mean() / 2
    assert area_under_curve(rows) == pytest.approx(wins)


@given(margins, st.floats(0, 0.999))
def test_the_threshold_keeps_its_promise_and_is_the_smallest(
    points: list[tuple[bool, int]], target: float
) -> None:
    margin = np.array([1.0, -1.0] + [float(m) for _, m in points])
    label = np.array([1, 0] + [int(s) for s, _ in points])
    rows = pd.DataFrame({"label": label, "predicted": (margin > 0).astype(int), "margin": margin})
    threshold = threshold_at(rows, target)
    assert false_positive_rate_at(rows, threshold) <= target + 1e-8
    lower = np.nextafter(threshold, -np.inf)
    assert false_positive_rate_at(rows, float(lower)) > target
