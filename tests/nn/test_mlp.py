"""The paper's MLP, written a second time as a function, and its parameter count."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featureconvex import UserError
from featureconvex.nn import ConvexMLP
from featureconvex.testing import CONVEX_NET_LAWS, ConvexNetCase, Law


def straightforward(net: nn.Module, u: Tensor) -> Tensor:
    """z_1 = C_0 u + b_0; z_(l+1) = A_l bn(s(z_l)) + b_l + C_l u, with the state dict's raw numbers."""
    state = net.state_dict()
    u = u.flatten(1)
    layers = sum(key.startswith("hidden_layers") and key.endswith("bias") for key in state)
    z = u @ state["input_layers.0.weight"].T + state["input_layers.0.bias"]
    for i in range(layers):
        z = z.clamp_min(0)
        if "norms.0.bias" in state:
            # One channel: one mean, variance, scale and shift for all units of the layer.
            mean, var = state[f"norms.{i}.running_mean"], state[f"norms.{i}.running_var"]
            scale = state[f"norms.{i}.parametrizations.weight.original"].clamp_min(1e-3)
            z = (z - mean) / (var + 1e-5).sqrt() * scale + state[f"norms.{i}.bias"]
        weight = state[f"hidden_layers.{i}.parametrizations.weight.original"].clamp_min(0)
        z = z @ weight.T + state[f"hidden_layers.{i}.bias"]
        if f"input_layers.{i + 1}.weight" in state:
            z = z + u @ state[f"input_layers.{i + 1}.weight"].T
    out: Tensor = z[:, 0]
    return out


CASES = {
    "plain": ConvexNetCase(lambda: ConvexMLP(6, (5, 4)), (6,), straightforward),
    "paper": ConvexNetCase(
        lambda: ConvexMLP(9, (20, 7), batch_norm=True, init="paper"), (1, 3, 3), straightforward
    ),
    "no-passthrough": ConvexNetCase(
        lambda: ConvexMLP(6, (5, 4, 3), passthrough=False), (6,), straightforward
    ),
    "affine": ConvexNetCase(lambda: ConvexMLP(6, ()), (6,), straightforward),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("law", CONVEX_NET_LAWS[-1:], ids=lambda law: law.__name__)
def test_forward_is_the_formula(law: Law[ConvexNetCase], name: str) -> None:
    law(CASES[name])


def test_the_papers_mnist_network_has_its_parameters() -> None:
    net = ConvexMLP(784, (200, 50), batch_norm=True, init="paper")
    count = sum(p.numel() for p in net.parameters())
    first, hidden = 784 * 200 + 200, (200 * 50 + 50) + (50 * 1 + 1)
    passthrough, norms = 784 * 50 + 784 * 1, 2 * (1 + 1)
    assert count == first + hidden + passthrough + norms


def test_batch_norm_sees_one_channel_in_train_mode() -> None:
    """Batch statistics over samples and units together, as in the paper's code."""
    net = ConvexMLP(5, (6,), batch_norm=True).train()
    u = torch.randn(8, 5)
    z = net.input_layers[0](u).relu()
    expected = (z - z.mean()) / (z.var(correction=0) + 1e-5).sqrt()
    expected = net.hidden_layers[0](expected) + F.linear(u, net.input_layers[1].weight)  # type: ignore[arg-type]
    torch.testing.assert_close(net(u), expected[:, 0])


def test_wrong_inputs_are_named() -> None:
    with pytest.raises(UserError, match="expected 4 features per row, got 3"):
        ConvexMLP(4, (2,))(torch.zeros(2, 3))
    with pytest.raises(UserError, match="widths"):
        ConvexMLP(0, (2,))
    with pytest.raises(UserError, match="widths"):
        ConvexMLP(3, (2, 0))
