"""Sound lines: below the exact margin everywhere, and close to the float one."""

import copy
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates.levels.sound import SoundLine, sound_line
from featureconvex.certificates.minorant import tangent
from featureconvex.certificates.relaxation import Relaxation
from featureconvex.errors import UserError
from featureconvex.nn import (
    Card,
    Curvature,
    NonNegativeConv2d,
    NonNegativeLinear,
    card,
    curves,
)
from featureconvex.nn.card import rounding_steps
from featureconvex.nn.curvature import MONOTONE_CONVEX
from featureconvex.rounding import Ball, Graph, directed, steps
from featureconvex.rounding.activation import Curve
from featureconvex.rounding.maxima import WindowMaximum
from featureconvex.rounding.operators import Dense
from featureconvex.testing.exact import ExactMargin

phi = fc.features
Maker = tuple[Callable[[], nn.Module], fc.features.FeatureMap, tuple[int, ...]]


def scrambled(net: nn.Module) -> nn.Module:
    """Batch norm as after training."""
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_()  # type: ignore[union-attr]
            part.running_var.uniform_(0.1, 3.0)  # type: ignore[union-attr]
            nn.init.normal_(part.bias)
    return net


RATIONAL: dict[str, Maker] = {
    "mlp": (lambda: fc.nn.ConvexMLP(6, (8, 5)), phi.Center([0.1] * 6), (6,)),
    "no passthrough": (lambda: fc.nn.ConvexMLP(4, (5,), passthrough=False), phi.Identity(), (4,)),
    "leaky, abs": (
        lambda: fc.nn.ConvexMLP(8, (6, 4), activation="leaky_relu:0.7"),
        phi.Compose(phi.Scale([0.3, -2.0, 1.0, 7.0], 0.1), phi.AbsConcat()),
        (4,),
    ),
    "max affine": (lambda: fc.nn.MaxAffine(5, 9), phi.Scale(0.1, 3.0), (5,)),
    "pools": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, stride=2, padding=1),
            nn.ReLU(),
            NonNegativeConv2d(2, 3, 3, padding=1),
            nn.MaxPool2d(2, stride=1),
            nn.AvgPool2d(3, stride=1),
            nn.Flatten(),
            NonNegativeLinear(3, 1),
            nn.Flatten(0),
        ),
        phi.Identity(),
        (1, 8, 8),
    ),
    "convnet": (
        lambda: fc.nn.ConvexConvNet(
            2, 5, features=2, depth=1, first_kernel=3, batch_norm=False, pool=2, init="paper"
        ),
        phi.AbsConcat(),
        (1, 5, 5),
    ),
}
# The judge needs balls for square roots and exponentials.
SMOOTH: dict[str, Maker] = {
    "mlp bn": (lambda: fc.nn.ConvexMLP(5, (7, 4), batch_norm=True), phi.Identity(), (5,)),
    "convnet bn": (
        lambda: fc.nn.ConvexConvNet(2, 6, features=3, depth=2, init="paper"),
        phi.Compose(phi.Center(0.3), phi.AbsConcat()),
        (1, 6, 6),
    ),
    "softplus": (lambda: fc.nn.ConvexMLP(4, (6,), activation="softplus:7"), phi.Identity(), (4,)),
    "elu": (lambda: fc.nn.ConvexMLP(4, (6, 3), activation="elu:0.6"), phi.Identity(), (4,)),
    "celu": (lambda: fc.nn.ConvexMLP(4, (6, 3), activation="celu:0.4"), phi.Identity(), (4,)),
}


def build(name: str, dtype: torch.dtype, seed: int = 0) -> tuple[fc.FeatureConvexModel, Tensor]:
    """A random model with a fresh feature map, and four inputs."""
    torch.manual_seed(seed)
    make, feature_map, shape = {**RATIONAL, **SMOOTH}[name]
    net = scrambled(make())
    model = fc.FeatureConvexModel(copy.deepcopy(feature_map), net, tau=0.2).to(dtype).eval()
    return model, torch.randn(4, *shape).to(dtype)


def judge(model: fc.FeatureConvexModel, name: str) -> ExactMargin:
    return ExactMargin(model, Fraction if name in RATIONAL else flint.arb)


def right_hand_side(
    exact: ExactMargin, line: SoundLine, x: Tensor, row: int, point: np.ndarray
) -> object:
    """``value + <slope, phi(x') - phi(x)> - <slack, |x' - x|>`` in exact numbers; ``point`` is x'."""
    here = exact.numbers(x[row])
    phi_here, phi_there = (exact.evaluate(exact.model.feature_map, z) for z in (here, point))
    value, slope, slack = (
        exact.numbers(part[row]) for part in (line.value, line.slope, line.slack)
    )
    rise = (slope * (phi_there - phi_here)).sum()
    return value.item() + rise - (slack * np.abs(point - here)).sum()


