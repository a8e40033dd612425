import math

import pytest
import torch
from torch import Tensor, nn

from featureconvex.features.nonexpansive.layers import (
    Flatten,
    Fold,
    Frozen,
    LipschitzLayer,
    MaxMin,
    Pool,
    ZeroChannels,
    frozen_network,
)

LAYERS = [MaxMin(), Fold(1), Fold(2), Fold(3), Flatten(), ZeroChannels(9)]


def length(x: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return norms


class Stretch(LipschitzLayer):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def frozen(self) -> Frozen:
        return Frozen(self, self.factor)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_plumbing_does_not_expand(layer: LipschitzLayer) -> None:
    x, y = torch.randn(2, 50, 4, 5, 7, dtype=torch.float64)
    frozen = layer.frozen()
    assert frozen.bound == 1
    assert bool((length(frozen.apply(x) - frozen.apply(y)) <= length(x - y) * (1 + 1e-12)).all())
    assert bool(torch.isclose(length(layer(x)), length(x)).all()), "norms are kept"


def test_max_min_sorts_pairs() -> None:
    x = torch.randn(3, 8)
    y = MaxMin()(x)
    pairs = torch.stack((x[:, :4], x[:, 4:])).sort(dim=0, descending=True).values
    assert torch.equal(y, torch.cat((pairs[0], pairs[1]), dim=1))


def test_fold_keeps_every_pixel_of_a_block_together() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    y = Fold(2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert y[0, :, 0, 1].tolist() == [2, 3, 6, 7]
    assert y[0, :, 1, 0].tolist() == [8, 9, 0, 0]


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pooling_is_a_projection_up_to_a_rotation(factor: int) -> None:
    pool = Pool(factor)
    x = torch.eye(2 * 5 * 7, dtype=torch.float64).reshape(-1, 2, 5, 7)
    matrix = pool(x).flatten(1).T
    assert matrix.shape[0] == pool.size((2, 5, 7))
    assert torch.allclose(matrix @ matrix.T, torch.eye(len(matrix), dtype=torch.float64))
    assert pool.frozen().bound == 1


def test_constants_multiply_and_round_up() -> None:
    frozen = frozen_network([Stretch(1.1), Flatten(), Stretch(1.3), Stretch(0.7)])
    assert (
        math.nextafter(1.1 * 1.3 * 0.7, math.inf) <= frozen.bound <= 1.1 * 1.3 * 0.7 * (1 + 1e-15)
    )
    x = torch.randn(3, 2, 2)
    assert torch.allclose(frozen.apply(x), 1.1 * 1.3 * 0.7 * x.flatten(1))


def test_a_layer_without_a_constant_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear is no LipschitzLayer"):
        frozen_network([MaxMin(), nn.Linear(2, 2)])
