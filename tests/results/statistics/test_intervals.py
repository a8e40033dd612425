from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from featureconvex.errors import UserError
from featureconvex.results.statistics.intervals import clopper_pearson


def test_matches_the_textbook_values() -> None:
    low, high = clopper_pearson([1, 5, 10], 10)
    np.testing.assert_allclose(low, [0.0025285785, 0.1870860284, 0.6915028921], rtol=1e-7)
    np.testing.assert_allclose(high, [0.4450161174, 0.8129139716, 1.0], rtol=1e-7)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_agrees_with_scipy_and_contains_the_estimate(case: tuple[int, int]) -> None:
    k, n = case
    low, high = clopper_pearson(k, n)
    exact = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose([low, high], [exact.low, exact.high], atol=1e-9)
    assert 0 <= low <= k / n <= high <= 1


def test_ends_increase_with_the_count() -> None:
    low, high = clopper_pearson(np.arange(31), 30)
    assert all(a < b for a, b in pairwise(low))
    assert all(a < b for a, b in pairwise(high))


@pytest.mark.parametrize(("k", "n", "confidence"), [(0, 0, 0.95), (3, 2, 0.95), (1, 2, 1.0)])
def test_refuses_impossible_counts(k: int, n: int, confidence: float) -> None:
    with pytest.raises(UserError, match="exact binomial interval"):
        clopper_pearson(k, n, confidence)
