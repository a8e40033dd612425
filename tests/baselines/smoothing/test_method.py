import functools
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy import stats
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines import Options
from featureconvex.baselines.smoothing import method as smoothing_method
from featureconvex.baselines.smoothing.bound import probability_bound
from featureconvex.baselines.smoothing.cost import seconds_with_fresh_noise
from featureconvex.baselines.smoothing.method import Smoothing
from featureconvex.baselines.smoothing.variants import (
    SmoothingGaussian,
    SmoothingLaplacian,
    SmoothingUniform,
)
from featureconvex.certificates import Guarantee
from featureconvex.errors import UserError
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.training.points import Points

KINDS: list[type[Smoothing]] = [SmoothingGaussian, SmoothingLaplacian, SmoothingUniform]
SIGMA = {"sigma": 0.5}


def surer(kind: type[Smoothing]) -> type[Smoothing]:
    """Guesses from so many copies that a majority of noise is a majority of the guess."""

    class Surer(kind):  # type: ignore[misc, valid-type]
        guesses: ClassVar[int] = 401

    return Surer


def made(kind: type[Smoothing], samples: int = 300, **changes: Any) -> Smoothing:
    return kind(Options(shape=(1, 8, 8), epochs=120, samples=samples, **changes), SIGMA)


@functools.cache
def fitted(kind: type[Smoothing]) -> Smoothing:
    method = made(kind, samples=5000)
    method.fit(*digits()[:2])
    return method


@functools.cache
def case(kind: type[Smoothing]) -> MethodCase:
    return MethodCase(lambda: made(surer(kind)), *digits(), attempts=60)


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_laws(kind: type[Smoothing], law: Law[MethodCase]) -> None:
    law(case(kind))


def linear(kind: type[Smoothing], w: Tensor, b: float, samples: int, seed: int = 0) -> Smoothing:
    """The network computes ``<w, x> + b`` as the difference of two ReLUs."""
    method = kind(Options(shape=tuple(w.shape), samples=samples, seed=seed), SIGMA)
    net = method.network
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        for row, sign in enumerate((1.0, -1.0)):
            net.first.weight[row] = sign * w / net.scale
            net.first.bias[row] = sign * b
            net.head.get_parameter("1.weight")[row, row] = 1
            net.head.get_parameter("3.weight")[0, row] = sign
    return method


