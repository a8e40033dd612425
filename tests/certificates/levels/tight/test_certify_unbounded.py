"""Level ``tight`` on endless domains: ``inf`` is said where no attack exists, and only there."""

import copy
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog
from tests.certificates.levels.tight.test_level import stalling
from torch import Tensor, nn

from featureconvex import L0, Box, FeatureConvexModel, Lp, Patch, Status, Unbounded, certify
from featureconvex.certificates import Domain, Threat
from featureconvex.certificates.levels import Sound
from featureconvex.certificates.levels.tight import Tight, certify_unbounded
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import grid

Array = NDArray[np.float64]
LPS = tuple(Lp(p) for p in (1, 1.5, 2, math.inf))
THREATS: tuple[Threat, ...] = (*LPS, L0(), Patch(1))
HISTOGRAM = Box(0, math.inf, direction=1)
HALF = Box([0.0, -math.inf, -1.0, -math.inf], [math.inf, 3.0, 1.0, math.inf])
X = grid((5, 4), 2**-8, seed=80).abs().clamp(0, 1)


def scaled() -> FeatureMap:
    return Scale([2.0, -0.5, 30.0, 1e-2], 0.5)


def lowest(weight: Array, bias: Array, lo: Array, hi: Array) -> float:
    """``min over [lo, hi] of max_k <weight_k, x> + bias_k``, ``-inf`` where it has no end."""
    pieces, size = weight.shape
    found = linprog(
        np.append(np.zeros(size), 1.0),
        A_ub=np.hstack((weight, -np.ones((pieces, 1)))),
        b_ub=-bias,
        bounds=[*zip(lo, hi, strict=True), (None, None)],
        method="highs",
    )
    return float(found.fun) if found.status == 0 else -math.inf


def bowl(
    seed: int, size: int, pieces: int, phi: Callable[[], FeatureMap] = Identity
) -> FeatureConvexModel:
    """A maximum of affine functions that grows in every direction."""
    torch.manual_seed(seed)
    net = MaxAffine(size, pieces).double()
    with torch.no_grad():
        weight = torch.randn(pieces, size).double()
        net.affine.weight.copy_(weight - weight.mean(0))
        net.affine.bias.copy_(torch.randn(pieces))
    return FeatureConvexModel(phi(), net).eval()


def lifted(model: FeatureConvexModel, tau: float) -> FeatureConvexModel:
    return FeatureConvexModel(model.feature_map, model.convex_net, tau).eval()


def least_margin(model: FeatureConvexModel, domain: Domain, x: Tensor) -> float:
    """By linear programming, for a maximum of affine functions after an affine map."""
    net = model.convex_net
    assert isinstance(net, MaxAffine)
    zero = model.feature_map(torch.zeros_like(x[:1]))
    scale = (model.feature_map(torch.ones_like(x[:1])) - zero)[0]
    weight = net.affine.weight.detach() * scale
    bias = net.affine.weight.detach() @ zero[0] + net.affine.bias.detach()
    lo, hi = (end[0].numpy() for end in domain.bounds(x[:1]))
    return lowest(weight.numpy(), bias.numpy(), lo, hi)


