"""Certified radii against exact ones, from solvers that share nothing with the library."""

import math

import pytest
import torch
from tests.baselines.relu.exact import exact_radius, flagged_points, random_layers

from featureconvex.baselines.relu.crown.branch_and_bound import Budget
from featureconvex.baselines.relu.crown.radius import Effort, certified_radius
from featureconvex.norms import norm_name

NORMS = (1.0, 2.0, math.inf)
ALPHA = Effort(trials=0)
LONG = Effort(trials=5, budget=Budget(nodes=300, at_once=16, steps=10))


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
@pytest.mark.parametrize("widths", [(4, 6), (4, 5, 4), (3, 4, 3, 3)], ids=lambda w: f"{len(w)}")
def test_alpha_then_branching_then_exact(widths: tuple[int, ...], p: float) -> None:
    layers = random_layers(widths, seed=10 if len(widths) == 2 else 1)
    x = flagged_points(layers, 2, seed=0)
    exact = torch.tensor([exact_radius(layers, row, p) for row in x], dtype=torch.float64)
    assert bool(exact.isfinite().all())
    alpha, branched = (certified_radius(layers, x, p, effort) for effort in (ALPHA, LONG))
    assert bool((alpha > 0).all())
    assert bool((branched >= alpha).all())
    assert bool((branched <= exact * (1 + 1e-9)).all())
    assert float((branched / exact).min()) > 0.9
    assert float((branched / exact).median()) > 0.99


def test_not_flagged_means_radius_0() -> None:
    layers = random_layers((4, 6), seed=10)
    flagged = flagged_points(layers, 2, seed=0)
    weight, bias = layers[-1]
    never = [*layers[:-1], (weight, bias - 100)]
    assert certified_radius(never, flagged, 2.0, ALPHA).tolist() == [0.0, 0.0]


def test_a_constant_score_cannot_be_flipped() -> None:
    layers = random_layers((4, 6), seed=10)
    constant = [*layers[:-1], (torch.zeros(1, 6).double(), torch.ones(1).double())]
    x = torch.zeros(1, 4, dtype=torch.float64)
    assert certified_radius(constant, x, 1.0, ALPHA).tolist() == [math.inf]


def test_a_flat_spot_has_a_finite_radius() -> None:
    # relu(x - 1) is off at 0: no gradient, and 1 - 2 relu(x - 1) changes sign at 1.5.
    layers = [
        (torch.tensor([[1.0]]).double(), torch.tensor([-1.0]).double()),
        (torch.tensor([[-2.0]]).double(), torch.tensor([1.0]).double()),
    ]
    x = torch.zeros(1, 1, dtype=torch.float64)
    radius = float(certified_radius(layers, x, 2.0, LONG))
    assert 1.4 < radius <= 1.5


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_scaling_the_inputs_scales_the_radius(p: float) -> None:
    layers = random_layers((4, 5, 4), seed=1)
    x = flagged_points(layers, 2, seed=0)
    weight, bias = layers[0]
    stretched = [(weight / 8, bias), *layers[1:]]
    radius = certified_radius(layers, x, p, ALPHA)
    assert torch.allclose(certified_radius(stretched, 8 * x, p, ALPHA), 8 * radius, rtol=1e-6)
