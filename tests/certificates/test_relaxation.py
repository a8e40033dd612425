"""The relaxed network: below the network for every choice of slopes, as good as any mixture of tangents."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from featureconvex import FeatureConvexModel, UserError
from featureconvex.certificates import Minorant, tangent
from featureconvex.certificates.relaxation import Relaxation
from featureconvex.features import Identity
from featureconvex.nn import (
    Card,
    ConvexConvNet,
    ConvexMLP,
    Curvature,
    MaxAffine,
    Minorants,
    MonotoneBatchNorm1d,
    NonNegativeConv2d,
    NonNegativeLinear,
    card,
    minorants,
)
from featureconvex.nn.curvature import MONOTONE_CONVEX
from featureconvex.nn.curves import SmoothRamp
from featureconvex.rounding.ball import Ball

ACTIVATIONS = ("relu", "leaky_relu:0.2", "elu:1.0", "elu:0.6", "elu:0.0", "celu:2.5", "softplus:3")


def pooled() -> nn.Module:
    """Overlapping, padded windows, and an average pool after them."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        NonNegativeConv2d(2, 2, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        NonNegativeLinear(2, 1),
        nn.Flatten(0),
    )


def wired() -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), MonotoneBatchNorm1d(5), NonNegativeLinear(5, 1), nn.Flatten(0)
    )


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{
        f"mlp-{name}": (partial(ConvexMLP, 4, (6, 5, 3), activation=name), (4,))
        for name in ACTIVATIONS
    },
    "mlp-norm": (lambda: ConvexMLP(4, (6, 5), batch_norm=True), (4,)),
    "mlp-plain": (lambda: ConvexMLP(4, (6, 5), passthrough=False), (4,)),
    "affine": (lambda: ConvexMLP(4, ()), (4,)),
    "max-affine": (lambda: MaxAffine(4, 6), (4,)),
    "convnet": (lambda: ConvexConvNet(2, 4, features=2, depth=2), (2, 4, 4)),
    "convnet-pool": (lambda: ConvexConvNet(1, 6, features=2, depth=1, pool=2), (1, 6, 6)),
    "pooled": (pooled, (1, 4, 4)),
    "sequential": (wired, (4,)),
}


def make(name: str) -> tuple[FeatureConvexModel, tuple[int, ...]]:
    """A float64 model in eval mode whose batch norms have seen data."""
    build, shape = NETS[name]
    net = build()
    model = FeatureConvexModel(Identity(), net, tau=0.3).double()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return model.eval(), shape


def excess(model: FeatureConvexModel, u: Tensor, line: Minorant, scale: float = 3.0) -> Tensor:
    """How far each row's minorant gets above the margin, near and far: (n, m)."""
    noise = torch.randn(80, *u.shape, dtype=u.dtype)
    far = torch.logspace(-3, 1, 80, dtype=u.dtype).view(-1, *[1] * u.ndim)
    points = u + scale * far * noise
    with torch.no_grad():
        margins = model(points.flatten(0, 1)).view(80, -1)
    lines = line.value + ((points - u) * line.slope).flatten(2).sum(2)
    above: Tensor = (lines - margins).T
    return above


