import math
from functools import cache

import pytest
import torch
from tests.baselines.cases import digits, options
from tests.baselines.relu.exact import exact_radius, flagged_points, random_layers

from featureconvex.baselines.relu.interval import Interval
from featureconvex.baselines.relu.interval_bounds import interval_bounds
from featureconvex.baselines.relu.interval_radius import interval_radius
from featureconvex.baselines.relu.interval_training import IntervalLoss
from featureconvex.baselines.relu.network import ReluNetwork, scores
from featureconvex.norms import norm_name
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law

NORMS = (1.0, 2.0, math.inf)


@cache
def case(norm: str) -> MethodCase:
    return MethodCase(lambda: Interval(options(150), {"norm": norm}), *digits())


@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase], norm: str) -> None:
    law(case(norm))


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_radii_are_positive_and_below_the_exact_ones(p: float) -> None:
    layers = random_layers((4, 5, 3), seed=1)
    x = flagged_points(layers, 6, seed=0)
    exact = torch.tensor([exact_radius(layers, row, p) for row in x], dtype=torch.float64)
    radius = interval_radius(layers, x, p)
    assert bool((radius > 0).all())
    assert bool((radius <= exact * (1 + 1e-9)).all())
    end = interval_bounds(layers, x, radius * 1.001, p)[-1][0][:, 0]
    assert bool((end <= 0).all())


def test_one_active_neuron_gives_the_distance_to_a_hyperplane() -> None:
    layers = [
        (torch.tensor([[3.0, -4.0]], dtype=torch.float64), torch.tensor([10.0]).double()),
        (torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([-2.0]).double()),
    ]
    x = torch.zeros(1, 2, dtype=torch.float64)
    for p, dual in ((1.0, 4.0), (2.0, 5.0), (math.inf, 7.0)):
        assert float(interval_radius(layers, x, p)) == pytest.approx(9 / dual, rel=1e-9)


def test_what_is_not_flagged_has_radius_0() -> None:
    layers = random_layers((4, 5), seed=1)
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    radius = interval_radius(layers, x, 2.0)
    assert bool(((radius > 0) == (scores(layers, x) > 0)).all())


def test_the_loss_starts_ordinary_and_ends_with_the_worst_case() -> None:
    network = ReluNetwork(6, (8, 5))
    network.reset(0)
    x = torch.rand(32, 6, generator=torch.Generator().manual_seed(1))
    sign = torch.ones(32)
    loss = IntervalLoss(math.inf, 0.1)
    ordinary = torch.nn.functional.softplus(-network(x)).mean()
    assert torch.equal(loss(network, x, sign, 0.05), ordinary)
    low = interval_bounds(network.pairs(), x, torch.full((32,), 0.1), math.inf)[-1][0][:, 0]
    worst = torch.nn.functional.softplus(-low).mean()
    assert torch.allclose(loss(network, x, sign, 0.9), (ordinary + worst) / 2)
