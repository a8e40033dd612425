"""The paper's ConvNets, written a second time as a function, and their parameter counts."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featureconvex import UserError
from featureconvex.nn import ConvexConvNet
from featureconvex.testing import CONVEX_NET_LAWS, ConvexNetCase, Law


def straightforward(net: nn.Module, u: Tensor) -> Tensor:
    """bn -> conv -> s -> blocks s(conv(bn z) + bn z) -> pool -> bn -> readout, from the state dict."""
    assert isinstance(net, ConvexConvNet)
    state: dict[str, Tensor] = dict(net.state_dict())

    def norm(name: str, z: Tensor, scale: Tensor) -> Tensor:
        if f"{name}.bias" not in state:
            return z
        wide = [state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var")]
        bias = state[f"{name}.bias"][:, None, None]
        return (z - wide[0]) / (wide[1] + 1e-5).sqrt() * scale[:, None, None] + bias

    def raw(name: str, least: float) -> Tensor:
        return state.get(f"{name}.parametrizations.weight.original", torch.ones(1)).clamp_min(least)

    def conv(name: str, z: Tensor, weight: Tensor) -> Tensor:
        pad = weight.shape[-1] // 2
        patches = F.unfold(z, weight.shape[-1], padding=pad)
        flat = weight.flatten(1) @ patches + state[f"{name}.bias"][:, None]
        return flat.reshape(len(z), len(weight), *z.shape[2:])

    z = norm("first_norm", u, state.get("first_norm.weight", torch.ones(1)))
    z = conv("first_conv", z, state["first_conv.weight"]).clamp_min(0)
    for i in range(net.depth):
        y = norm(f"blocks.{i}.norm", z, raw(f"blocks.{i}.norm", 1e-3))
        z = (conv(f"blocks.{i}.conv", y, raw(f"blocks.{i}.conv", 0.0)) + y).clamp_min(0)
    rows, columns = z.shape[2] // net.pool, z.shape[3] // net.pool
    z = z[:, :, : rows * net.pool, : columns * net.pool]
    z = z.reshape(*z.shape[:2], rows, net.pool, columns, net.pool).amax((3, 5))
    z = norm("last_norm", z, raw("last_norm", 1e-3))
    out: Tensor = (z.flatten(1) @ raw("readout", 0.0).T + state["readout.bias"])[:, 0]
    return out


CASES = {
    "fashion-like": ConvexNetCase(
        lambda: ConvexConvNet(1, 7, features=4, depth=2, first_kernel=5, init="paper"),
        (1, 7, 7),
        straightforward,
    ),
    "cifar-like": ConvexNetCase(
        lambda: ConvexConvNet(6, 8, features=5, depth=4, first_kernel=11),
        (6, 8, 8),
        straightforward,
    ),
    "pooled": ConvexNetCase(
        lambda: ConvexConvNet(2, (7, 5), features=3, depth=1, kernel=5, pool=2),
        (2, 7, 5),
        straightforward,
    ),
    "no-norm": ConvexNetCase(
        lambda: ConvexConvNet(1, 6, features=2, depth=1, batch_norm=False),
        (1, 6, 6),
        straightforward,
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("law", CONVEX_NET_LAWS[-1:], ids=lambda law: law.__name__)
def test_forward_is_the_formula(law: Law[ConvexNetCase], name: str) -> None:
    law(CASES[name])


@pytest.mark.parametrize(
    ("channels", "side", "features", "depth", "first"), [(1, 28, 4, 2, 5), (6, 32, 16, 4, 11)]
)
def test_the_papers_networks_have_their_parameters(
    channels: int, side: int, features: int, depth: int, first: int
) -> None:
    net = ConvexConvNet(
        channels, side, features=features, depth=depth, first_kernel=first, init="paper"
    )
    expected = (
        2 * channels  # batch norm on the input
        + channels * features * first**2
        + features
        + depth * (2 * features + features * features * 9 + features)
        + 2 * features  # batch norm in front of the readout
        + features * side * side
        + 1
    )
    assert sum(p.numel() for p in net.parameters()) == expected


def test_wrong_inputs_are_named() -> None:
    net = ConvexConvNet(1, 6, features=2, depth=1)
    with pytest.raises(UserError, match=r"\(n, 1, 6, 6\), got \(2, 36\)"):
        net(torch.zeros(2, 36))
    with pytest.raises(UserError, match="odd"):
        ConvexConvNet(1, 6, first_kernel=4)
    with pytest.raises(UserError, match="odd"):
        ConvexConvNet(1, 6, kernel=2)
    with pytest.raises(UserError, match="pool"):
        ConvexConvNet(1, 6, pool=7)
