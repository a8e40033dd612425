"""Level ``sound`` on learned nonexpansive maps: exact arithmetic and the machine cannot contradict it."""

import math
from collections.abc import Callable
from fractions import Fraction

import flint
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.features import (
    AbsConcat,
    AveragePool,
    Center,
    Compose,
    Distances,
    FeatureMap,
    Flatten,
    Fold,
    MaxMin,
    MaxPool,
    NonexpansiveConv,
    NonexpansiveLinear,
    NonexpansiveResidual,
    NonexpansiveResidualConv,
    Scale,
    Scattering,
)
from featureconvex.norms import vector_norm
from featureconvex.rounding import Ball, Graph
from featureconvex.rounding.directed import FLOAT64
from featureconvex.rounding.steps import Mode
from featureconvex.testing.exact import ExactMargin

D = 5
IMAGE = (2, 2, 4)
MAPS: dict[str, Callable[[], FeatureMap]] = {
    "orthogonal": lambda: Compose(
        Center(0.4), NonexpansiveLinear(D, 6), MaxMin(), NonexpansiveLinear(6, 4), MaxMin()
    ),
    "affine end": lambda: Compose(NonexpansiveLinear(D, 6), MaxMin(), NonexpansiveLinear(6, 3)),
    "affine": lambda: Compose(Scale([1.0, 0.1, 3.0, -1.0, 2.0]), NonexpansiveLinear(D, 4)),
    "entries": lambda: Compose(NonexpansiveLinear(D, 6, "entries"), MaxMin()),
    "rows": lambda: Compose(NonexpansiveLinear(D, 6, "rows"), MaxMin()),
    "columns": lambda: Compose(NonexpansiveLinear(D, 6, "columns"), MaxMin()),
    "distances": lambda: Compose(Distances(D, 6), Distances(6, 3)),
    "sums of distances": lambda: Compose(Distances(D, 4, 1), MaxMin()),
    "after absolute": lambda: Compose(AbsConcat(), NonexpansiveLinear(2 * D, 4), MaxMin()),
    "residual": lambda: Compose(NonexpansiveResidual(D), NonexpansiveResidual(D, 3)),
}
IMAGES: dict[str, Callable[[], FeatureMap]] = {
    "convolutions": lambda: Compose(
        Center(0.4), NonexpansiveConv(IMAGE, 4), MaxMin(), NonexpansiveConv((4, 2, 4), 2, 1)
    ),
    "folded": lambda: Compose(
        Fold(IMAGE, 3), NonexpansiveConv((18, 1, 2), 4), MaxMin(), Flatten((4, 1, 2))
    ),
    "maxima": lambda: Compose(NonexpansiveConv(IMAGE, 2), MaxPool(2, 1), Flatten((2, 1, 3))),
    "sums": lambda: Compose(
        AveragePool(IMAGE, 2, divisor=2), MaxMin(), AveragePool((2, 1, 2), 1, divisor=3)
    ),
    "overlapping sums": lambda: Compose(AveragePool(IMAGE, 2, 1), NonexpansiveConv((2, 1, 3), 2)),
    "residual images": lambda: Compose(
        NonexpansiveResidualConv(IMAGE, 3), NonexpansiveResidualConv(IMAGE, 1, 1)
    ),
}
MAPS |= IMAGES
COST = [1.0, 0.5, math.inf, 2.0, 0.25]


def shape_of(name: str) -> tuple[int, ...]:
    return IMAGE if name in IMAGES else (D,)


def threats(shape: tuple[int, ...]) -> list[fc.Lp]:
    cost = torch.tensor(COST).repeat(4)[: math.prod(shape)].reshape(shape)
    return [
        *(fc.Lp(p) for p in (1, 2, 3, math.inf)),
        *(fc.Lp(p, cost=cost) for p in (1, 2, math.inf)),
    ]


def build(
    make: Callable[[], FeatureMap], seed: int = 0, shape: tuple[int, ...] = (D,)
) -> tuple[fc.FeatureConvexModel, Tensor]:
    torch.manual_seed(seed)
    phi, x = make().eval(), torch.rand(12, *shape)
    net: nn.Module = fc.nn.ConvexMLP(phi(x)[0].numel(), (6, 3))
    model = fc.FeatureConvexModel(phi, net).eval()
    with torch.no_grad():
        model.tau -= model(x).median()
    return model, x


def attacked(model: fc.FeatureConvexModel, x: Tensor, radius: Tensor, threat: fc.Lp) -> Tensor:
    """(m, n, ...) float64: points just inside the radius, along gradients, axes and random directions."""
    wide, shape = x.double().flatten(1), tuple(x.shape[1:])
    d = wide.shape[1]
    cost = torch.ones(d, dtype=torch.float64) if threat.cost is None else threat.cost.double()
    cost = cost.expand(shape).reshape(-1) if threat.cost is not None else cost
    free = torch.isfinite(cost)
    point = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(point).sum(), point)
    slope = torch.where(free, slope.double().flatten(1) / torch.where(free, cost, 1.0), 0.0)
    generator = torch.Generator().manual_seed(1)
    q = torch.randn(10, *wide.shape, dtype=torch.float64, generator=generator)
    axes = torch.eye(d, dtype=torch.float64)[:, None].expand(-1, len(x), -1)
    steps = torch.cat((-slope[None], -slope.sign()[None], axes, -axes, q))
    steps = torch.where(free, steps, 0.0)
    size = vector_norm((steps * torch.where(free, cost, 0.0)).flatten(0, 1), threat.p)
    steps = steps / size.view(steps.shape[:2]).clamp_min(1e-300)[..., None]
    moved = wide + (radius * (1 - 1e-12))[None, :, None] * steps
    return moved.view(len(steps), len(x), *shape)


