import itertools
import math

import pytest
import torch
from tests.baselines.relu.exact import exact_radius, flagged_points, random_layers
from torch import Tensor

from featureconvex.baselines.relu.crown.bounds import BoundProblem
from featureconvex.baselines.relu.crown.boxes import preactivation_bounds
from featureconvex.baselines.relu.crown.branch_and_bound import Budget, searched
from featureconvex.baselines.relu.crown.branching import split, splittable
from featureconvex.baselines.relu.crown.nodes import Region
from featureconvex.norms import norm_name

NORMS = (1.0, 2.0, math.inf)
LAYERS = random_layers((4, 5, 4), seed=1)
POINTS = flagged_points(LAYERS, 4, seed=0)


def region(p: float, limit: Tensor, rows: slice = slice(None)) -> Region:
    problem = BoundProblem.at(LAYERS, POINTS[rows], p)
    low, high = preactivation_bounds(problem, limit, 10)
    return Region(problem, limit, low, high)


def after(p: float, limit: Tensor, nodes: int, rows: slice = slice(None)) -> Tensor:
    space = region(p, limit, rows)
    roots = space.bounded(space.whole(), 20)
    return searched(space, roots, Budget(nodes=nodes, at_once=4, steps=20))


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_more_nodes_never_prove_less_and_end_near_the_exact_radius(p: float) -> None:
    exact = torch.tensor([exact_radius(LAYERS, x, p) for x in POINTS], dtype=torch.float64)
    limit = exact * 1.2
    radii = [after(p, limit, nodes) for nodes in (0, 8, 32, 2000)]
    for fewer, more in itertools.pairwise(radii):
        assert bool((more >= fewer - 1e-12).all())
    assert bool((radii[0] < radii[-1] - 1e-3).any())
    assert bool((radii[-1] <= exact * (1 + 1e-9)).all())
    assert bool((radii[-1] >= exact * 0.9).all())


@pytest.mark.parametrize("p", NORMS, ids=norm_name)
def test_a_ball_inside_the_exact_radius_is_proved_whole(p: float) -> None:
    exact = torch.tensor([exact_radius(LAYERS, x, p) for x in POINTS], dtype=torch.float64)
    assert torch.equal(after(p, exact * 0.9, 2000), exact * 0.9)


def test_points_do_not_share_a_budget() -> None:
    limit = torch.tensor([exact_radius(LAYERS, x, 2.0) for x in POINTS], dtype=torch.float64)
    whole = after(2.0, limit, 24)
    for row in range(len(POINTS)):
        rows = slice(row, row + 1)
        assert torch.allclose(after(2.0, limit[rows], 24, rows), whole[rows], rtol=1e-6)


def test_halves_fix_one_open_neuron_each_way() -> None:
    space = region(2.0, torch.full((4,), 2.0, dtype=torch.float64))
    roots = space.bounded(space.whole(), 5)
    assert bool(splittable(space, roots).all())
    halves = split(space, roots)
    assert halves.owner.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    held = halves.signs.nonzero()
    assert held[:, 0].tolist() == list(range(8))
    neurons = held[:, 1]
    assert torch.equal(neurons[:4], neurons[4:])
    assert bool((halves.signs[range(4), neurons[:4]] == 1).all())
    assert bool((halves.signs[range(4, 8), neurons[4:]] == -1).all())
    for owner, neuron in zip(range(4), neurons[:4].tolist(), strict=True):
        assert float(space.low[owner, neuron]) < 0 < float(space.high[owner, neuron])
