"""How steep a network can be: no two inputs say otherwise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.certificates.multi_class.scores import NETS

import featureconvex as fc
from featureconvex.certificates.levels.sound.line import graphs
from featureconvex.certificates.multi_class.slopes import Region, slope_range
from featureconvex.errors import UserError
from featureconvex.models.frozen import frozen_model
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.graph import Graph

D = 5


def network(kind: str, seed: int, scale: float = 1.0) -> tuple[fc.FeatureConvexModel, Graph]:
    torch.manual_seed(seed)
    net = NETS[kind](D).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(scale)
    model = frozen_model(fc.FeatureConvexModel(fc.features.Identity(), net.eval()).double())
    return model, graphs(model)[1]


def off(model: fc.FeatureConvexModel, slopes: Ball, a: torch.Tensor, b: torch.Tensor) -> float:
    """How far ``g(b) - g(a)`` leaves the range of ``<w, b - a>``, relative to the numbers compared."""
    rise = (model(b) - model(a)).detach()
    middle = (slopes.centre * (b - a)).sum(1)
    around = (slopes.radius * (b - a).abs()).sum(1)
    size = 1e-9 * (1 + model(a).detach().abs() + model(b).detach().abs())
    return float(((rise - middle).abs() - around - size).max())


@pytest.mark.parametrize("kind", list(NETS))
@given(
    st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 30.0]), st.sampled_from([0.01, 1.0, 100.0])
)
def test_no_two_inputs_leave_the_range(kind: str, seed: int, scale: float, spread: float) -> None:
    model, graph = network(kind, seed, scale)
    a, b = torch.randn(2, 64, D, dtype=torch.float64) * spread
    everywhere = slope_range(graph, Ball.exact(a))
    assert off(model, everywhere, a, b) <= 0
    way = b - a
    reach = {p: torch.linalg.vector_norm(way, p, dim=1) * (1 + 1e-9) for p in (2.0, torch.inf)}
    near = slope_range(graph, Ball.exact(a), Region(Ball.exact(a), reach))
    assert off(model, near, a, b) <= 0
    # From any input of the region to any other.
    c = a + way * torch.rand(64, 1, dtype=torch.float64)
    assert off(model, near, c, b) <= 0


@pytest.mark.parametrize("kind", list(NETS))
def test_the_range_shrinks_to_the_slope_at_the_input(kind: str) -> None:
    model, graph = network(kind, 3)
    u = torch.randn(32, D, dtype=torch.float64)
    none = torch.full((32,), 1e-12, dtype=torch.float64)
    near = slope_range(graph, Ball.exact(u), Region(Ball.exact(u), {torch.inf: none}))
    u.requires_grad_()
    (slope,) = torch.autograd.grad(model(u).sum(), u)
    if kind == "max affine":  # which piece is not looked at: its range is that of all pieces
        assert bool(((slope - near.centre).abs() <= near.radius + 1e-9).all())
        return
    assert float((near.centre - slope).abs().max()) < 1e-6
    assert float(near.radius.max()) < 1e-6


def test_an_affine_network_has_one_slope() -> None:
    _, graph = network("affine", 0)
    assert float(slope_range(graph, Ball.exact(torch.zeros(1, D).double())).radius.max()) < 1e-14


def test_maxima_over_windows_are_refused() -> None:
    net = torch.nn.Sequential(
        fc.nn.NonNegativeConv2d(1, 1, 3), torch.nn.MaxPool2d(2), torch.nn.Flatten(0)
    )
    model = frozen_model(fc.FeatureConvexModel(fc.features.Identity(), net.eval()))
    with pytest.raises(UserError, match="use networks of affine layers and activations"):
        slope_range(graphs(model)[1], Ball.exact(torch.zeros(1, 1, 4, 4).double()))


def test_convolutions_have_a_range() -> None:
    net = fc.nn.ConvexConvNet(1, (4, 4), features=2, depth=1, first_kernel=3)
    model = frozen_model(fc.FeatureConvexModel(fc.features.Identity(), net.eval()).double())
    a, b = torch.randn(2, 32, 1, 4, 4, dtype=torch.float64)
    slopes = slope_range(graphs(model)[1], Ball.exact(a))
    rise = (model(b) - model(a)).detach()
    middle, around = (
        (way * (b - a if way is slopes.centre else (b - a).abs())).flatten(1).sum(1)
        for way in (slopes.centre, slopes.radius)
    )
    assert bool(((rise - middle).abs() <= around + 1e-9).all())
