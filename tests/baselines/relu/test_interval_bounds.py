import math

import pytest
import torch
from tests.baselines.relu.exact import flagged_points, random_layers

from featureconvex.baselines.relu.interval_bounds import interval_bounds
from featureconvex.baselines.relu.stability import instability
from featureconvex.norms import dual_exponent, norm_name, vector_norm

NORMS = (1.0, 2.0, math.inf)


def moves(count: int, dimension: int, p: float) -> torch.Tensor:
    """Points (count, d) of norm 1: random, and the corners of the l1 ball."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    eye = torch.eye(dimension, dtype=torch.float64)
    rows = torch.cat((noise, noise.sign(), eye, -eye))
    return rows / vector_norm(rows, p)[:, None]


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_every_preactivation_in_the_ball_lies_in_its_interval(p: float) -> None:
    layers = random_layers((5, 7, 6, 4), seed=2)
    x = flagged_points(layers, 1, seed=0)
    radius = torch.tensor([0.4], dtype=torch.float64)
    bounds = interval_bounds(layers, x, radius, p)
    z = x + 0.4 * moves(2000, 5, p)
    for (weight, bias), (low, high) in zip(layers, bounds, strict=True):
        z = z @ weight.T + bias
        assert bool((z >= low - 1e-9).all())
        assert bool((z <= high + 1e-9).all())
        z = z.relu()


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_the_first_layer_is_exact(p: float) -> None:
    layers = random_layers((5, 7), seed=2)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[None]
    radius = torch.tensor([0.4], dtype=torch.float64)
    low, high = interval_bounds(layers, x, radius, p)[0]
    weight, bias = layers[0]
    # Where Hoelder's inequality is an equality.
    q = dual_exponent(p)
    if p == 1:
        best = torch.zeros_like(weight)
        largest = weight.abs().argmax(dim=1, keepdim=True)
        best.scatter_(1, largest, weight.gather(1, largest).sign())
    else:
        best = weight.sign() if p == math.inf else weight / vector_norm(weight, q)[:, None]
    reached = ((x + 0.4 * best) * weight).sum(dim=1) + bias
    assert torch.allclose(high[0], reached)
    assert torch.allclose(low[0] + high[0], 2 * (x @ weight.T + bias)[0])


def test_instability_counts_open_neurons() -> None:
    # tanh(1 + l u) is close to 1 far from the kink and close to -1 across it.
    weight = torch.eye(2)
    last = (torch.ones(1, 2), torch.zeros(1))
    for bias, expected in ((10.0, -2.0), (-10.0, -2.0), (0.0, 2.0)):
        layers = [(weight, torch.full((2,), bias)), last]
        value = float(instability(layers, torch.zeros(1, 2), 5.0, math.inf))
        assert value == pytest.approx(expected, abs=1e-3)
