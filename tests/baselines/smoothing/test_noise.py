import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.integrate import quad

from featureconvex.baselines.smoothing.noise import (
    GaussianNoise,
    LaplacianNoise,
    Noise,
    UniformNoise,
    rademacher_radius,
)

SIGMA = 0.7
KINDS: list[type[Noise]] = [GaussianNoise, LaplacianNoise, UniformNoise]
PROBABILITIES = [0.501, 0.6, 0.9, 0.99, 0.9999]
Floats = NDArray[np.float64]


def distribution(noise: Noise) -> stats.rv_continuous:
    """scipy's own, by standard deviation."""
    if isinstance(noise, GaussianNoise):
        return stats.norm(scale=SIGMA)
    if isinstance(noise, LaplacianNoise):
        return stats.laplace(scale=SIGMA / math.sqrt(2))
    half = SIGMA * math.sqrt(3)
    return stats.uniform(-half, 2 * half)


def masses(noise: Noise, shift: float, cells: int) -> tuple[Floats, Floats]:
    """Of one coordinate's cells, without and with a shift; the density's kinks are cell borders."""
    law, half = distribution(noise), SIGMA * math.sqrt(3)
    far = 12 * SIGMA + shift
    kinks = [-np.inf, 0, shift, -half, half, shift - half, shift + half, np.inf]
    borders = np.unique(np.concatenate((np.linspace(-far, far, cells), kinks)))
    return np.diff(law.cdf(borders)), np.diff(law.cdf(borders - shift))


def least_probability(noise: Noise, delta: list[float], p: float, cells: int = 2000) -> float:
    """Neyman and Pearson by summation: the least probability at ``x + delta`` of an event that has
    probability ``p`` at ``x``, among unions (and fractions) of cells."""
    parts = [masses(noise, shift, cells) for shift in delta]
    here, there = parts[0]
    for more, moved in parts[1:]:
        here, there = np.outer(here, more).ravel(), np.outer(there, moved).ravel()
    possible = here > 0
    here, there = here[possible], there[possible]
    order = np.argsort(there / here)
    here, there = here[order], there[order]
    full = np.cumsum(here)
    last = min(int(np.searchsorted(full, p)), len(here) - 1)
    before = full[last] - here[last]
    return float(there[:last].sum() + there[last] * (p - before) / here[last])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_in_one_dimension_the_radius_is_exactly_where_the_worst_event_reaches_one_half(
    kind: type[Noise], p: float
) -> None:
    noise = kind(SIGMA)
    for radius in noise.radii([p], 1).values():
        assert least_probability(noise, [0.999 * radius[0]], p) > 0.5
        assert least_probability(noise, [1.01 * radius[0] + 1e-3], p) < 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_in_two_dimensions_no_direction_is_worse_than_claimed(kind: type[Noise], p: float) -> None:
    noise = kind(SIGMA)
    for norm, radius in noise.radii([p], 2).items():
        for direction in ([1.0, 0.0], [1.0, 1.0], [1.0, 0.5]):
            length = float(np.linalg.norm(direction, norm))
            delta = [0.995 * float(radius[0]) / length * part for part in direction]
            assert least_probability(noise, delta, p, cells=400) > 0.5


@pytest.mark.parametrize(
    ("kind", "norm", "direction"),
    [
        (GaussianNoise, 2.0, [0.6, 0.8]),
        (LaplacianNoise, 1.0, [1.0, 0.0]),
        (UniformNoise, 1.0, [1.0, 0.0]),
        (UniformNoise, math.inf, [1.0, 1.0]),
    ],
)
def test_in_two_dimensions_a_slightly_larger_radius_would_be_false(
    kind: type[Noise], norm: float, direction: list[float]
) -> None:
    noise = kind(SIGMA)
    radius = float(noise.radii([0.9], 2)[norm][0])
    delta = [1.03 * radius * part for part in direction]
    assert least_probability(noise, delta, 0.9, cells=800) < 0.5


def test_gaussian_radius_of_a_linear_classifier_is_its_distance() -> None:
    w, margins = np.array([3.0, -1.0, 2.0, 0.5]), np.array([-1.0, 0.1, 2.0, 7.0])
    p = stats.norm.cdf(margins / (SIGMA * np.linalg.norm(w)))
    radius = GaussianNoise(SIGMA).radii(p, 4)[2.0]
    distance = np.maximum(margins, 0) / np.linalg.norm(w)
    assert np.allclose(radius, distance, rtol=1e-6)
    assert (radius <= distance).all()


