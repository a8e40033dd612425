"""The principled initialisation: its two moments re-derived, its effect measured."""

import math

import pytest
import torch
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal
from torch import Tensor

from featureconvex import UserError
from featureconvex.nn import ConvexConvNet, ConvexMLP, NonNegativeConv2d, NonNegativeLinear
from featureconvex.nn.initialisation import initialise_, principled_moments

WIDTHS = (50, 200, 500)


def test_the_product_moment_after_relu_is_what_the_formula_uses() -> None:
    """E[relu(h) relu(h')] for correlation 1/2, by numerical integration."""
    density = multivariate_normal(cov=[[1.0, 0.5], [0.5, 1.0]]).pdf
    integral, _ = dblquad(lambda a, b: a * b * density([a, b]), 0, 8, 0, 8, epsabs=1e-8)
    assert integral == pytest.approx((3 * math.sqrt(3) + 2 * math.pi) / (12 * math.pi), rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 10, *WIDTHS, 10_000])
def test_the_moments_solve_the_two_equations(n: int) -> None:
    """With z = sum w_i r_i + b, weights independent of r and of each other:

    Cov(z, z') = mean^2 [n Var(r) + n (n - 1) Cov(r, r')] = 1/2, Var(z) = Cov(z, z') + n var E[r^2] = 1.
    """
    mean, variance = principled_moments(n)
    first = 1 / math.sqrt(2 * math.pi)
    square, product = 0.5, (3 * math.sqrt(3) + 2 * math.pi) / (12 * math.pi)
    shared = mean**2 * (n * (square - first**2) + n * (n - 1) * (product - first**2))
    assert shared == pytest.approx(0.5, rel=1e-12)
    assert shared + n * variance * square == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("width", WIDTHS)
def test_weights_are_log_normal_with_those_moments(width: int) -> None:
    layer = NonNegativeLinear(width, 1000)
    initialise_(layer, "principled")
    logs = layer.weight.detach().double().log()
    # The logarithm is normal, so its sample moments are sharp where those of the weights are not.
    mu, s2 = float(logs.mean()), float(logs.var())
    mean, variance = principled_moments(width)
    assert math.exp(mu + s2 / 2) == pytest.approx(mean, rel=0.08)
    assert math.expm1(s2) * math.exp(2 * mu + s2) == pytest.approx(variance, rel=0.3)
    assert layer.bias is not None
    expected = -width * mean / math.sqrt(2 * math.pi)
    torch.testing.assert_close(layer.bias.detach(), torch.full((1000,), expected))


def preactivations(width: int, init: str, depth: int, draws: int) -> list[Tensor]:
    """Layer by layer (draws, points, width): correlated normals, then ReLU layers without passthrough."""
    points = 400
    normal = torch.randn(draws, points, width), torch.randn(draws, points, 1)
    h = math.sqrt(0.5) * (normal[0] + normal[1])
    layers = []
    for _ in range(depth):
        new = []
        for k in range(draws):
            layer = NonNegativeLinear(width, width)
            initialise_(layer, init)
            with torch.no_grad():
                new.append(layer(h[k].relu()))
        h = torch.stack(new)
        layers.append(h)
    return layers


def second_moments(h: Tensor) -> tuple[float, float, float]:
    """Mean, E[z^2] and E[z z'] over units, points and draws."""
    width = h.shape[-1]
    square = (h**2).sum(-1)
    mixed = (h.sum(-1) ** 2 - square) / (width * (width - 1))
    return float(h.mean()), float((h**2).mean()), float(mixed.mean())


@pytest.mark.parametrize("width", WIDTHS)
def test_one_layer_keeps_mean_0_variance_1_correlation_half(width: int) -> None:
    mean, square, mixed = second_moments(preactivations(width, "principled", 1, 20)[0])
    assert abs(mean) < 0.06
    # Few large weights carry much of the variance, so a sample of weights shows it only roughly.
    assert 0.6 < square < 1.7
    assert mixed == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("width", WIDTHS)
def test_stacked_layers_stay_of_order_one_where_the_papers_collapse(width: int) -> None:
    """Four layers without passthrough. Not exactly 1: after the first layer nothing is normal."""
    ours = [second_moments(h) for h in preactivations(width, "principled", 4, 6)]
    paper = [second_moments(h) for h in preactivations(width, "paper", 4, 6)]
    assert all(0.3 < square < 40 for _, square, _ in ours)
    assert all(abs(mean) < 0.2 * math.sqrt(square) + 0.2 for mean, square, _ in ours)
    assert all(square < 0.2 for _, square, _ in paper)
    assert paper[-1][1] < 0.25 * paper[0][1] or width == 50


def test_the_papers_ranges() -> None:
    linear, conv = NonNegativeLinear(50, 80), NonNegativeConv2d(4, 16, 5)
    for layer, top in ((linear, 0.003), (conv, 0.005)):
        initialise_(layer, "paper")
        weight = layer.weight.detach()
        assert 0 <= float(weight.min()) < 0.05 * top
        assert 0.95 * top < float(weight.max()) <= top
        assert float(weight.mean()) == pytest.approx(top / 2, rel=0.1)


@pytest.mark.parametrize("init", ["principled", "paper"])
def test_networks_are_initialised_as_named(init: str) -> None:
    mlp = ConvexMLP(20, (60, 60), init=init)
    conv = ConvexConvNet(1, 8, features=8, depth=1, init=init)
    for layer in (*mlp.hidden_layers, conv.blocks[0].conv, conv.readout):
        weight = layer.weight.detach()
        assert isinstance(weight, Tensor)
        assert (weight > 0).any()
        assert (float(weight.max()) <= 0.005) == (init == "paper")


def test_an_unknown_initialisation_is_refused() -> None:
    with pytest.raises(UserError, match="principled"):
        ConvexMLP(2, (2,), init="xavier")
