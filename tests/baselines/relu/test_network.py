import numpy as np
import pytest
import torch
from tests.baselines.relu.exact import (
    exact_radius,
    flagged_points,
    plain,
    random_layers,
    score,
)

from featureconvex.baselines.relu.network import ReluNetwork, scores, shifted


def test_the_network_and_its_layers_say_the_same() -> None:
    network = ReluNetwork(12, (7, 5))
    network.reset(3)
    x = torch.rand(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    tau = torch.tensor(0.25, dtype=torch.float64)
    said = network(x).detach().double()
    assert torch.allclose(scores(network.affine(), x), said, atol=1e-5)
    assert torch.allclose(scores(shifted(network.affine(), tau), x), said + 0.25, atol=1e-5)


def test_a_seed_fixes_the_initial_weights() -> None:
    first, second, other = (ReluNetwork(4, (3,)) for _ in range(3))
    first.reset(1)
    second.reset(1)
    other.reset(2)
    weights = [network.affine()[0][0] for network in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("p", [1.0, 2.0, float("inf")])
def test_the_exact_solvers_agree_with_a_fine_grid(p: float) -> None:
    layers = random_layers((2, 4, 3), seed=1)
    x = flagged_points(layers, 1, seed=0)[0]
    exact = exact_radius(layers, x, p)
    side = np.linspace(-3, 3, 301)
    moves = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    flipped = moves[score(plain(layers), x.numpy() + moves) <= 0]
    nearest = float(np.linalg.norm(flipped, p, axis=1).min())
    # The grid can only be too far away, by at most a few of its steps of 0.02.
    assert exact <= nearest <= exact + 0.06
