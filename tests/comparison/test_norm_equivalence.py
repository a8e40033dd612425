import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.comparison.norm_equivalence import conversion_factor, in_norm

NORMS = st.sampled_from([1.0, 1.5, 2.0, 3.0, math.inf])


@given(NORMS, NORMS, st.lists(st.floats(-10, 10), min_size=1, max_size=9))
def test_the_converted_ball_lies_in_the_native_one(
    native: float, wanted: float, values: list[float]
) -> None:
    v = np.array(values)
    factor = conversion_factor(native, wanted, len(v))
    # ||v||_wanted < factor * r must imply ||v||_native < r.
    # In units of the largest, so that no power of a tiny number vanishes.
    v = v / max(np.abs(v).max(), np.finfo(float).tiny)
    assert np.linalg.norm(v, native) * factor <= np.linalg.norm(v, wanted) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("native", "wanted"), [(1, 2), (1, math.inf), (2, math.inf), (2, 1), (math.inf, 1)]
)
def test_the_factor_cannot_be_larger(native: float, wanted: float) -> None:
    worst = np.ones(7) if wanted > native else np.eye(7)[0]
    factor = conversion_factor(native, wanted, 7)
    assert np.linalg.norm(worst, native) * factor == pytest.approx(np.linalg.norm(worst, wanted))


def test_a_native_radius_is_taken_as_it_is_and_the_best_conversion_otherwise() -> None:
    radii = {2.0: np.array([1.0, 0.0]), math.inf: np.array([0.9, 0.0])}
    assert in_norm(radii, 2.0, 4)[0].tolist() == [1, 0]
    values, converted = in_norm(radii, 1.0, 4)
    assert converted
    assert values.tolist() == [1, 0]
