"""Every law has been seen to fail: each planted fault must turn the law it breaks red.

A law that passes on a broken object protects nobody. Faults go around the library's own defences on
purpose (a raw tensor instead of the parametrisation, a subclass that lies), because the laws are for
objects that have no such defences.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from featureconvex.nn import Card, ConvexMLP, Curvature, MaxAffine, card
from featureconvex.testing import (
    ConvexNetCase,
    build,
    check_convex_on_lines,
)
from featureconvex.testing import convex_net as net_laws


class Raw(nn.Module):
    """A two-layer network with plain weights: convex if nobody makes them negative."""

    def __init__(
        self,
        act: Callable[[Tensor], Tensor] = torch.relu,
        negative: bool = False,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.first, self.free = nn.Linear(4, 8), nn.Linear(4, 1)
        self.register_buffer("hidden", torch.rand(8))
        self.register_buffer("scale", torch.tensor(scale))
        self.act = act
        if negative:
            self.get_buffer("hidden")[3] = -0.5

    def forward(self, u: Tensor) -> Tensor:
        z = self.act(self.first(u)) * self.get_buffer("scale")
        out: Tensor = z @ self.get_buffer("hidden") + self.free(u)[:, 0]
        return out


class MaxOfConcave(nn.Module):
    """max over k of -|w_k . u|: neither convex nor concave."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = (-self.linear(u).abs()).amax(1)
        return out


class BatchCoupled(ConvexMLP):
    """Batch norm with the batch's statistics, also in eval mode."""

    def forward(self, u: Tensor) -> Tensor:
        u = (u - u.mean(0)) / (u.var(0, correction=0) + 1e-5).sqrt()
        return super().forward(u)


class StopsGradient(Raw):
    """A gradient that is not the function's: half of it is cut off."""

    def forward(self, u: Tensor) -> Tensor:
        return 0.5 * super().forward(u) + 0.5 * super().forward(u.detach())


class Noisy(Raw):
    def forward(self, u: Tensor) -> Tensor:
        return super().forward(u) + 1e-3 * torch.randn(len(u))


class Column(Raw):
    def forward(self, u: Tensor) -> Tensor:
        return super().forward(u)[:, None]


class Forgetful(ConvexMLP):
    def config(self) -> dict[str, Any]:
        return {**super().config(), "activation": "leaky_relu:0.5"}


class Unconstrained(nn.Module):
    """Convex as built, but nothing keeps training from making a weight negative."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 1)
        with torch.no_grad():
            self.last.weight.abs_()

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = self.last(self.first(u).relu())[:, 0]
        return out


@card(Raw, MaxOfConcave, BatchCoupled, Unconstrained)
class WrongCard(Card[nn.Module]):
    """Registered by somebody who did not think."""

    def curvature(self, module: nn.Module) -> Curvature:
        return Curvature(affine=False, nondecreasing=False)


def net(make: Callable[[], nn.Module]) -> ConvexNetCase:
    return ConvexNetCase(make, (4,))


NET_FAULTS = {
    "one negative weight": (net_laws.convex_for_any_weights, net(lambda: Raw(negative=True))),
    "negative batch-norm scale": (net_laws.convex_for_any_weights, net(lambda: Raw(scale=-0.5))),
    "non-monotone activation below": (
        net_laws.convex_for_any_weights,
        net(lambda: Raw(act=lambda h: torch.relu(-h).square().sin())),
    ),
    "tanh": (net_laws.jensen_gap_is_nonnegative, net(lambda: Raw(act=torch.tanh))),
    "gelu": (net_laws.convex_for_any_weights, net(lambda: Raw(act=nn.functional.gelu))),
    "max of concave": (net_laws.convex_for_any_weights, net(MaxOfConcave)),
    "max of concave (Jensen)": (net_laws.jensen_gap_is_nonnegative, net(MaxOfConcave)),
    "max of concave (tangents)": (net_laws.gradient_is_a_subgradient, net(MaxOfConcave)),
    "batch statistics in eval mode": (
        net_laws.rows_do_not_mix,
        net(lambda: BatchCoupled(4, (3,))),
    ),
    "a wrong gradient": (net_laws.gradient_is_a_subgradient, net(StopsGradient)),
    "a weight that training can make negative": (
        net_laws.convex_after_training,
        net(Unconstrained),
    ),
    "raw numbers that a loader can make negative": (
        net_laws.convex_for_any_weights,
        net(Unconstrained),
    ),
    "random in eval mode": (net_laws.deterministic_in_eval_mode, net(Noisy)),
    "a column instead of a row": (net_laws.one_number_per_row, net(Column)),
    "a config of another network": (
        net_laws.comes_back_from_its_config,
        net(lambda: Forgetful(4, (3,))),
    ),
    "no proof": (net_laws.proved_convex, net(lambda: nn.Sequential(nn.Linear(4, 1), nn.Tanh()))),
    "not the truth": (
        net_laws.agrees_with_the_truth,
        ConvexNetCase(lambda: MaxAffine(4, 3), (4,), truth=lambda g, u: g(u) + 1e-6),
    ),
}


@pytest.mark.parametrize("name", NET_FAULTS)
def test_a_faulty_network_is_caught(name: str) -> None:
    law, case = NET_FAULTS[name]
    with pytest.raises(AssertionError):
        law(case)


def test_the_same_network_without_the_fault_passes() -> None:
    for law in (
        net_laws.convex_for_any_weights,
        net_laws.jensen_gap_is_nonnegative,
        net_laws.gradient_is_a_subgradient,
        net_laws.rows_do_not_mix,
        net_laws.deterministic_in_eval_mode,
        net_laws.one_number_per_row,
    ):
        law(net(Raw))


@pytest.mark.parametrize("seed", range(40))
def test_one_negative_weight_is_found_in_40_networks_of_40(seed: int) -> None:
    """A published convexity test on random chords passed on 31 of 40 networks that were not convex."""
    mlp = build(lambda: ConvexMLP(6, (16, 8)), seed).double()
    state = mlp.state_dict()
    key = "hidden_layers.1.parametrizations.weight.original"
    weight = state[key].clamp_min(0)
    unit = seed % weight.shape[1]
    weight[0, unit] = -weight[0, unit] - 0.02

    class Bypassed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = mlp
            self.register_buffer("weight", weight)

        def forward(self, u: Tensor) -> Tensor:
            z = torch.relu(self.mlp.input_layers[0](u))
            z = self.mlp.hidden_layers[0](z) + self.mlp.input_layers[1](u)
            # The unit must be awake somewhere for the network to be non-convex at all.
            z = torch.relu(z + 2.0)
            out: Tensor = z @ self.get_buffer("weight")[0] + self.mlp.input_layers[2](u)[:, 0]
            return out

    with pytest.raises(AssertionError, match="not convex along a line"):
        check_convex_on_lines(Bypassed(), (6,))
