import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featureconvex.features.nonexpansive.linf_distance import (
    DistanceLayer,
    DistanceNetwork,
    smooth_distance,
)
from featureconvex.testing.law import build


def network(inputs: int, hidden: tuple[int, ...]) -> DistanceNetwork:
    """Random, with mean shifts set, in eval mode."""
    made = build(lambda: DistanceNetwork(inputs, hidden))
    made.centre(torch.rand(40, inputs, generator=torch.Generator().manual_seed(1)))
    return made


def pairs(count: int, inputs: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(count, inputs, generator=generator, dtype=torch.float64)
    moves = torch.randn(count, inputs, generator=generator, dtype=torch.float64)
    # Small and large, of one coordinate and of all, and corners of the cube.
    moves[::3] *= torch.nn.functional.one_hot(torch.arange(len(moves[::3])) % inputs, inputs)
    moves[1::3] = moves[1::3].sign()
    return x, x + moves * torch.logspace(-4, 1, count, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("sharpness", [0.5, 4.0, 40.0])
def test_the_smooth_distance_is_within_its_bounds(sharpness: float) -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.rand(30, 50, generator=generator) * 2 - 0.5
    w = torch.randn(20, 50, generator=generator) * 0.5
    smooth, exact = smooth_distance(h, w, sharpness), torch.cdist(h, w, p=math.inf)
    assert bool((smooth >= exact - 1e-5).all())
    assert bool((smooth <= exact + math.log(2 * 50) / sharpness + 1e-5).all())


def test_the_smooth_distance_neither_overflows_nor_underflows() -> None:
    h = torch.tensor([[30.0, 0.0], [0.5, 0.0]], requires_grad=True)
    w = torch.tensor([[-10.0, 0.0], [1.5, 0.7]])
    smooth = smooth_distance(h, w, 40.0)
    assert torch.allclose(smooth, torch.tensor([[40.0, 28.5], [10.5, 1.0]]), atol=1e-4)
    torch.autograd.backward(smooth[0, 0])
    assert h.grad is not None
    assert torch.allclose(h.grad, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 40), st.integers(1, 40), st.integers(0, 1000))
def test_the_smooth_distance_is_nonexpansive_in_linf(sharpness: float, d: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(5, d, generator=generator, dtype=torch.float64).requires_grad_()
    w = torch.randn(1, d, generator=generator, dtype=torch.float64)
    torch.autograd.backward(smooth_distance(h, w, sharpness).sum())
    assert h.grad is not None
    assert float(h.grad.abs().sum(dim=1).amax()) <= 1 + 1e-9


def test_layers_have_distances_with_p_inf() -> None:
    layer = build(lambda: DistanceLayer(7, 4, True))
    h = torch.randn(9, 7, dtype=torch.float64)
    slow = [
        [max(abs(a - b) for a, b in zip(r, w, strict=True)) for w in layer.weight.tolist()]
        for r in h.tolist()
    ]
    assert torch.equal(layer.distances(h), torch.tensor(slow, dtype=torch.float64))


@pytest.mark.parametrize("hidden", [(), (6,), (20, 30, 10)], ids=str)
def test_scores_are_nonexpansive_in_linf_and_the_constant_is_attained(
    hidden: tuple[int, ...],
) -> None:
    made = network(12, hidden)
    x, y = pairs(600, 12)
    gaps = (made.scores(x) - made.scores(y)).abs()
    ratios = gaps / (x - y).abs().amax(dim=1)
    assert float(ratios.max()) <= 1 + 1e-9
    if not hidden:
        assert float(ratios.max()) > 0.95


def test_training_follows_the_means_and_centring_sets_them() -> None:
    made = DistanceNetwork(5, (8,))
    x = torch.rand(100, 5)
    made.train()
    made.sharpness = 10.0
    made(x)
    first, last = made.layers
    assert torch.allclose(
        first.mean, 0.1 * smooth_distance(x, first.weight, 10.0).mean(dim=0), atol=1e-6
    )
    made.centre(x)
    exact = first.distances(x.double())
    assert torch.allclose(first.mean.double(), exact.mean(dim=0), atol=1e-6)
    assert not last.mean.any()


def test_the_sharp_limit_of_what_is_trained_is_what_is_certified() -> None:
    made = network(6, (10, 10)).double()
    x = torch.rand(20, 6, dtype=torch.float64)
    made.sharpness = 300.0  # float64, so that nothing underflows
    assert torch.allclose(made(x), made.scores(x), atol=3 * math.log(20) / 300)


def exact_score(made: DistanceNetwork, x: list[float]) -> Fraction:
    h = [Fraction(v) for v in x]
    for layer in made.layers:
        weights, means = layer.weight.tolist(), layer.mean.tolist()
        h = [
            max(abs(a - Fraction(b)) for a, b in zip(h, w, strict=True)) - Fraction(m)
            for w, m in zip(weights, means, strict=True)
        ]
    return (h[0] - h[1]) / 2


@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_rounding_is_bounded(scale: float) -> None:
    made = network(4, (5, 5))
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(60, 4, dtype=torch.float64, generator=generator) * scale
    tau = 0.1234567
    errors = [
        abs(Fraction(float(s + tau)) - exact_score(made, row.tolist()) - Fraction(tau))
        for s, row in zip(made.scores(x), x, strict=True)
    ]
    bounds = made.rounding(x.abs().amax(dim=1), tau).tolist()
    assert all(error <= Fraction(bound) for error, bound in zip(errors, bounds, strict=True))
    # There is something to bound, and the bound is no way off where values are large.
    assert max(errors) > 0
    assert max(bounds) < 1e-12 * scale
    assert scale == 1 or max(errors) > max(bounds) / 100