def check_line(exact: ExactMargin, line: SoundLine, x: Tensor, seed: int = 0) -> None:
    """The theorem, at x itself and at random points near and far."""
    generator = torch.Generator().manual_seed(seed)
    for row in range(len(x)):
        for size in (0.0, 1e-3, 1.0, 30.0):
            step = size * torch.randn(x.shape[1:], generator=generator, dtype=torch.float64)
            point = exact.numbers(x[row]) + exact.numbers(step)
            below = right_hand_side(exact, line, x, row, point)
            assert not exact(point) < below, (row, size)


@pytest.fixture(autouse=True)
def _precision() -> Iterator[None]:
    with flint.ctx.workprec(400):
        yield


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*RATIONAL, *SMOOTH])
def test_a_sound_line_is_below_the_exact_margin_and_near_it(name: str, dtype: torch.dtype) -> None:
    model, x = build(name, dtype)
    line = sound_line(model, x)
    exact = judge(model, name)
    check_line(exact, line, x)
    float_line = tangent(model.double(), x.double())
    torch.testing.assert_close(line.value, float_line.value, rtol=1e-11, atol=1e-11)
    assert float(line.slack.max()) < 1e-11 * float(line.slope.abs().max())
    for row, value in enumerate(line.value):
        assert float(exact(x[row])) - float(value) < 1e-11 * (1 + abs(float(value)))


@settings(max_examples=40)
@given(
    name=st.sampled_from(sorted(RATIONAL)),
    seed=st.integers(0, 10**6),
    weights=st.sampled_from([1e-150, 1e-30, 1.0, 1e30, 1e60]),
    inputs=st.sampled_from([1e-200, 1e-20, 1.0, 1e20]),
)
def test_huge_and_tiny_numbers_stay_sound(
    name: str, seed: int, weights: float, inputs: float
) -> None:
    model, x = build(name, torch.float64, seed)
    with torch.no_grad():
        for part in model.convex_net.parameters():
            part.mul_(weights * 10 ** torch.randn(part.shape, dtype=torch.float64))
    x = x * inputs * 10 ** torch.randn(x.shape, dtype=torch.float64)
    line = sound_line(model, x)
    finite = torch.isfinite(line.value) & torch.isfinite(line.slack).flatten(1).all(1)
    rows = (finite & torch.isfinite(line.slope).flatten(1).all(1)).nonzero().flatten()
    kept = SoundLine(
        line.value[rows], line.slope[rows], line.slack[rows], line.reach, line.features, line.shapes
    )
    check_line(judge(model, name), kept, x[rows], seed)


@pytest.mark.parametrize(
    "name", ["mlp", "leaky, abs", "max affine", "pools", "convnet", "softplus", "elu", "celu"]
)
def test_any_choice_of_slopes_gives_a_line_below(name: str) -> None:
    """Slopes need not come from x: free ones, also outside what the activation admits."""
    model, x = build(name, torch.float64)
    relaxation = Relaxation(model)
    with torch.no_grad():
        u = model.feature_map(x)
    for spread in (0.0, 1.0, 3.0):
        choices = [
            torch.rand_like(part) * spread - 0.1 * spread for part in relaxation.tangent_choices(u)
        ]
        line = sound_line(model, x, "real", choices)
        check_line(judge(model, name), line, x)
        floating = relaxation.minorant(u, choices)
        torch.testing.assert_close(line.value, floating.value, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(line.slope, floating.slope, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("padding", [0, 1])
def test_weights_on_padding_do_not_count(padding: int) -> None:
    """A padded place is no pixel: not even where all other weights are 0."""
    torch.manual_seed(0)
    step = WindowMaximum((3, 3), (1, 1), (padding, padding), (1, 1))
    z = -1 - torch.rand(2, 2, 4, 4).double()
    mode = steps.Mode(directed.FLOAT64, relaxed=True)
    size = 4 + 2 * padding - 2
    for weights in (torch.zeros(2, 2, size, size, 9), torch.eye(9)[0].expand(2, 2, size, size, 9)):
        ball, _ = step.forward(Ball.exact(z), mode, weights)
        top = torch.nn.functional.max_pool2d(z, 3, 1, padding)
        assert (ball.centre + ball.radius <= top + 1e-12).all()


def cancelling(seed: int) -> tuple[fc.FeatureConvexModel, Tensor]:
    """An affine network whose value and slope are differences of numbers 1e16 times larger."""
    torch.manual_seed(seed)
    net = fc.nn.ConvexMLP(5, (40,), passthrough=False, activation="identity").double()
    first, last = net.input_layers[0], net.hidden_layers[0]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, NonNegativeLinear)
    with torch.no_grad():
        top = torch.rand(1, 40, dtype=torch.float64) * 1e8
        top[:, -1] = 1e8
        last.weight = top
        first.weight.copy_(torch.randn(40, 5) * 1e8)
        first.bias.copy_(torch.randn(40) * 1e8)
        last.bias.zero_()
        # The last unit takes back what the others sum to, up to rounding.
        rest, weight = first.weight[:-1], top[0, :-1]
        first.weight[-1] = -(weight @ rest) / 1e8
        first.bias[-1] = -(weight @ first.bias[:-1]) / 1e8
    model = fc.FeatureConvexModel(fc.features.Identity(), net, tau=0.0).eval()
    if seed % 2:  # at 0 and without biases the value is exact, and only the slope is not
        nn.init.zeros_(first.bias)
    return model, torch.cat((torch.zeros(1, 5), torch.randn(3, 5))).double()


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "gamma too small": lambda patch: patch.setattr(
        directed.Rounding, "gamma", lambda self, _: 1e-3 * self.unit
    ),
    "slope taken as exact": lambda patch: patch.setattr(
        steps.Affine, "backward", _forgetful(steps.Affine.backward)
    ),
    "value taken as exact": lambda patch: patch.setattr(
        steps.Affine, "forward", _blind(steps.Affine.forward)
    ),
}