@pytest.mark.parametrize("kind", [LaplacianNoise, UniformNoise])
def test_l1_radius_of_a_threshold_on_one_coordinate_is_its_distance(kind: type[Noise]) -> None:
    noise = kind(SIGMA)
    margins = np.array([0.01, 0.3, 1.1])
    radius = noise.radii(distribution(noise).cdf(margins), 50)[1.0]
    assert np.allclose(radius, margins, rtol=1e-6)
    assert (radius <= margins).all()


def test_laplacian_linf_radius_of_a_sum_is_below_its_distance_but_near() -> None:
    noise = LaplacianNoise(SIGMA)
    margins = np.array([0.1, 1.0, 3.0, 5.0])
    # x_1 + x_2 + m > 0: two Laplacians' sum exceeds t with probability exp(-t) (2 + t) / 4.
    t = margins / noise.scale
    radius = noise.radii(1 - np.exp(-t) * (2 + t) / 4, 2)[math.inf]
    assert (radius < margins / 2).all()
    assert (radius > 0.8 * margins / 2).all()


def mean_of_top(scores: Floats, q: float) -> float:
    """``E[score; U]`` for the event U of probability q with the highest of equally likely scores."""
    each = 1 / len(scores)
    filled = np.clip(q / each - np.arange(len(scores)), 0, 1)
    return float((np.sort(scores)[::-1] * filled).sum() * each)


def all_signs(dimension: int) -> Floats:
    bits = np.arange(2**dimension)[:, None] >> np.arange(dimension)
    return np.where(bits & 1, 1.0, -1.0)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("p", [0.52, 0.8, 0.95, 0.9995])
def test_rademacher_radius_is_the_integral_over_all_signs(dimension: int, p: float) -> None:
    sums = all_signs(dimension).sum(axis=1)
    expected = quad(lambda q: 1 / mean_of_top(sums, q), 1 - p, 0.5, limit=500)[0]
    assert rademacher_radius(p, dimension) == pytest.approx(expected, rel=1e-4)


def test_no_direction_of_the_cube_loses_probability_faster_than_a_corner() -> None:
    signs, rng = all_signs(5), np.random.default_rng(0)
    for q in (0.01, 0.1, 0.3, 0.5):
        corner = mean_of_top(signs.sum(axis=1), q)
        for v in rng.uniform(-1, 1, (200, 5)):
            assert mean_of_top(signs @ (v / np.abs(v).max()), q) <= corner + 1e-12


@pytest.mark.parametrize("dimension", [784, 3072, 512 * 512])
def test_in_high_dimension_laplacian_linf_is_nearly_gaussian(dimension: int) -> None:
    p = np.array([0.6, 0.99, 0.9999])
    radius = [rademacher_radius(value, dimension) for value in p]
    assert np.allclose(radius, stats.norm.ppf(p) / math.sqrt(dimension), rtol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_radii_grow_with_probability_scale_with_sigma_and_vanish_at_one_half(
    kind: type[Noise],
) -> None:
    p = np.concatenate(([0, 0.3, 0.5], np.linspace(0.5, 0.99999, 40)[1:]))
    wide, narrow = kind(3.0).radii(p, 784), kind(0.5).radii(p, 784)
    assert set(wide) == set(kind.norms)
    for norm, radius in wide.items():
        assert (radius[:3] == 0).all()
        assert (np.diff(radius[2:]) > 0).all()
        assert np.allclose(radius, 6 * narrow[norm])


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_distribution_that_the_radius_assumes(kind: type[Noise]) -> None:
    noise = kind(SIGMA)
    sample = noise.sample((200, 1, 20, 20), torch.Generator().manual_seed(3))
    assert sample.shape == (200, 1, 20, 20)
    assert sample.dtype == torch.float32
    values = sample.flatten().double().numpy()
    assert stats.kstest(values, distribution(noise).cdf).pvalue > 0.01
    assert values.std() == pytest.approx(SIGMA, rel=0.01)
    # Neighbouring coordinates have nothing in common.
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.02


def test_laplacian_noise_is_finite_even_at_the_end_of_the_uniform_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, *_, **__: self.fill_(low))
    noise = LaplacianNoise(1.0).sample((3,), torch.Generator())
    assert torch.isfinite(noise).all()
    assert (noise < -10).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_fixes_the_noise(kind: type[Noise]) -> None:
    draws = [kind(1.0).sample((5, 3), torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
