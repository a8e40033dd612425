"""Every network the library ships obeys every law of a convex network."""

import pytest
import torch
from torch import Tensor, nn

from featureconvex.nn import (
    ConvexBlock,
    ConvexConvNet,
    ConvexMLP,
    MaxAffine,
    MonotoneBatchNorm1d,
    NonNegativeLinear,
)
from featureconvex.testing import CONVEX_NET_LAWS, ConvexNetCase, Law, drawn


def max_affine_truth(net: nn.Module, u: Tensor) -> Tensor:
    assert isinstance(net, MaxAffine)
    rows = []
    for row in u:
        pieces = zip(net.affine.weight, net.affine.bias, strict=True)
        rows.append(max(float((w * row).sum() + b) for w, b in pieces))
    return torch.tensor(rows, dtype=torch.float64)


def sequential() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm1d(4),
        nn.Linear(4, 6),
        nn.ReLU(),
        MonotoneBatchNorm1d(6),
        NonNegativeLinear(6, 5),
        nn.Dropout(0.5),
        nn.CELU(),
        NonNegativeLinear(5, 1),
        nn.Flatten(0),
    )


def pooled() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3),
        ConvexBlock(2, 3, "elu", batch_norm=True),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.Flatten(),
        NonNegativeLinear(2, 1),
        nn.Flatten(0),
    )


CASES = {
    "mlp": ConvexNetCase(lambda: ConvexMLP(5, (8, 6)), (5,)),
    "mlp-image": ConvexNetCase(lambda: ConvexMLP(8, (4,)), (2, 2, 2)),
    "mlp-affine": ConvexNetCase(lambda: ConvexMLP(3, ()), (3,)),
    "mlp-paper": ConvexNetCase(lambda: ConvexMLP(5, (8, 6), batch_norm=True, init="paper"), (5,)),
    "mlp-no-passthrough": ConvexNetCase(lambda: ConvexMLP(5, (6, 6, 4), passthrough=False), (5,)),
    "mlp-leaky": ConvexNetCase(lambda: ConvexMLP(4, (6, 5), activation="leaky_relu:0.2"), (4,)),
    "mlp-softplus": ConvexNetCase(lambda: ConvexMLP(4, (6, 5), activation="softplus:5"), (4,)),
    "mlp-elu": ConvexNetCase(lambda: ConvexMLP(4, (6, 5), activation="elu:0.5"), (4,)),
    "mlp-celu": ConvexNetCase(lambda: ConvexMLP(4, (6, 5), activation="celu:2"), (4,)),
    "mlp-identity": ConvexNetCase(lambda: ConvexMLP(4, (6, 5), activation="identity"), (4,)),
    "conv": ConvexNetCase(lambda: ConvexConvNet(1, 4, features=2, depth=2), (1, 4, 4)),
    "conv-pool": ConvexNetCase(
        lambda: ConvexConvNet(2, (5, 6), features=3, depth=1, first_kernel=3, pool=2), (2, 5, 6)
    ),
    "conv-plain": ConvexNetCase(
        lambda: ConvexConvNet(1, 4, features=2, depth=1, batch_norm=False, init="paper"), (1, 4, 4)
    ),
    "max-affine": ConvexNetCase(lambda: MaxAffine(5, 7), (5,), truth=max_affine_truth),
    "sequential": ConvexNetCase(sequential, (4,)),
    "pooled": ConvexNetCase(pooled, (1, 6, 6)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("law", CONVEX_NET_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[ConvexNetCase], name: str) -> None:
    law(CASES[name])


def test_draws_reach_both_signs_of_the_raw_weights() -> None:
    """The laws mean something: the raw weights they draw are negative half of the time."""
    net = drawn(ConvexMLP(5, (40, 40)), 1.0)
    raw = net.hidden_layers[0].parametrizations.weight.original  # type: ignore[union-attr,index]
    assert 0.4 < float((raw < 0).double().mean()) < 0.6
    assert (net.hidden_layers[0].weight >= 0).all()  # type: ignore[union-attr,index]