@pytest.mark.parametrize(
    ("phi", "domain"),
    [(Identity, Unbounded()), (scaled, HISTOGRAM), (scaled, HALF)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_inf_exactly_where_linear_programming_says_so(
    phi: Callable[[], FeatureMap], domain: Domain
) -> None:
    """Just above and just below the threshold at which the least margin is 0."""
    model = bowl(0, 4, 12, phi)
    x = X[1:2]  # one row: a domain that only lets coordinates grow depends on it
    least = least_margin(model, domain, x)
    assert math.isfinite(least)
    for threat, gap in ((Lp(1), 1e-4), (Lp(2), 1e-4), (Lp(math.inf), 1e-1), (L0(), 1e-1)):
        below = certify(lifted(model, -least - gap), x, threat, domain, "tight")
        assert np.isfinite(below.radius).all()
        above = certify(lifted(model, -least + gap), x, threat, domain, Tight(60))
        assert above.status.tolist() == [Status.unbounded]
        assert np.isnan(above.upper).all()


@pytest.mark.parametrize("threat", THREATS, ids=repr)
def test_the_stalling_network(threat: Threat) -> None:
    cert = certify(stalling(), torch.ones(1, 1).double(), threat, level="tight")
    assert cert.radius[0] == math.inf
    assert cert.status[0] == Status.unbounded
    assert np.isnan(cert.upper[0])


@pytest.mark.parametrize(
    ("size", "dtype"), [(1, torch.float32), (2, torch.float64), (10, torch.float32)]
)
def test_more_coordinates_and_single_precision(size: int, dtype: torch.dtype) -> None:
    x = grid((2, size), 2**-8, seed=81)
    model = bowl(3, size, 3 * size + 2)
    least = least_margin(model, Unbounded(), x)
    high, low = (lifted(model, -least + gap).to(dtype) for gap in (0.2, -0.2))
    for threat in LPS:
        # The other norms have no master problem of their own, and may need more rounds.
        cert = certify(high, x.to(dtype), threat, level=Tight(60))
        assert np.isnan(cert.upper).all()
        if dtype == torch.float64:
            assert (cert.radius == math.inf).all()
        else:
            # Cuts from far away lose too much to float32 for a proof on every processor.
            assert (cert.radius > 1000 * certify(high, x.to(dtype), threat).radius).all()
        assert np.isfinite(certify(low, x.to(dtype), threat, level="tight").radius).all()


@pytest.mark.parametrize("activation", ["relu", "softplus:3"])
def test_networks_that_are_proved_unbounded(activation: str) -> None:
    """In two dimensions a fine grid finds the least margin."""
    torch.manual_seed(0)
    net = ConvexMLP(2, (12, 8), activation=activation).double()
    x = grid((2, 2), 2**-8, seed=3)
    steps = torch.linspace(-8, 8, 401, dtype=torch.float64)
    points = torch.cartesian_prod(steps, steps)
    with torch.no_grad():
        margin = net(points)
    assert points[margin.argmin()].abs().max() < 7  # not at the grid's border
    least = float(margin.min())
    for threat in THREATS:
        high = certify(FeatureConvexModel(Center(0.0), net, 0.3 - least), x, threat, level="tight")
        assert (high.radius == math.inf).all()
        low = certify(FeatureConvexModel(Center(0.0), net, -0.1 - least), x, threat, level="tight")
        assert np.isfinite(low.radius).all()


def valley(tilt: float, size: int = 5) -> FeatureConvexModel:
    """``|<w, x>| + tilt x_0 + 0.5``: flat along a whole plane, or ever so slightly falling."""
    net = MaxAffine(size, 2).double()
    with torch.no_grad():
        w = (1 + torch.arange(size) // 2).double() / 2  # the first two agree
        net.affine.weight.copy_(torch.stack((w, -w)))
        net.affine.weight[:, 0] += tilt
        net.affine.bias.fill_(0.5)
    return FeatureConvexModel(Identity(), net).eval()


@pytest.mark.parametrize("threat", THREATS, ids=repr)
def test_slopes_that_cancel_in_part_of_the_space(threat: Threat) -> None:
    x = grid((3, 5), 2**-8, seed=82)
    flat = certify(valley(0.0), x, threat, level="tight")
    assert (flat.radius == math.inf).all()
    for tilt in (2.0**-10, 2.0**-30, 2.0**-48):
        down = torch.tensor([[-1.0, 1.0, 0.0, 0.0, 0.0]], dtype=torch.float64) / tilt
        with torch.no_grad():
            assert float(valley(tilt)(down)) == -0.5
        assert np.isfinite(certify(valley(tilt), x, threat, level="tight").radius).all()


def test_a_coordinate_that_plays_no_part() -> None:
    model = bowl(5, 2, 8)
    wide = nn.Sequential(nn.Linear(3, 2).double(), model.convex_net)
    with torch.no_grad():
        wide[0].weight.copy_(torch.eye(2, 3))  # type: ignore[operator]
        wide[0].bias.zero_()  # type: ignore[operator]
    x = grid((4, 3), 2**-8, seed=83)
    least = least_margin(model, Unbounded(), x[:, :2])
    high = FeatureConvexModel(Identity(), wide, 0.2 - least)
    assert (certify(high, x, level="tight").radius == math.inf).all()


def test_a_cost_of_inf_is_a_border() -> None:
    """Falls only along a coordinate that cannot change."""
    model = bowl(6, 3, 8)
    assert isinstance(model.convex_net, MaxAffine)
    with torch.no_grad():
        model.convex_net.affine.weight[:, 0] -= 5
    x = grid((4, 3), 2**-8, seed=84)
    fixed = Box(-math.inf, math.inf, immutable=[True, False, False])
    least = min(least_margin(model, fixed, row) for row in torch.split(x, 1))
    high = lifted(model, 0.2 - least)
    for threat, domain in ((Lp(2, [math.inf, 1, 1]), Unbounded()), (Lp(1), fixed), (L0(), fixed)):
        assert (certify(high, x, threat, domain, "tight").radius == math.inf).all()
        assert np.isfinite(certify(high, x, Lp(2), level="tight").radius).all()


@pytest.mark.parametrize("threat", THREATS, ids=repr)
def test_absolute_values_that_hold_the_input_back(threat: Threat) -> None:
    """Pieces whose ``|u|`` part is too weak alone, and strong enough together."""
    torch.manual_seed(1)
    net = MaxAffine(6, 8).double()
    with torch.no_grad():
        w = torch.randn(8, 3).double()
        w -= w.mean(0)
        net.affine.weight.copy_(torch.cat((w, 0.5 * w.abs()), 1))
        net.affine.bias.copy_(torch.rand(8) * 0.1 + 0.2)
    x = grid((2, 3), 2**-8, seed=3)
    model = FeatureConvexModel(Compose(Center(0.0), AbsConcat()), net).eval()
    cert = certify(model, x, threat, level="tight")
    assert (cert.radius == math.inf).all()
    assert np.isfinite(certify(model, x, threat, level="domain").radius).all()
    assert np.isfinite(certify(lifted(model, -0.6), x, threat, level="tight").radius).all()


def test_null_vectors_are_exact() -> None:
    rows = [[1, 2, 3, -6], [0, 0, 1, -1], [0, 5, 0, -5]]
    found = certify_unbounded._null_vector([[Fraction(v) for v in row] for row in rows])
    assert found == [Fraction(1)] * 4
    assert (
        certify_unbounded._null_vector([[Fraction(1), Fraction(2)], [Fraction(0), Fraction(1)]])
        is None
    )
    assert certify_unbounded._null_vector([[Fraction(1), Fraction(2), Fraction(3)]]) is None


def test_planted_proofs_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancellation up to rounding is not enough: a tilt of 2^-48 falls, far out."""
    monkeypatch.setattr(certify_unbounded, "_exact", lambda *_: True)
    with pytest.raises(AssertionError):
        test_slopes_that_cancel_in_part_of_the_space(Lp(2))


def test_planted_patience_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking any weights for a proof."""
    monkeypatch.setattr(certify_unbounded, "ROUGH", math.inf)
    monkeypatch.setattr(certify_unbounded, "_robust", lambda *_: True)
    monkeypatch.setattr(certify_unbounded, "_exact", lambda *_: True)
    with pytest.raises(AssertionError):
        test_inf_exactly_where_linear_programming_says_so(Identity, Unbounded())


@pytest.mark.parametrize("size", [2, 3])
def test_what_cancels_against_the_threshold_is_as_uncertain_as_it_was(size: int) -> None:
    """Scores near 1000, least margins a rounding or two below 0: an attack exists, hidden by rounding."""
    x = torch.full((1, size), 0.5)
    for seed in range(4):
        model = bowl(seed, size, 2 * size)
        assert isinstance(model.convex_net, MaxAffine)
        model.convex_net.affine.bias.data += 1000.0
        model = model.float()
        low = least_margin(copy.deepcopy(model).double(), Unbounded(), x.double())
        for below in (1e-9, 1e-6, 3e-5):
            attacked = lifted(model, -low - below)
            assert certify(attacked, x, Lp(2), level="tight").radius < math.inf
        assert certify(lifted(model, 0.1 - low), x, Lp(2), level="tight").radius == math.inf


def test_cuts_that_all_overflow_prove_nothing_and_lose_no_other_row() -> None:
    net = MaxAffine(2, pieces=1)
    net.affine.weight.data.copy_(torch.tensor([[1e30, 1.0]]))
    net.affine.bias.data.fill_(1.0)
    model, threat = FeatureConvexModel(Identity(), net), Lp(2, cost=[1e-9, 1.0])
    for level in ("tight", Sound("tight")):
        radius = certify(model, torch.zeros(3, 2), threat, level=level).radius
        assert (radius < 1e-38).all()