def _forgetful(method: Any) -> Any:
    def backward(self: Any, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        return Ball.exact(method(self, g, shape, choice).centre)

    return backward


def _blind(method: Any) -> Any:
    def forward(self: Any, x: Ball, mode: Any, choice: Tensor | None) -> tuple[Ball, None]:
        return Ball.exact(method(self, x, mode, choice)[0].centre), None

    return forward


def check_cancelling() -> None:
    for seed in range(10):
        model, x = cancelling(seed)
        check_line(ExactMargin(model), sound_line(model, x), x, seed)


def test_cancellation_is_covered() -> None:
    check_cancelling()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault](monkeypatch)
    with pytest.raises(AssertionError):
        check_cancelling()


def test_a_forgotten_bias_error_is_caught() -> None:
    """``1e16 + 1.2`` rounds by 0.8, far more than the error of the product."""
    weight, bias = torch.tensor([[0.3]]).double(), torch.tensor([1e16]).double()
    x = Ball.exact(torch.tensor([[4.0]]))
    exact = Fraction(weight.item()) * 4 + Fraction(bias.item())

    def encloses(size: Tensor) -> bool:
        step = steps.Affine(Dense(weight), bias, size)
        ball, _ = step.forward(x, steps.Mode(directed.FLOAT64, relaxed=True), None)
        return abs(Fraction(ball.centre.item()) - exact) <= Fraction(ball.radius.item())

    assert encloses(bias.abs())
    assert not encloses(torch.zeros(1, dtype=torch.float64))


def test_slopes_are_never_below_what_the_activation_admits() -> None:
    """0.7 rounded to single precision is smaller than 0.7: not a slope of leaky ReLU."""
    kink = curves.Kink(0.7)
    assert kink.slope(torch.tensor([-1.0]).double()).item() == 0.7
    assert kink.clamp(torch.tensor([0.7]).float().double()).item() == 0.7


@pytest.mark.parametrize(
    "curve", [curves.Exponential(0.6, 1.0), curves.Exponential(0.4, 0.4), curves.SmoothRamp(7.0)]
)
def test_intercepts_are_conjugates(curve: Curve) -> None:
    """``s(z) - a z`` has minimum ``c(a)``, on a fine grid."""
    z = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    for a in (0.0, 1e-9, 0.1, 0.35, 0.599999, 0.6, 0.75, 1.0):
        ball = curve.intercept(torch.tensor([a], dtype=torch.float64))
        lowest = (curve.value(z) - a * z).min()
        assert ball.centre - ball.radius <= lowest + 1e-13
        assert lowest - ball.centre < 1e-6


def test_a_module_without_rule_is_refused_by_name() -> None:
    class Mine(nn.ReLU):
        pass

    with pytest.raises(UserError, match=r"no card for .*Mine.*featureconvex\.nn\.card"):
        rounding_steps(Mine(), Graph(torch.float64), 0)

    class MineCard(Card[Mine]):
        def curvature(self, module: Mine) -> Curvature:
            return MONOTONE_CONVEX

    card(Mine)(MineCard)
    with pytest.raises(UserError, match=r"Mine; give its card .* the method rounding_steps"):
        rounding_steps(Mine(), Graph(torch.float64), 0)

    class Halve(fc.features.FeatureMap):
        def forward(self, x: Tensor) -> Tensor:
            return x / 2

        def lipschitz(self, p: float) -> float:
            return 0.5

        def config(self) -> dict[str, object]:
            return {}

    with pytest.raises(UserError, match=r"Halve; give it the method rounding_steps"):
        Halve().rounding_steps(Graph(torch.float64), 0)


def test_an_unknown_arithmetic_is_refused() -> None:
    model, x = build("mlp", torch.float64)
    with pytest.raises(UserError, match="real, float32, float64"):
        sound_line(model, x, "float16")
