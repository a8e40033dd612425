"""Level ``tight``: an attack's upper bound where no bracket closes, for every map and threat."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from tests.certificates.levels.test_domain_aware import Waves
from torch import Tensor, nn

from featureconvex import (
    L0,
    Box,
    FeatureConvexClassifier,
    FeatureConvexModel,
    Lp,
    Patch,
    Unbounded,
    certify,
)
from featureconvex.certificates import Threat, tangent
from featureconvex.certificates.drops import Curves
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.levels.tight import Tight, upper
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scattering
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import balanced, grid

X = grid((5, 5), 2**-8, seed=90)
IN_BOX = X.abs().clamp(0, 1)
ONE_WAY = Box(0, 1, immutable=[False, True, False, False, False], direction=[1, 0, -1, 0, 0])
IMAGES = grid((6, 1, 8, 8), 2**-8, seed=91).abs().clamp(0, 1)


class Euclid(Threat):
    """l2 by the four things that a threat must know, and nothing else."""

    name = "euclid"

    def __repr__(self) -> str:
        return "Euclid()"

    def measure(self, delta: Tensor) -> Tensor:
        return Lp(2).measure(delta)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        return Lp(2).worst_drop(drops, budget)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        return Lp(2).project(delta, budget, lo, hi)


def absolute() -> FeatureMap:
    return Compose(Center(0.25), AbsConcat())


def mlp(phi: Callable[[], FeatureMap], x: Tensor, factor: int = 1) -> FeatureConvexModel:
    torch.manual_seed(0)
    return balanced(FeatureConvexModel(phi(), ConvexMLP(5 * factor, (8, 5))), x).double().eval()


THREATS: tuple[Threat, ...] = (
    *(Lp(p) for p in (1, 2, math.inf)),
    Lp(2, [0.5, 2.0, math.inf, 1.0, 3.0]),
    L0(),
    L0([0, 0, 1, 1, 2]),
    Patch(2),
    Euclid(),
)


CASES = [
    *((absolute, 2, threat) for threat in THREATS),
    *((Identity, 1, threat) for threat in THREATS[4:]),
    *((Waves, 1, threat) for threat in (Lp(1), Lp(math.inf), L0(), Patch(2))),
]


@pytest.mark.parametrize(
    ("phi", "factor", "threat"),
    CASES,
    ids=[f"{phi.__name__}-{threat!r}" for phi, _, threat in CASES],
)
def test_the_bracket_is_one(phi: Callable[[], FeatureMap], factor: int, threat: Threat) -> None:
    """``radius <= upper``, strictly where a radius covers its own budget; most rows have an upper."""
    for domain, x in ((Unbounded(), X[::2]), (ONE_WAY, IN_BOX[::2])):
        model = mlp(phi, x, factor).float()
        cert = certify(model, x.float(), threat, domain, Tight(4))
        known = np.isfinite(cert.upper)
        assert (cert.radius[known] <= cert.upper[known]).all()
        if isinstance(threat, L0 | Patch):
            assert (cert.radius[known] < cert.upper[known]).all()
        assert np.isnan(cert.upper[np.isinf(cert.radius)]).all()
        assert np.isnan(cert.upper[cert.margin < 0]).all()
        if isinstance(domain, Unbounded) and phi is not Waves and threat.cost is None:
            assert known[cert.margin > 0].mean() > 0.5


def test_exact_where_the_truth_is_simple() -> None:
    """One affine piece: the attack finds the fewest coordinates and the worst window."""
    net = MaxAffine(5, 1).double()
    model = balanced(FeatureConvexModel(Identity(), net), IN_BOX).eval()
    for threat in (L0(), L0([0, 0, 1, 1, 2]), Patch(1), Patch(2)):
        cert = certify(model, IN_BOX, threat, Box(0, 1), "tight")
        sure = (cert.margin > 0) & np.isfinite(cert.radius)
        missing = sure & np.isnan(cert.upper)
        if isinstance(threat, L0):
            assert sure.any()
            assert (cert.upper[sure] == cert.radius[sure] + 1).all()
        else:
            assert (cert.radius[missing] == threat.size).all()
            assert (cert.upper[sure & ~missing] == threat.size).all()
            assert (cert.radius[sure & ~missing] == 0).all()


@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(math.inf)])
def test_absolute_values_are_nearly_closed(threat: Lp) -> None:
    model = mlp(absolute, IN_BOX, 2)
    cert = certify(model, IN_BOX, threat, Box(0, 1), "tight")
    sure = np.isfinite(cert.upper) & (cert.radius > 0)
    assert np.median(cert.upper[sure] / cert.radius[sure]) <= 1.1


def test_scattering_features() -> None:
    torch.manual_seed(0)
    phi = Scattering((1, 8, 8))
    size = math.prod(phi.output_shape((1, 8, 8)))
    net = nn.Sequential(nn.Flatten(1), ConvexMLP(size, (16, 8)))
    model = balanced(FeatureConvexModel(phi, net), IMAGES).double()
    cert = certify(model, IMAGES, Lp(2), Box(0, 1), "tight")
    sure = cert.margin > 0
    assert sure.any()
    assert np.isfinite(cert.upper[sure]).all()
    assert (cert.radius <= cert.upper)[sure].all()


def test_it_can_be_left_out() -> None:
    model = mlp(absolute, IN_BOX, 2)
    full = certify(model, IN_BOX, Lp(2), Box(0, 1), Tight(4))
    assert np.isfinite(full.upper).any()
    bare = certify(model, IN_BOX, Lp(2), Box(0, 1), Tight(4, attacks=False))
    assert np.isnan(bare.upper).all()
    np.testing.assert_array_equal(bare.radius, full.radius)
    assert np.isnan(certify(model, IN_BOX, L0(), Box(0, 1), Tight(0)).upper).all()


def test_the_cost_is_bounded_by_the_iterations() -> None:
    calls = []

    class Counted(AbsConcat):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return super().forward(x)

        def lipschitz(self, p: float, s: float | None = None) -> float:
            return super().lipschitz(p)

        def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
            return super().sensitivity(v, p, cost)

    model = balanced(FeatureConvexModel(Counted(), ConvexMLP(10, (8, 5))), IN_BOX).double()
    certify(model, IN_BOX)  # tries the model out
    for iterations in (4, 20, 40):
        calls.clear()
        certify(model, IN_BOX, Lp(2), Box(0, 1), Tight(iterations))
        assert len(calls) <= 30 + 1.5 * iterations


def contradicted(threat: Threat, monkeypatch: pytest.MonkeyPatch, share: float) -> tuple[Any, Any]:
    """Radii of level tight, and what is left of them after a flip at ``share`` of each."""
    model = mlp(Identity, IN_BOX)
    model.tau += 0.3  # every row is sensitive, and none of them in the whole box
    line = tangent(model, IN_BOX)
    problem = Problem(model, IN_BOX, threat, Box(0, 1), line)
    before = Tight(4).bound(problem).radius

    def found(*arguments: Any) -> tuple[Any, ...]:
        safe: Tensor = arguments[-1]
        flip = safe * share
        return None, None, flip.ceil() if isinstance(threat, L0) else flip

    monkeypatch.setattr(upper, "search_all", found)
    bare = Tight(4, attacks=False).bound(problem)
    open_ = upper.attacked(problem, bare, iterations=4, tolerance=0.01)
    return before.numpy(), open_


def test_a_flip_lowers_the_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = contradicted(L0(), monkeypatch, 0.5)
    some = np.isfinite(before) & (before >= 1)
    assert some.any()
    np.testing.assert_array_equal(after.radius[some], np.ceil(before[some] / 2) - 1)
    monkeypatch.undo()
    before, after = contradicted(Euclid(), monkeypatch, 0.5)
    some = np.isfinite(before) & (before > 0)
    assert some.any()
    np.testing.assert_allclose(after.radius[some], before[some] / 2)


def test_wide_brackets_are_searched_again() -> None:
    """Columns of a real table differ in scale by six orders of magnitude; a bracket alone was 33 wide."""
    x, y = load_breast_cancer(return_X_y=True)
    clf = FeatureConvexClassifier(
        sensitive_class=0, feature_map="identity", temperature=0.5, epochs=20, random_state=0
    ).fit(x, y)
    found = clf.certify(x[:40], Lp(math.inf), level="tight")
    certified = found.radius > 0
    assert certified.sum() > 20
    width = found.upper[certified] / found.radius[certified]
    assert width.min() >= 1
    assert width.max() < 5


@pytest.mark.parametrize("threat", [L0(), Euclid()], ids=str)
def test_an_input_that_flips_by_itself_leaves_nothing(
    threat: Threat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen where logits of 1e18 stand behind a margin of 1e4: an attack of no change at all succeeds."""
    before, after = contradicted(threat, monkeypatch, 0.0)
    assert (before > 0).any()
    assert (after.radius[np.isfinite(before)] == 0).all()


def test_a_window_that_flips_leaves_nothing() -> None:
    flip = torch.tensor([2.0, math.nan], dtype=torch.float64)
    assert Patch(2).below(flip)[0] == 0
    assert torch.isnan(Patch(2).below(flip)[1])
    assert L0().below(flip)[0] == 1
    assert Lp(2).below(flip)[0] == 2


def test_a_threat_of_four_methods_is_certified() -> None:
    """The default search for the largest budget against l2's own."""
    for phi, factor in ((Identity, 1), (absolute, 2)):
        for domain, x in ((Unbounded(), X), (Box(0, 1), IN_BOX)):
            model = mlp(phi, x, factor)
            own = certify(model, x, Lp(2), domain, "domain")
            new = certify(model, x, Euclid(), domain, "domain")
            finite = np.isfinite(own.radius)
            np.testing.assert_array_equal(np.isfinite(new.radius), finite)
            np.testing.assert_allclose(new.radius[finite], own.radius[finite], rtol=2e-2)
            assert (new.radius <= own.radius * (1 + 1e-4)).all()
