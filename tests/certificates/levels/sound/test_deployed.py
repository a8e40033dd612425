"""The deployed forward pass against exact arithmetic: never further off than proved."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sum_order import OneByOne
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates.levels.sound import deployed
from featureconvex.certificates.levels.sound import line as rounding_line
from featureconvex.errors import UserError
from featureconvex.nn import NonNegativeConv2d, NonNegativeLinear
from featureconvex.rounding import Ball, steps
from featureconvex.rounding.directed import FLOAT32, FLOAT64, Rounding
from featureconvex.testing.exact import ExactMargin

phi = fc.features
ARITHMETIC = {torch.float32: FLOAT32, torch.float64: FLOAT64}
NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[], phi.FeatureMap], tuple[int, ...]]] = {
    "mlp": (lambda: fc.nn.ConvexMLP(30, (20, 8)), lambda: phi.Center([0.1] * 30), (30,)),
    "mlp bn": (lambda: fc.nn.ConvexMLP(9, (7, 4), batch_norm=True), phi.Identity, (9,)),
    "leaky": (
        lambda: fc.nn.ConvexMLP(16, (9,), activation="leaky_relu:0.3"),
        lambda: phi.Compose(phi.Scale(torch.linspace(-3, 3, 8), 0.7), phi.AbsConcat()),
        (8,),
    ),
    "softplus": (lambda: fc.nn.ConvexMLP(6, (9,), activation="softplus:3"), phi.Identity, (6,)),
    "elu": (lambda: fc.nn.ConvexMLP(6, (9,), activation="elu:0.6"), phi.Identity, (6,)),
    "celu": (lambda: fc.nn.ConvexMLP(6, (9,), activation="celu:0.4"), phi.Identity, (6,)),
    "max affine": (lambda: fc.nn.MaxAffine(12, 9), phi.Identity, (12,)),
    "convnet": (
        lambda: fc.nn.ConvexConvNet(2, 7, features=3, depth=2, init="paper"),
        lambda: phi.Compose(phi.Center(0.3), phi.AbsConcat()),
        (1, 7, 7),
    ),
    "pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1),
            nn.ReLU(),
            NonNegativeConv2d(2, 3, 3, padding=1),
            nn.MaxPool2d(2, stride=1),
            nn.AvgPool2d(3),
            nn.Flatten(),
            NonNegativeLinear(12, 1),
            nn.Flatten(0),
        ),
        phi.Identity,
        (1, 8, 8),
    ),
}


def build(name: str, dtype: torch.dtype, seed: int) -> tuple[fc.FeatureConvexModel, Tensor]:
    torch.manual_seed(seed)
    make, make_map, shape = NETS[name]
    net = make()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 5)  # type: ignore[union-attr]
            part.running_var.uniform_(0.01, 3.0)  # type: ignore[union-attr]
    model = fc.FeatureConvexModel(make_map(), net, tau=0.0).to(dtype).eval()
    return model, torch.randn(3, *shape, dtype=torch.float64)


def check_error(
    model: fc.FeatureConvexModel, x: Tensor, arithmetic: Rounding, sizes: tuple[float, ...]
) -> float:
    """The theorem of ``deployed``; returns the largest share of the bound that was used."""
    features, network = rounding_line.graphs(model)
    with torch.no_grad():
        here = deployed.error_here(features, network, x, arithmetic)
        growth = deployed.error_growth(features, network, x, arithmetic)
    exact = ExactMargin(model, flint.arb)
    used = 0.0
    with flint.ctx.workprec(400):
        for size in sizes:
            there = x + size * torch.randn(x.shape, dtype=torch.float64)
            with torch.no_grad():
                computed = model(there.to(model.dtype))
            for row in range(len(x)):
                moved = abs(exact.numbers(there[row]) - exact.numbers(x[row]))
                bound = flint.arb(here[row].item()) + (exact.numbers(growth[0]) * moved).sum()
                error = abs(flint.arb(computed[row].item()) - exact(there[row]))
                assert not error > bound, (size, row, error, bound)
                used = max(used, float((error / bound).mid()))
    return used


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETS)
def test_the_forward_error_is_bounded_near_and_far(name: str, dtype: torch.dtype) -> None:
    for seed in range(3):
        model, x = build(name, dtype, seed)
        used = check_error(model, x, ARITHMETIC[dtype], (0.0, 1e-6, 0.1, 3.0, 1e4))
        # Not absurdly loose either.
        assert used > 1e-5


@settings(max_examples=25)
@given(
    name=st.sampled_from(["mlp", "leaky", "max affine", "pools"]),
    seed=st.integers(0, 10**6),
    weights=st.sampled_from([1e-20, 1e-6, 1.0, 1e6]),
    inputs=st.sampled_from([1e-20, 1e-3, 1.0, 1e6]),
)
def test_scales_do_not_break_the_bound(name: str, seed: int, weights: float, inputs: float) -> None:
    model, x = build(name, torch.float32, seed)
    with torch.no_grad():
        for part in model.convex_net.parameters():
            part.mul_(weights)
    check_error(model, x * inputs, FLOAT32, (0.0, inputs, 100 * inputs))


def check_hard_sums() -> None:
    """Terms of one sign, whose partial sums are large, and terms that cancel; far from x = 0 too."""
    for seed in range(20):
        torch.manual_seed(seed)
        net = fc.nn.ConvexMLP(64, (32,), activation="identity")
        first, last = net.input_layers[0], net.hidden_layers[0]
        with torch.no_grad():
            if seed % 2:
                assert isinstance(first, nn.Linear)
                nn.init.uniform_(first.weight, 0.5, 1.0)
                nn.init.normal_(first.bias, 0.0, 1e-3)
            last.weight = torch.rand(1, 32) * 100
        model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
        start = torch.rand(3, 64).double() if seed % 4 < 2 else torch.zeros(3, 64).double()
        check_error(model, start, FLOAT32, (0.0, 1.0, 1e3))


def test_hard_sums_are_covered() -> None:
    check_hard_sums()


def check_known_errors() -> None:
    """Forty neurons in a row, each adding 0.49 units in the last place of 1 to the 1 it gets.

    All products are exact and every sum has two terms, so there is one order, and every processor that
    rounds to nearest loses every one of these terms: it is off by 0.98 units of roundoff for each.
    """
    net = fc.nn.ConvexMLP(1, (1,) * 40, passthrough=False)
    first, *others = [*net.input_layers, *net.hidden_layers]
    with torch.no_grad():
        first.weight.fill_(1.0)  # type: ignore[operator]
        first.bias.fill_(1.0)  # type: ignore[operator]
        for layer in others:
            layer.weight = torch.ones(1, 1)
            layer.bias.fill_(0.98 * FLOAT32.unit)  # type: ignore[operator]
    model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
    origin = torch.zeros(1, 1, dtype=torch.float64)
    with torch.no_grad():
        assert model(origin.float()).item() == 1.0
    check_error(model, origin, FLOAT32, (0.0,))


def check_longest_sums() -> None:
    """A 1 and then 4095 terms that are lost one by one, summed in that order: the worst order there is."""
    net = fc.nn.MaxAffine(4096, 1)
    with torch.no_grad():
        net.affine.weight.fill_(0.98 * FLOAT32.unit)
        net.affine.weight[0, 0] = 1.0
        net.affine.bias.zero_()
    model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
    with OneByOne():
        assert model(torch.ones(1, 4096)).item() == 1.0
        check_error(model, torch.ones(1, 4096, dtype=torch.float64), FLOAT32, (0.0,))


def test_known_errors_are_covered() -> None:
    check_known_errors()
    check_longest_sums()


def _without_bias(method: Any) -> Any:
    def forward(self: Any, x: Ball, mode: Any, choice: Tensor | None) -> Any:
        bare = steps.Affine(self.operator, self.bias, None if self.bias is None else self.bias * 0)
        return method(bare, x, mode, choice)

    return forward


# Each with sums that show it on every processor.
FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[[], None]]] = {
    "gamma of a quarter of one operation": (
        lambda patch: patch.setattr(Rounding, "gamma", lambda self, _: 0.25 * self.unit),
        check_known_errors,
    ),
    "gamma of one operation": (
        lambda patch: patch.setattr(Rounding, "gamma", lambda self, _: self.unit),
        check_longest_sums,
    ),
    # What float32 loses of the inputs alone is 1e3 times larger than here.
    "error does not grow": (
        lambda patch: patch.setattr(
            deployed, "error_growth", lambda *args: torch.zeros_like(args[2][:1])
        ),
        check_hard_sums,
    ),
    "error of the input only": (
        lambda patch: patch.setattr(steps.Affine, "forward", _unrounded(steps.Affine.forward)),
        check_known_errors,
    ),
}


def _unrounded(method: Any) -> Any:
    def forward(self: Any, x: Ball, mode: Any, choice: Tensor | None) -> Any:
        return method(self, x, steps.Mode(FLOAT64, mode.relaxed), choice)

    return forward


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, check = FAULTS[fault]
    check()
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check()


def test_a_forgotten_bias_error_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """One neuron with a huge bias: its rounding is the whole error."""
    net = fc.nn.MaxAffine(1, 1)
    model = fc.FeatureConvexModel(fc.features.Identity(), net).eval()
    with torch.no_grad():
        net.affine.weight.fill_(1.0)
        net.affine.bias.fill_(1e6)
    x = torch.full((1, 1), 0.03, dtype=torch.float64)
    check_error(model, x, FLOAT32, (0.0,))
    monkeypatch.setattr(steps.Affine, "forward", _without_bias(steps.Affine.forward))
    with pytest.raises(AssertionError):
        check_error(model, x, FLOAT32, (0.0,))


def test_nothing_overflows_within_reach() -> None:
    model, x = build("mlp", torch.float32, 0)
    features, network = rounding_line.graphs(model)
    with torch.no_grad():
        distance = deployed.reach(features, network, x, FLOAT32)
        assert distance > 1e6
        far = x + distance * torch.sign(torch.randn_like(x))
        assert torch.isfinite(model(far.float())).all()
        for part in model.convex_net.parameters():
            part.mul_(1e25)
        assert deployed.reach(features, *rounding_line.graphs(model)[1:], x, FLOAT32) == 0


def test_lower_precision_products_are_refused() -> None:
    model, x = build("mlp", torch.float32, 0)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(UserError, match="highest"):
            rounding_line.sound_line(model, x, "float32")
        rounding_line.sound_line(model, x, "real")
    finally:
        torch.set_float32_matmul_precision(before)


def test_exact_numbers_agree_with_balls() -> None:
    """The judge judged: rational numbers and balls give the same margin."""
    model, x = build("mlp", torch.float64, 0)
    rational, ball = ExactMargin(model)(x[0]), ExactMargin(model, flint.arb)(x[0])
    assert isinstance(rational, Fraction)
    assert abs(float(rational) - float(ball)) < 1e-15
    with torch.no_grad():
        assert abs(float(rational) - model(x[:1]).item()) < 1e-14
