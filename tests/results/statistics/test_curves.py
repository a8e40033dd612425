import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.results.columns import parse_radius_column
from featureconvex.results.statistics.curves import (
    average_certified_radius,
    certified_curve,
    median_radius,
    radius_grid,
    round_down,
    round_up,
)

MakeRows = Callable[..., pd.DataFrame]


def by_hand(radius: list[float]) -> pd.DataFrame:
    """Five sensitive points (one missed) and two others (one flagged by mistake, with a radius)."""
    label = [1, 1, 1, 1, 1, 0, 0]
    predicted = [1, 1, 1, 1, 0, 1, 0]
    return pd.DataFrame({"label": label, "predicted": predicted, "radius_l2": radius})


HAND = by_hand([0.5, 1.0, 1.0, math.inf, 0.0, 9.0, 0.0])


def test_counts_by_hand_with_ties_and_infinity() -> None:
    curve = certified_curve(HAND, "radius_l2", [0.0, 0.5, 0.5001, 1.0, 1.0001, 1e9])
    np.testing.assert_allclose(curve.accuracy, [0.8, 0.8, 0.6, 0.6, 0.2, 0.2])
    assert median_radius(HAND, "radius_l2") == 1.0
    assert average_certified_radius(HAND, "radius_l2") == math.inf


def test_averages_count_a_missed_point_as_zero() -> None:
    rows = by_hand([0.5, 1.0, 1.0, 2.0, 0.0, 9.0, 0.0])
    assert average_certified_radius(rows, "radius_l2") == pytest.approx(4.5 / 5)


def test_without_a_flagged_point_there_is_no_median() -> None:
    rows = by_hand([0.0] * 7).assign(predicted=0)
    assert median_radius(rows, "radius_l2") is None
    assert average_certified_radius(rows, "radius_l2") == 0
    assert certified_curve(rows, "radius_l2", [0.0, 1.0]).accuracy.tolist() == [0.0, 0.0]


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.floats(0, 1e6) | st.just(math.inf)), min_size=1
    ),
    st.lists(st.floats(0, 1e6), min_size=2),
)
def test_never_increases_and_starts_at_the_sensitive_accuracy(
    points: list[tuple[bool, bool, float]], grid: list[float]
) -> None:
    rows = pd.DataFrame(
        {
            "label": [1] + [int(label) for label, _, _ in points],
            "predicted": [1] + [int(flag) for _, flag, _ in points],
            "radius_l2": [1.0] + [radius if flag else 0.0 for _, flag, radius in points],
        }
    )
    curve = certified_curve(rows, "radius_l2", [0.0, *sorted(grid)])
    sensitive = rows[rows["label"] == 1]
    assert (np.diff(curve.accuracy) <= 0).all()
    assert curve.accuracy[0] == pytest.approx(float((sensitive["predicted"] == 1).mean()))
    assert (curve.low <= curve.accuracy).all()
    assert (curve.accuracy <= curve.high).all()
    for r, share in zip(curve.radius, curve.accuracy, strict=True):
        certified = (sensitive["predicted"] == 1) & (sensitive["radius_l2"] >= r)
        assert share == pytest.approx(float(certified.mean()))


def test_just_above_zero_every_positive_radius_counts(make_rows: MakeRows) -> None:
    rows = make_rows()
    sensitive = rows[rows["label"] == 1]
    curve = certified_curve(rows, "radius_linf", [5e-324])
    assert curve.accuracy[0] == pytest.approx(float((sensitive["predicted"] == 1).mean()))


def test_the_grid_reaches_beyond_the_largest_radius_of_any_level(make_rows: MakeRows) -> None:
    rows = make_rows(levels=("domain", "tight"))
    columns = [parse_radius_column(n) for n in ("radius_l2", "radius_l2_domain", "radius_l2_tight")]
    grid = radius_grid(rows, columns)
    assert grid[0] == 0
    assert (np.diff(grid) > 0).all()
    assert certified_curve(rows, "radius_l2_tight", grid).accuracy[-1] == 0
    assert certified_curve(rows, "radius_l2_tight", grid[-20:]).accuracy[0] > 0


@pytest.mark.parametrize(
    ("threat", "radii", "expected"),
    [
        ("l0", [0.0, 1.0, 3.0, 2.0], [0, 1, 2, 3, 4]),
        ("patch-5", [0.0, 5.0, 5.0, 5.0], [0, 5]),
        ("l2", [math.inf] * 4, None),
    ],
)
def test_grids_of_counts_and_of_infinite_radii(
    threat: str, radii: list[float], expected: list[float] | None
) -> None:
    column = parse_radius_column(f"radius_{threat}")
    rows = by_hand([*radii, 0.0, 0.0, 0.0]).rename(columns={"radius_l2": column.name})
    grid = radius_grid(rows, [column])
    assert grid.tolist() == expected if expected else (grid[0], grid[-1]) == (0.0, 1.0)


@given(st.floats(1e-9, 1e9))
def test_rounding_keeps_its_side(value: float) -> None:
    assert round_down(value) <= value < round_up(value) <= 1.4 * value + 1e-9
    assert round_down(value, 3) >= 0.99 * value
