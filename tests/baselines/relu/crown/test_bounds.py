"""Laws of the bounds of ``alpha-beta-crown``: below the network, whatever the free numbers."""

import itertools
import math

import pytest
import torch
from tests.baselines.relu.exact import flagged_points, random_layers
from tests.baselines.relu.test_interval_bounds import moves
from torch import Tensor

from featureconvex.baselines.relu.crown.ascent import Free, ascend
from featureconvex.baselines.relu.crown.bounds import (
    BallImage,
    BoundProblem,
    ReluLines,
    affine_bound,
)
from featureconvex.baselines.relu.crown.boxes import preactivation_bounds
from featureconvex.baselines.relu.interval_bounds import interval_bounds
from featureconvex.baselines.relu.network import Affine, scores
from featureconvex.norms import norm_name

NORMS = (1.0, 2.0, math.inf)
SEEDS = (1, 4, 10)


def hidden_values(layers: list[Affine], x: Tensor) -> Tensor:
    """All pre-activations (n, H) of the hidden layers."""
    parts = []
    for weight, bias in layers[:-1]:
        x = x @ weight.T + bias
        parts.append(x)
        x = x.relu()
    return torch.cat(parts, dim=1)


def worst_gap(
    p: float, seed: int = 1, top: float = 1.0, repel: float = 1.0, shrink: float = 1.0
) -> float:
    """The least of network - bound over balls, over random slopes and multipliers.

    Points are held to the signs that the multipliers stand for. ``top`` above 1, ``repel`` = -1
    and ``shrink`` below 1 plant faults: a slope, a multiplier's sign, a dual norm that are wrong.
    """
    generator = torch.Generator().manual_seed(0)
    layers = random_layers((5, 3), seed=seed)
    x = flagged_points(layers, 1, seed=0)
    problem = BoundProblem.at(layers, x, p)
    weight, bias = layers[-1]
    gaps = []
    for radius, share in itertools.product((0.05, 0.5, 1.0), (0.0, 0.1, 0.3)):
        low, high = preactivation_bounds(problem, torch.tensor([radius]).double(), 0)
        near = x + radius * moves(3000, 5, p)
        values, network = hidden_values(layers, near), scores(layers, near)
        for _ in range(20):
            slopes = top * torch.rand(low.shape, generator=generator, dtype=torch.float64)
            # The signs of one of the points, at some of the neurons.
            seen = values[int(torch.randint(len(values), (1,), generator=generator))].sign()
            signs = seen * (torch.rand(low.shape, generator=generator) < share)
            pull = repel * signs * torch.rand(low.shape, generator=generator, dtype=torch.float64)
            held_low = torch.where(signs > 0, low.clamp(min=0), low)
            held_high = torch.where(signs < 0, high.clamp(max=0), high)
            relaxation = ReluLines.over(held_low, held_high)
            value, reach = affine_bound(problem, weight, bias, relaxation, slopes, pull)
            kept = ((values * signs) >= 0).all(dim=1)
            gaps.append(float(network[kept].min() - (value - shrink * radius * reach)))
    return min(gaps)


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_every_choice_of_slopes_and_multipliers_is_a_lower_bound(p: float) -> None:
    assert min(worst_gap(p, seed) for seed in SEEDS) >= -1e-9


@pytest.mark.parametrize(
    ("top", "repel", "shrink"),
    [(4.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, 0.8)],
    ids=["slope", "multiplier", "norm"],
)
def test_the_law_above_notices_faults(top: float, repel: float, shrink: float) -> None:
    gaps = [
        worst_gap(p, seed, top=top, repel=repel, shrink=shrink)
        for p, seed in itertools.product(NORMS, SEEDS)
    ]
    assert min(gaps) < -1e-3


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_the_reach_is_the_dual_norm(p: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 9, generator=generator, dtype=torch.float64)
    rows = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    products = rows @ weight
    dual = {1.0: products.abs().amax(1), 2.0: products.norm(dim=1), math.inf: products.abs().sum(1)}
    assert torch.allclose(BallImage.of(weight, p).reach(rows), dual[p])


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_preactivations_stay_within_their_bounds(p: float) -> None:
    layers = random_layers((5, 8, 7, 6), seed=4)
    x = flagged_points(layers, 3, seed=0)
    radius = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)
    problem = BoundProblem.at(layers, x, p)
    plain_low, plain_high = preactivation_bounds(problem, radius, 0)
    low, high = preactivation_bounds(problem, radius, 20)
    for row in range(3):
        values = hidden_values(layers, x[row] + radius[row] * moves(3000, 5, p))
        assert bool((values >= low[row] - 1e-9).all())
        assert bool((values <= high[row] + 1e-9).all())
    # Never wider than without ascent, nor than intervals; somewhere narrower than both.
    intervals = interval_bounds(layers, x, radius, p)[:-1]
    widest = torch.cat([b - a for a, b in intervals], dim=1)
    assert bool((high - low <= plain_high - plain_low + 1e-12).all())
    assert bool((high - low <= widest + 1e-12).all())
    assert float((plain_high - plain_low - high + low).max()) > 1e-3
    assert float((widest - high + low).max()) > 1e-3


def test_with_every_sign_settled_the_bound_is_the_network() -> None:
    layers = random_layers((5, 8, 6), seed=3)
    x = flagged_points(layers, 4, seed=0)
    problem = BoundProblem.at(layers, x, 2.0)
    exact = hidden_values(layers, x)
    weight, bias = layers[-1]
    value, _ = affine_bound(
        problem, weight.expand(4, -1), bias.expand(4), ReluLines.over(exact, exact), exact
    )
    assert torch.allclose(value, scores(layers, x))


def test_the_ascent_keeps_the_best_and_leaves_rows_alone() -> None:
    goal = torch.tensor([[0.3], [0.9], [5.0]], dtype=torch.float64)

    def bound(free: object) -> tuple[Tensor, Tensor]:
        value = -(free[0] - goal[: len(free[0])]).square().sum(dim=1)  # type: ignore[index]
        return value, value

    start = torch.zeros(3, 1, dtype=torch.float64)
    none, kept = ascend([Free(start, 1.0, 0.2)], bound, 0)
    assert torch.equal(none, bound([start])[0])
    assert torch.equal(kept[0], start)
    best, numbers = ascend([Free(start, 1.0, 0.2)], bound, 60)
    assert torch.allclose(numbers[0], goal.clamp(max=1), atol=0.02)
    assert torch.equal(best, bound(numbers)[0])
    alone, _ = ascend([Free(start[:2], 1.0, 0.2)], bound, 60)
    assert torch.allclose(alone, best[:2])
