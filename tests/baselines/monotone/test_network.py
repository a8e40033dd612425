import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.baselines.monotone.network import OneSidedNetwork, ThreeWays
from featureconvex.errors import ConvexityError
from featureconvex.nn.nonnegative import NonNegativeLinear
from featureconvex.training.points import Points


def made(inputs: int, hidden: tuple[int, ...], seed: int) -> OneSidedNetwork:
    torch.manual_seed(seed)
    network = OneSidedNetwork(inputs, hidden).double()
    with torch.no_grad():
        network.sign.copy_(torch.randint(-1, 2, (inputs,)))
        network.centre.normal_()
        for layer in network.monotone:
            if isinstance(layer, NonNegativeLinear):
                # Larger than at the start, so that the activations bend.
                layer.weight = layer.weight * 5
    return network


@given(seed=st.integers(0, 1000), inputs=st.integers(1, 6), depth=st.integers(0, 2))
def test_evidence_never_lowers_the_score(seed: int, inputs: int, depth: int) -> None:
    network = made(inputs, (7, 4)[:depth], seed)
    x = torch.randn(20, inputs, dtype=torch.float64) * 3
    evidence = torch.rand(20, inputs, dtype=torch.float64) * 4 * network.sign
    ignored = torch.randn(20, inputs, dtype=torch.float64) * (network.sign == 0)
    before, after = network(x), network(x + evidence + ignored)
    assert bool((after >= before - 1e-12).all())


def test_the_corner_is_the_worst_of_all() -> None:
    network = made(3, (7, 4), 0)
    x = torch.randn(10, 3, dtype=torch.float64)
    r = torch.rand(10, dtype=torch.float64) * 2
    worst = network(network.lowered(x, r))
    for direction in itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=3):
        moved = x + r[:, None] * torch.tensor(direction, dtype=torch.float64)
        assert bool((network(moved) >= worst - 1e-12).all())


def test_activations_are_neither_convex_nor_concave_nor_decreasing() -> None:
    h = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None].expand(61, 3)
    y = ThreeWays()(h)
    assert bool((y.diff(dim=0) >= 0).all())
    bend = y.diff(n=2, dim=0)
    assert (bend[:, 0].min() > -1e-9, bend[:, 0].max() > 1e-6) == (True, True)
    assert (bend[:, 1].max() < 1e-9, bend[:, 1].min() < -1e-6) == (True, True)
    assert bend[:, 2].min() < -1e-6 < 1e-6 < bend[:, 2].max()


def test_directions_are_those_of_the_class_means() -> None:
    x = torch.tensor([[0.0, 1, 5, 2], [2, 1, 5, 2], [3, 0, 5, 2], [5, 0, 5, 2]])
    network = OneSidedNetwork(4, ())
    network.orient_(Points(x, torch.tensor([0, 0, 1, 1])))
    assert network.sign.tolist() == [1, -1, 0, 0]
    assert network.centre.tolist() == [2.5, 0.5, 5, 2]


def test_a_feature_left_out_does_not_matter() -> None:
    network = OneSidedNetwork(2, (6,))
    network.sign.copy_(torch.tensor([1.0, 0.0]))
    x = torch.tensor([[0.3, 0.1], [0.3, -99.0]])
    assert torch.equal(network(x)[0], network(x)[1])


def test_a_negative_weight_is_refused() -> None:
    network = OneSidedNetwork(2, (6,))
    with pytest.raises(ConvexityError, match="weights >= 0"):
        network.monotone[0].weight = -torch.ones(6, 2)