def nearest_to_flip(model: fc.FeatureConvexModel, points: Tensor) -> Tensor:
    """Of images, whose exact margins take long, the points (m, ...) with the smallest computed margins."""
    if points.ndim == 2:
        return points
    with torch.no_grad():
        return points[model(points.float()).argsort()[:3]]


@pytest.mark.parametrize("name", MAPS)
def test_exact_margins_stay_positive_inside_the_radius(name: str) -> None:
    shape = shape_of(name)
    model, x = build(MAPS[name], shape=shape)
    judge = ExactMargin(model)
    for threat in threats(shape):
        base = fc.certify(model, x, threat)
        certificate = fc.certify(model, x, threat, level=fc.levels.Sound("closed-form"))
        assert (certificate.radius <= base.radius).all()
        sure = base.radius > 0
        assert sure.sum() >= 3
        assert (certificate.radius[sure] >= 0.95 * base.radius[sure]).all()
        radius = torch.from_numpy(certificate.radius)
        points = attacked(model, x, radius, threat)
        for row in np.flatnonzero(sure)[:3]:
            assert all(judge(point) > 0 for point in nearest_to_flip(model, points[:, row]))


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("name", MAPS)
def test_the_machines_decision_stays_inside_the_radius(name: str, arithmetic: str) -> None:
    shape = shape_of(name)
    model, x = build(MAPS[name], seed=1, shape=shape)
    deployed = model.double() if arithmetic == "float64" else model
    model, x = build(MAPS[name], seed=1, shape=shape)
    for threat in threats(shape):
        level = fc.levels.Sound("domain", arithmetic)
        certificate = fc.certify(model, x, threat, fc.Box(-2, 3), level)
        radius = torch.from_numpy(certificate.radius).clamp(max=1e3)
        assert (radius > 0).sum() >= 3
        points = attacked(model, x, radius, threat).clamp(-2, 3)
        inside = points.to(torch.float64 if arithmetic == "float64" else torch.float32)
        with torch.no_grad():
            margins = deployed(inside.flatten(0, 1)).view(inside.shape[:2])
        assert (margins[:, radius > 0] > 0).all()


def test_euclidean_distances_are_judged_in_balls() -> None:
    model, x = build(lambda: Compose(Distances(D, 4, 2), MaxMin()))
    judge = ExactMargin(model, flint.arb)
    certificate = fc.certify(model, x, fc.Lp(2), level=fc.levels.Sound("closed-form"))
    points = attacked(model, x, torch.from_numpy(certificate.radius), fc.Lp(2))
    sure = np.flatnonzero(certificate.radius > 0)
    assert len(sure) >= 3
    assert all(judge(point[row]) > 0 for row in sure for point in points)


def test_a_constant_that_is_too_small_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge and the attack see a planted fault: a map with its constant halved."""
    from featureconvex.rounding.graph import Graph

    true = Graph.constants
    monkeypatch.setattr(Graph, "constants", lambda *a: {s: c / 2 for s, c in true(*a).items()})
    model, x = build(lambda: Compose(NonexpansiveLinear(D, 6), MaxMin()))
    monkeypatch.setattr(
        "featureconvex.features.compose.Compose.sensitivity",
        lambda *given: 0.5 * vector_norm(given[1], 2),
    )
    certificate = fc.certify(model, x, fc.Lp(2), level=fc.levels.Sound("closed-form"))
    points = attacked(model, x, torch.from_numpy(certificate.radius), fc.Lp(2))
    judge = ExactMargin(model)
    sure = np.flatnonzero(certificate.radius > 0)
    assert any(judge(point[row]) <= 0 for row in sure for point in points)


def test_distances_of_other_exponents_are_refused_by_name() -> None:
    model, x = build(lambda: Compose(Distances(D, 4, 1.5), MaxMin()))
    with pytest.raises(UserError, match="p = 1, 2 and inf"):
        fc.certify(model, x, fc.Lp(2), level="sound")
    with pytest.raises(UserError, match="exact judge"):
        ExactMargin(model, Fraction)(x[0])


def test_sums_before_a_map_that_mixes_coordinates_keep_their_length() -> None:
    """Weights that stand for an l2 norm stand for something else in front of sums over windows."""
    shape = (1, 16, 16)
    phi = Compose(
        AveragePool(shape, 2, divisor=2),
        Scattering((1, 8, 8), scales=1, orientations=2, order=1),
        MaxPool(2),
    ).eval()
    graph = Graph(torch.float64)
    phi.rounding_steps(graph, 0)
    x = torch.zeros(1, *shape, dtype=torch.float64)
    out, trace = graph.forward(Ball.exact(x), Mode(FLOAT64, relaxed=False))
    one = torch.ones_like(out.centre)
    pulled = graph.pull(one, trace.shapes)
    first = Graph(torch.float64, graph.nodes[:1] + [(s, p) for s, p in graph.nodes[2:]])
    first.nodes[1:] = [(step, (k,)) for k, (step, _) in enumerate(first.nodes[1:])]
    after = first.felt(first.pull(one, trace.shapes[1:]))
    # Sums of disjoint windows over k have norm 1.
    assert float(graph.felt(pulled)) >= float(after) * (1 - 1e-12)
    assert float(pulled.amax()) < float(after) * 0.6