def test_the_linear_network_is_linear() -> None:
    w = torch.tensor([1.0, -2.0, 0.5])
    x = torch.randn(20, 3)
    assert torch.allclose(linear(SmoothingGaussian, w, 0.3, 10).network(x), x @ w + 0.3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_radii_of_a_linear_classifier_stay_just_below_its_distance(kind: type[Smoothing]) -> None:
    w = torch.tensor([2.0, 0, 0]) if kind is not SmoothingGaussian else torch.tensor([2.0, 1, -2])
    method = linear(kind, w, 0.0, samples=50_000)
    x = torch.outer(torch.tensor([-1.0, 0.05, 0.2, 0.4]), w / w.norm())
    distance = np.maximum((x @ w / w.norm()).numpy(), 0)
    radius = method.certify(x, "certified")[kind.native_norms[0]]
    assert (radius <= distance).all()
    assert np.allclose(radius, distance, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_is_too_large_no_more_often_than_promised(
    kind: type[Smoothing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoothing_method, "ALPHA", 0.1)
    w = torch.tensor([1.0, 0.0])
    x, distance, runs = torch.tensor([[0.3, 0.0]]), 0.3, 200
    methods = (surer(kind) for _ in range(runs))
    norm = kind.native_norms[0]
    too_large = sum(
        linear(each, w, 0.0, samples=200, seed=seed).certify(x, "certified")[norm][0] > distance
        for seed, each in enumerate(methods)
    )
    assert too_large <= stats.binom.ppf(0.9999, runs, 0.1)
    # And the bound is used up: a method that always abstains would not be a test of coverage.
    assert too_large >= stats.binom.ppf(0.001, runs, 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_counts_agree_with_noise_of_ones_own(kind: type[Smoothing]) -> None:
    method, x = fitted(kind), digits()[2].x[:8]
    generator = torch.Generator().manual_seed(99)
    with torch.no_grad():
        own = [
            (method.network(point + method.noise.sample((20_000, 1, 8, 8), generator)).double())
            for point in x
        ]
    shares = np.array([((s + method.tau) > 0).double().mean().item() for s in own])
    error = np.sqrt(shares * (1 - shares) * (1 / 20_000 + 1 / 5000)) + 1e-3
    assert (np.abs(method.counts(x) / 5000 - shares) < 4 * error).all()


@pytest.mark.parametrize("kind", KINDS)
def test_radii_come_from_the_bound_on_the_count(kind: type[Smoothing]) -> None:
    method, x = fitted(kind), digits()[2].x
    bounds = np.where(method.predict(x), probability_bound(method.counts(x), 5000, 0.001), 0)
    radii = method.certify(x, "certified")
    for norm, expected in method.noise.radii(bounds, 64).items():
        assert np.array_equal(radii[norm], expected)
    assert method.levels == {"certified": Guarantee.probabilistic}


def test_abstains_where_the_majority_is_too_thin() -> None:
    method = linear(surer(SmoothingGaussian), torch.tensor([1.0, 0]), 0.0, samples=1000)
    # Flagged with probability Phi(0.1) = 0.54, which 1000 samples do not tell from 1/2.
    x = torch.tensor([[0.05, 0.0]])
    assert method.predict(x).all()
    assert method.certify(x, "certified")[2.0][0] == 0


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_the_threshold_balances_smoothed_decisions(sigma: float) -> None:
    fitting, validation, _ = digits()
    # One class three times as common: without balancing it would be favoured.
    few = torch.cat((torch.where(fitting.y > 0)[0][:40], torch.where(fitting.y == 0)[0]))
    choices = Options(shape=(1, 8, 8), epochs=120, samples=4000)
    method = SmoothingGaussian(choices, {"sigma": sigma})
    method.fit(Points(fitting.x[few], fitting.y[few]), validation)
    votes = (method.counts(validation.x) > 2000) == (validation.y.numpy() > 0)
    sensitive = validation.y.numpy() > 0
    assert abs(votes[sensitive].mean() - votes[~sensitive].mean()) < 0.08


def test_noise_for_the_guess_hangs_on_the_point_alone() -> None:
    method, x = fitted(SmoothingGaussian), digits()[2].x
    alone = [method.predict(point[None])[0] for point in x]
    assert np.array_equal(method.predict(x), alone)
    assert np.array_equal(method.predict(x.flip(0)), alone[::-1])


def test_fitting_again_gives_the_same_and_another_seed_another() -> None:
    def radii(seed: int) -> Any:
        method = made(SmoothingGaussian, seed=seed)
        with torch.random.fork_rng():
            torch.seed()
            method.fit(*digits()[:2])
        return method.certify(digits()[2].x, "certified")[2.0]

    first = radii(0)
    assert np.array_equal(first, radii(0))
    assert not np.array_equal(first, radii(1))


def test_threshold_guess_and_certificate_share_no_noise() -> None:
    method = made(SmoothingGaussian)
    pools = (method._thresholding, method._guessing, method._certifying)
    responses = torch.cat([torch.cat(list(pool)) for pool in pools]).detach().numpy()
    assert len(np.unique(responses, axis=0)) == len(responses) == 10_000 + 10_000 + 300


def test_only_what_was_learnt_is_saved() -> None:
    method = fitted(SmoothingGaussian)
    method.certify(digits()[2].x[:2], "certified")
    saved = sum(value.numel() for value in method.state_dict().values())
    assert saved == sum(p.numel() for p in method.network.parameters()) + 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_flagged_wrongly(value: float) -> None:
    x = digits()[2].x[:3].clone()
    x[:, 0, 3, 3] = value
    radius = fitted(SmoothingGaussian).certify(x, "certified")[2.0]
    assert np.isfinite(radius).all()
    if np.isnan(value):
        assert (radius == 0).all()


def test_settings_are_the_papers() -> None:
    sigmas = [s["sigma"] for s in SmoothingGaussian.settings(options(1))]
    assert sigmas == [0.75, 1.5, 2.25, 3.0]
    malimg = Options(shape=(1, 512, 512), task="malimg")
    assert [s["sigma"] for s in SmoothingUniform.settings(malimg)] == [3.5, 7.0, 10.5, 14.0]


def test_no_points_give_no_radii() -> None:
    method = fitted(SmoothingUniform)
    assert all(len(r) == 0 for r in method.certify(torch.zeros(0, 1, 8, 8), "certified").values())


def test_samples_that_cannot_certify_are_refused() -> None:
    assert probability_bound(10, 10, 0.001) > 0.5
    assert probability_bound(9, 9, 0.001) < 0.5
    made(SmoothingGaussian, samples=10)
    with pytest.raises(UserError, match="at least 10"):
        made(SmoothingGaussian, samples=9)


@pytest.mark.parametrize("kind", KINDS)
def test_measures_what_sharing_saves(kind: type[Smoothing]) -> None:
    method, x = fitted(kind), digits()[2].x[:2]
    measured = method.measurements(x)
    assert measured["forward_passes"] == 5100
    assert measured["seconds_with_fresh_noise"] > 0
    assert method.measurements(x[:0]) == {"forward_passes": 5100}


def test_the_measurement_runs_every_pass_on_noise_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method, x = fitted(SmoothingGaussian), digits()[2].x[:2]
    seen: list[Tensor] = []

    def forward(z: Tensor) -> Tensor:
        seen.append(z.clone())
        return torch.zeros(len(z))

    monkeypatch.setattr(method.network, "forward", forward)
    seconds_with_fresh_noise(method.network, method.noise, 5100, x, 0)
    copies = torch.cat(seen)
    assert len(copies) == 2 * 5100
    assert len(np.unique(copies.flatten(1).numpy(), axis=0)) == 2 * 5100
    assert torch.allclose(copies[:5100].mean(0), x[0], atol=0.05)