@pytest.mark.parametrize("name", NETS)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_choice_of_slopes_is_a_minorant(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    model, shape = make(name)
    relaxation = Relaxation(model)
    u = torch.randn(4, *shape, dtype=torch.float64)
    choices = [torch.rand_like(part) * 1.4 - 0.2 for part in relaxation.tangent_choices(u)]
    line = relaxation.minorant(u, choices)
    assert excess(model, u, line).max() <= 1e-9


@pytest.mark.parametrize("name", NETS)
def test_the_tangents_choices_give_the_tangent(name: str) -> None:
    model, shape = make(name)
    relaxation = Relaxation(model)
    u = torch.randn(5, *shape, dtype=torch.float64)
    line, expected = relaxation.minorant(u, relaxation.tangent_choices(u)), tangent(model, u)
    torch.testing.assert_close(line.value, expected.value)
    torch.testing.assert_close(line.slope, expected.slope)


@pytest.mark.parametrize("name", NETS)
def test_mixed_choices_have_the_mixtures_slope_and_at_least_its_value(name: str) -> None:
    model, shape = make(name)
    relaxation = Relaxation(model)
    u = torch.randn(5, *shape, dtype=torch.float64)
    points = torch.stack((u, u + torch.randn_like(u), u - 2 * torch.randn_like(u)), 1)
    weights = torch.rand(5, 3, dtype=torch.float64)
    weights[0] = torch.tensor([0.0, 1.0, 0.0])
    weights /= weights.sum(1, keepdim=True)
    line = relaxation.minorant(u, relaxation.mixed_choices(points, weights))
    value, slope = torch.zeros(5, dtype=torch.float64), torch.zeros_like(u)
    for k in range(3):
        one = tangent(model, points[:, k])
        height = one.value + ((u - points[:, k]) * one.slope).flatten(1).sum(1)
        value += weights[:, k] * height
        slope += weights[:, k].view(-1, *[1] * (u.ndim - 1)) * one.slope
    torch.testing.assert_close(line.slope, slope)
    assert (line.value >= value - 1e-9).all()
    assert excess(model, u, line).max() <= 1e-9


def test_slopes_have_gradients() -> None:
    model, shape = make("mlp-relu")
    relaxation = Relaxation(model)
    u = torch.randn(3, *shape, dtype=torch.float64)
    choices = [
        torch.full_like(part, 0.5).requires_grad_() for part in relaxation.tangent_choices(u)
    ]
    line = relaxation.minorant(u, choices, differentiable=True)
    for grad in torch.autograd.grad(line.value.sum() - line.slope.square().sum(), choices):
        assert grad.abs().sum() > 0


def test_nothing_is_left_behind() -> None:
    model, shape = make("mlp-relu")
    relaxation = Relaxation(model)
    u = torch.randn(3, *shape, dtype=torch.float64)
    before = model(u)
    relaxation.minorant(u, relaxation.tangent_choices(u))
    with pytest.raises(IndexError):
        relaxation.minorant(u, [])
    assert torch.equal(model(u), before)
    assert all(raw.grad is None for raw in model.parameters())


# The suite must see a wrong minorant.


def unrestricted(_: Minorants, choice: Tensor) -> Tensor:
    return choice


def test_a_slope_above_one_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = make("mlp-relu")
    relaxation = Relaxation(model)
    u = torch.randn(20, *shape, dtype=torch.float64)
    choices = [torch.full_like(part, 1.05) for part in relaxation.tangent_choices(u)]
    assert excess(model, u, relaxation.minorant(u, choices)).max() <= 1e-9
    monkeypatch.setattr(minorants.Elementwise, "restrict", unrestricted)
    assert excess(model, u, relaxation.minorant(u, choices)).max() > 1e-3


def test_a_wrong_tangent_of_softplus_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = make("mlp-softplus:3")
    relaxation = Relaxation(model)
    u = torch.randn(20, *shape, dtype=torch.float64)
    choices = relaxation.tangent_choices(u)

    def raised(self: SmoothRamp, a: Tensor) -> Ball:
        entropy = -(torch.xlogy(a, a) + torch.special.xlog1py(1 - a, -a)) / self.beta
        return Ball.exact(1.05 * entropy)

    monkeypatch.setattr(SmoothRamp, "intercept", raised)
    assert excess(model, u, relaxation.minorant(u, choices)).max() > 1e-3


def test_weights_above_one_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = make("max-affine")
    relaxation = Relaxation(model)
    u = torch.randn(20, *shape, dtype=torch.float64)
    monkeypatch.setattr(minorants.Maximum, "restrict", unrestricted)
    choices = [1.05 * part for part in relaxation.tangent_choices(u)]
    assert excess(model, u, relaxation.minorant(u, choices)).max() > 1e-3


# Refusals, and how to lift them.


class Square(nn.Module):
    """``max(x, 0)^2``: convex and nondecreasing."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp_min(0).square()


class Tangents(Minorants):
    """``x_+^2 >= a x - a^2 / 4``."""

    def tangent(self, z: Tensor) -> Tensor:
        return 2 * z.clamp_min(0)

    def restrict(self, choice: Tensor) -> Tensor:
        return choice.clamp_min(0)

    def line(self, z: Tensor, choice: Tensor) -> Tensor:
        return choice * z - choice.square() / 4


@card(Square)
class SquareCard(Card[Square]):
    def curvature(self, module: Square) -> Curvature:
        return MONOTONE_CONVEX


def test_a_module_without_minorants_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Linear(3, 4), Square(), NonNegativeLinear(4, 1), nn.Flatten(0))
    model = FeatureConvexModel(Identity(), net).double().eval()
    with pytest.raises(UserError, match=r"Square; give its card .* the method minorants"):
        Relaxation(model)
    monkeypatch.setattr(SquareCard, "minorants", lambda *_: Tangents())
    u = torch.randn(4, 3, dtype=torch.float64)
    relaxation = Relaxation(model)
    choices = [5 * torch.rand_like(part) for part in relaxation.tangent_choices(u)]
    assert excess(model, u, relaxation.minorant(u, choices)).max() <= 1e-9


def test_pools_with_ceil_mode_are_refused() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 1, 1), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), NonNegativeLinear(4, 1)
    )
    model = FeatureConvexModel(Identity(), nn.Sequential(net, nn.Flatten(0))).eval()
    with pytest.raises(UserError, match="ceil_mode"):
        Relaxation(model).tangent_choices(torch.randn(2, 1, 3, 3))
