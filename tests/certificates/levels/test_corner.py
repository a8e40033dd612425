"""Monotone models: the corner of a box is its worst point, and a certificate in every norm."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates.levels import corner
from featureconvex.errors import UserError
from featureconvex.features import (
    AbsConcat,
    AveragePool,
    Compose,
    FeatureMap,
    Flatten,
    Fold,
    Identity,
    MaxMin,
    MaxPool,
    NonexpansiveConv,
    NonexpansiveLinear,
    Scale,
)
from featureconvex.nn import ConvexMLP, MaxAffine, NonNegativeLinear
from featureconvex.rounding import Ball
from featureconvex.rounding.directions import Directions
from featureconvex.testing.exact import ExactMargin

D = 4
SIGNS = torch.tensor([1.0, -1.0, 1.0, -2.0])
INF = fc.Lp(math.inf)


def network(inputs: int = D) -> nn.Module:
    first, last = NonNegativeLinear(inputs, 6), NonNegativeLinear(6, 1)
    return nn.Sequential(first, nn.ReLU(), last, nn.Flatten(0))


def monotone(seed: int = 0, phi: FeatureMap | None = None) -> tuple[fc.FeatureConvexModel, Tensor]:
    torch.manual_seed(seed)
    model = fc.FeatureConvexModel(phi or Scale(SIGNS), network()).eval()
    x = torch.rand(20, D)
    with torch.no_grad():
        model.tau -= model(x).median()
    return model, x


def lowest(model: fc.FeatureConvexModel, x: Tensor, r: Tensor, lo: float, hi: float) -> Tensor:
    """The margin at the worst corner of the ball in the box, in float64."""
    wide = model.double()
    move = r[:, None] * SIGNS.sign()
    with torch.no_grad():
        margins: Tensor = wide((x.double() - move).clamp(lo, hi))
    return margins


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
def test_radii_in_linf_are_exact(seed: int, box: tuple[float, float] | None) -> None:
    model, x = monotone(seed)
    domain = fc.Unbounded() if box is None else fc.Box(*box)
    found = fc.certify(model, x, INF, domain, "domain")
    radius = torch.from_numpy(found.radius)
    ends = box or (-math.inf, math.inf)
    finite = (radius > 0) & torch.isfinite(radius)
    assert (radius > 0).sum() >= 8
    # Level ``domain`` takes the larger of two radii, one of which a float32 pass computed.
    assert bool((lowest(model, x, radius.clamp(max=1e3), *ends)[radius > 0] > -1e-6).all())
    beyond = lowest(model, x, radius * (1 + 1e-6) + 1e-9, *ends)[finite]
    assert bool((beyond <= 1e-9).all())
    endless = lowest(model, x, torch.full_like(radius, 1e4), *ends) > 0
    assert torch.equal(endless & (radius > 0), torch.isinf(radius))


@pytest.mark.parametrize("more", [1e-3, 1.0])
def test_a_margin_that_is_too_large_is_caught(more: float, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = corner._Corners.lowest
    monkeypatch.setattr(corner._Corners, "lowest", lambda self, at: honest(self, at) + more)
    with pytest.raises(AssertionError):
        test_radii_in_linf_are_exact(0, (0.0, 1.0))


def test_the_larger_certificate_is_given_at_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = monotone()
    threats = [fc.Lp(1), fc.Lp(2), INF, fc.Lp(math.inf, cost=[1.0, 0.25, 2.0, math.inf])]
    float32 = fc.levels.Sound("domain", "float32")
    levels: list[str | fc.levels.Level] = ["domain", "tight", "sound", float32]
    with_them = [fc.certify(model, x, threats, fc.Box(0, 1), level) for level in levels]
    closed = fc.certify(model, x, threats[:3], level="closed-form")
    monkeypatch.setattr(corner, "_corners_of", lambda *_: None)
    without = [fc.certify(model, x, threats, fc.Box(0, 1), level) for level in levels]
    for level, some, others in zip(levels, with_them, without, strict=True):
        for one, other in zip(some, others, strict=True):
            assert (one.radius >= other.radius).all(), level
        # Level ``tight`` has the best minorant, which for affine maps reaches the corner's radius.
        assert level == "tight" or (some[2].radius > others[2].radius * 1.01).any(), level
    assert all(
        (a.radius <= b.radius).all() for a, b in zip(with_them[2], with_them[0], strict=True)
    )
    assert all(
        (a.radius <= b.radius).all() for a, b in zip(with_them[3], with_them[2], strict=True)
    )
    blind = fc.certify(model, x, threats[:3], level="closed-form")
    assert all((a.radius == b.radius).all() for a, b in zip(blind, closed, strict=True))


def test_evidence_that_may_only_grow_never_removes_a_flag() -> None:
    model, x = monotone()
    domain = fc.Box(-math.inf, math.inf, direction=SIGNS.sign().long())
    for threat in (fc.Lp(1), fc.Lp(2), INF, fc.L0(), fc.Patch(2)):
        found = fc.certify(model, x, threat, domain, "domain")
        assert (np.isinf(found.radius) == (found.margin > 0)).all()
        assert np.isinf(fc.certify(model, x, threat, domain, "sound").radius).any()
    against = fc.Box(-math.inf, math.inf, direction=-SIGNS.sign().long())
    assert not np.isinf(fc.certify(model, x, INF, against, "domain").radius).any()


def test_sound_radii_hold_in_exact_arithmetic() -> None:
    model, x = monotone()
    judge = ExactMargin(model)
    radius = fc.certify(model, x, INF, fc.Box(-1, 2), "sound").radius
    assert (radius > 0).sum() >= 8
    for row in np.flatnonzero((radius > 0) & np.isfinite(radius))[:6]:
        move = radius[row] * (1 - 1e-13) * SIGNS.sign().double()
        assert judge((x[row].double() - move).clamp(-1, 2)) > 0


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_the_machines_decision_holds_inside_the_radius(arithmetic: str) -> None:
    model, x = monotone(1)
    level = fc.levels.Sound("domain", arithmetic)
    radius = torch.from_numpy(fc.certify(model, x, INF, fc.Box(-1, 2), level).radius)
    sure = (radius > 0) & torch.isfinite(radius)
    assert sure.sum() >= 6
    dtype = torch.float64 if arithmetic == "float64" else torch.float32
    deployed = model.to(dtype)
    generator = torch.Generator().manual_seed(0)
    ways = torch.cat((SIGNS.sign()[None], torch.rand(200, D, generator=generator) * 2 - 1)).double()
    points = x.double()[sure] - ways[:, None] * radius[sure][:, None] * (1 - 1e-12)
    with torch.no_grad():
        margins = deployed(points.clamp(-1, 2).to(dtype).flatten(0, 1))
    assert bool((margins > 0).all())


def test_one_negative_weight_and_the_corner_is_nothing() -> None:
    """The planted fault: a network that is monotone but for one weight."""
    _, x = monotone()
    net = ConvexMLP(D, (6,), passthrough=False)
    first = net.input_layers[0]
    assert isinstance(first, nn.Linear)
    bent = fc.FeatureConvexModel(Scale(SIGNS), net)
    with torch.no_grad():
        first.weight.abs_()
    first_radius = fc.certify(
        bent, x, fc.L0(), fc.Box(0, 1, direction=SIGNS.sign().long()), "domain"
    )
    assert np.isinf(first_radius.radius[first_radius.margin > 0]).all()
    with torch.no_grad():
        first.weight[0, 0] = -3.0
    problem_free = fc.certify(bent, x, INF, fc.Box(0, 1, direction=SIGNS.sign().long()), "domain")
    assert not np.isinf(problem_free.radius).all()


SHAPE = (2, 2, 4)
MAPS: dict[str, tuple[Callable[[], FeatureMap], tuple[int, ...]]] = {
    "identity": (Identity, (D,)),
    "signs": (lambda: Scale([1.0, -1.0, 0.0, 2.0]), (D,)),
    "absolute": (AbsConcat, (D,)),
    "sorted": (MaxMin, (D,)),
    "linear": (lambda: NonexpansiveLinear(D, 3), (D,)),
    "entries": (lambda: Compose(NonexpansiveLinear(D, 6, "entries"), MaxMin()), (D,)),
    "maxima": (lambda: MaxPool(2, 1), SHAPE),
    "sums": (lambda: AveragePool(SHAPE, 2, 1), SHAPE),
    "folded": (lambda: Fold(SHAPE, 3), SHAPE),
    "convolution": (lambda: NonexpansiveConv(SHAPE, 1, 1), SHAPE),
    "flat": (lambda: Flatten(SHAPE), SHAPE),
}
NETS: dict[str, Callable[[int], nn.Module]] = {
    "mlp": lambda d: ConvexMLP(d, (5, 3)),
    "max-affine": lambda d: MaxAffine(d, 3),
    "affine": lambda d: MaxAffine(d, 1),
    "monotone": network,
}


def directions(phi: FeatureMap, net: nn.Module, shape: tuple[int, ...]) -> Directions:
    from featureconvex.certificates.levels.sound.line import graphs

    features, steps = graphs(fc.FeatureConvexModel(phi, net).double().eval())
    x = torch.zeros(1, *shape, dtype=torch.float64)
    phi_out, inner = features.forward(Ball.exact(x), corner.EXACT)
    out, outer = steps.forward(phi_out, corner.EXACT)
    found = steps.directions(Directions.rising(out.centre), outer.shapes)
    return features.directions(found, inner.shapes)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(MAPS)),
    st.sampled_from(sorted(NETS)),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_no_margin_moves_against_the_directions(name: str, net: str, thin: bool, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        make, shape = MAPS[name]
        phi = make().eval()
        wide = torch.zeros(1, *shape)
        g = NETS[net](phi(wide)[0].numel())
        if net == "monotone":
            g = nn.Sequential(nn.Flatten(), g)
        if thin:  # so that some entries do not matter
            with torch.no_grad():
                for part in g.modules():
                    if isinstance(part, nn.Linear) and not hasattr(part, "parametrizations"):
                        part.weight.mul_(torch.rand_like(part.weight) < 0.4)
        found = directions(phi, g, shape)
        model = fc.FeatureConvexModel(phi, g).double().eval()
        x = torch.randn(200, *shape, dtype=torch.float64)
        one = torch.eye(math.prod(shape), dtype=torch.float64).view(-1, *shape)
        with torch.no_grad():
            for step, up, down in zip(one, found.up.flatten(), found.down.flatten(), strict=True):
                rise = model(x + torch.rand(200, *[1] * len(shape)).double() * step) - model(x)
                if not up:
                    assert float(rise.max()) <= 1e-9
                if not down:
                    assert float(rise.min()) >= -1e-9


@pytest.mark.parametrize(
    ("phi", "net", "expected"),
    [
        (Scale([1.0, -1.0, 0.0, 2.0]), network(), [1, -1, 0, 1]),
        (Identity(), network(), [1, 1, 1, 1]),
        (AbsConcat(), network(2 * D), None),
        (Identity(), MaxAffine(D, 3), None),
    ],
)
def test_directions_are_found(phi: FeatureMap, net: nn.Module, expected: list[int] | None) -> None:
    if isinstance(net, MaxAffine):
        torch.nn.init.normal_(net.affine.weight, generator=torch.Generator().manual_seed(0))
    found = directions(phi, net, (D,))
    assert found.monotone == (expected is not None)
    if expected is not None:
        assert (found.up.int() - found.down.int()).flatten().tolist() == expected


def test_distances_are_refused() -> None:
    with pytest.raises(UserError, match="not known to be monotone"):
        directions(fc.features.Distances(D, 3), network(3), (D,))


def test_the_corner_is_the_worst_of_all_points() -> None:
    model, x = monotone()
    found = fc.certify(model, x, INF, fc.Box(0, 1), "domain")
    row = int(np.flatnonzero((found.radius > 0) & np.isfinite(found.radius))[0])
    r, wide = found.radius[row] * (1 - 1e-9), model.double()
    grid = itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=D)
    points = x[row].double() + r * torch.tensor(list(grid), dtype=torch.float64)
    with torch.no_grad():
        assert bool((wide(points.clamp(0, 1)) > 0).all())
