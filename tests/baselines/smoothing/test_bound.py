import numpy as np
import pytest
from scipy import stats

from featureconvex.baselines.smoothing.bound import probability_bound


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.1), (7, 0.05), (100, 0.001), (100_000, 0.001)])
def test_is_scipys_exact_one_sided_interval(n: int, alpha: float) -> None:
    counts = np.unique(np.linspace(0, n, 9).astype(int))
    for count, bound in zip(counts, probability_bound(counts, n, alpha), strict=True):
        test = stats.binomtest(int(count), n, alternative="greater")
        expected = test.proportion_ci(1 - alpha, method="exact").low
        assert bound == pytest.approx(expected, rel=1e-8, abs=1e-300)


def test_so_many_successes_are_as_unlikely_as_alpha_at_the_bound_and_no_likelier() -> None:
    counts = np.array([1, 5001, 9000, 9999, 10_000])
    bounds = probability_bound(counts, 10_000, 0.001)
    unlikely = stats.binom.sf(counts - 1, 10_000, bounds)
    assert (unlikely <= 0.001).all()
    assert np.allclose(unlikely, 0.001, rtol=1e-4)


def test_all_successes_have_a_closed_form() -> None:
    assert probability_bound([50], 50, 0.01)[0] == pytest.approx(0.01 ** (1 / 50))


@pytest.mark.parametrize("n", [20, 300])
def test_covers_every_probability_with_the_confidence_promised(n: int) -> None:
    bounds = probability_bound(np.arange(n + 1), n, 0.05)
    for p in np.linspace(0.001, 0.999, 200):
        # The probability, over the count, that the bound is too large: a sum, not a simulation.
        assert stats.binom.pmf(np.arange(n + 1), n, p)[bounds > p].sum() <= 0.05
