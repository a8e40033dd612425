"""Level ``domain``: laws, brute force in every threat and domain, exact linear cases, planted faults."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tests.across_batches import radii_apart
from torch import Tensor

from featureconvex import (
    L0,
    Box,
    FeatureConvexModel,
    Lp,
    Patch,
    Status,
    Unbounded,
    UserError,
    certify,
)
from featureconvex.certificates import Domain, Minorant, Threat, moves, separable, tangent
from featureconvex.certificates.levels import Sound, Tight
from featureconvex.certificates.levels import domain_aware as level
from featureconvex.certificates.levels.domain_aware import radius_of, worst_case
from featureconvex.certificates.levels.problem import Problem
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import ConvexConvNet, ConvexMLP, MaxAffine
from featureconvex.testing import (
    CERTIFICATE_LAWS,
    CertificateCase,
    Law,
    balanced,
    grid,
    max_affine_radius,
)

aware = partial(certify, level="domain")
COST = torch.tensor([0.5, 2.0, math.inf, 1.0], dtype=torch.float64)
EXPONENTS = (1.0, 1.5, 2.0, math.inf)
X = grid((8, 4), 2**-8, seed=50)
IN_BOX = X.abs().clamp(0, 1)
WIDE = grid((8, 24), 2**-8, seed=52).abs().clamp(0, 1)
IMAGES = 4 * grid((6, 2, 4, 4), 2**-8, seed=51).abs().clamp(0, 1)
ONE_WAY = Box(0, 1, immutable=[False, True, False, False], direction=[1, 0, -1, 0])


class Rotation(FeatureMap):
    """An orthogonal map: affine, but not coordinate by coordinate."""

    affine = True

    def __init__(self, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        turn = torch.randn(size, size, generator=generator, dtype=torch.float64)
        self.size = size
        self.register_buffer("turn", torch.linalg.qr(turn).Q)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x @ self.turn.to(x.dtype).T  # type: ignore[operator]
        return out

    def lipschitz(self, p: float) -> float:
        # l_p norms of a matrix lie below the geometric mean of those for 1 and inf; an orthogonal one's
        # sums of absolute values are at most the root of its size.
        return 1.0 if p == 2 else self.size**0.5

    def pullback(self, v: Tensor) -> Tensor:
        out: Tensor = v @ self.turn.to(v.dtype)  # type: ignore[operator]
        return out

    def config(self) -> dict[str, Any]:
        return {"size": self.size}


class Waves(FeatureMap):
    """Neither affine nor coordinatewise nor known: only its constant, 2 for every p."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x) + torch.sin(x.flip(1))

    def lipschitz(self, p: float) -> float:
        return 2.0

    def config(self) -> dict[str, Any]:
        return {}


MAPS: dict[str, tuple[Callable[[], FeatureMap], int]] = {
    "identity": (Identity, 1),
    "scaled": (lambda: Scale([-0.5], 0.5), 1),
    "absolute": (lambda: Compose(Center(0.25), AbsConcat()), 2),
    "rotated": (lambda: Rotation(4), 1),
    "waves": (Waves, 1),
}


def make(features: str, inputs: Tensor = IN_BOX) -> FeatureConvexModel:
    build, factor = MAPS[features]
    net = ConvexMLP(inputs.shape[1] * factor, (8, 5))
    return balanced(FeatureConvexModel(build(), net), inputs).double()


COUNTS: tuple[Threat, ...] = (L0(), L0(torch.arange(24) // 2), Patch(2))


def convolutional() -> FeatureConvexModel:
    net = ConvexConvNet(4, 4, features=2, depth=1)
    return balanced(FeatureConvexModel(AbsConcat(), net), IMAGES).double()


def make_cases() -> dict[str, CertificateCase]:
    cases = {}
    for features in MAPS:
        for p in EXPONENTS if features == "absolute" else (1.0, 2.0, math.inf):
            for text, domain, inputs, cost in (
                ("free", Unbounded(), X, None),
                ("box", Box(0, 1), IN_BOX, None),
                ("one way, cost", ONE_WAY, IN_BOX, COST),
            ):
                if text != "box" and features in ("scaled", "rotated", "waves"):
                    continue
                cases[f"{features} l{p:g} {text}"] = CertificateCase(
                    partial(make, features, inputs),
                    inputs,
                    Lp(p, cost),
                    domain,
                    certify=aware,
                    tolerance=2e-5,
                )
        for threat in COUNTS if features not in ("rotated", "waves") else ():
            cases[f"{features} {threat!r}"] = CertificateCase(
                partial(make, features, WIDE), WIDE, threat, Box(0, 1), certify=aware
            )
    for threat in (Lp(1), Lp(2)):
        cases[f"convnet {threat!r}"] = CertificateCase(
            convolutional, IMAGES, threat, Box(0, 4), certify=aware, tolerance=2e-5
        )
    return cases


CASES = make_cases()


@pytest.mark.parametrize("law", CERTIFICATE_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[CertificateCase]) -> None:
    broken = []
    for name, case in CASES.items():
        try:
            law(case)
        except AssertionError as error:
            broken.append(f"{name}: {error}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("features", MAPS)
@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("cost", [None, COST], ids=["plain", "cost"])
def test_never_below_the_closed_form(features: str, p: float, cost: Tensor | None) -> None:
    for domain, inputs in ((Unbounded(), X), (Box(0, 1), IN_BOX), (ONE_WAY, IN_BOX)):
        model = make(features, inputs)
        before = certify(model, inputs, Lp(p, cost), domain).radius
        # Rows that are no use are left out, so the batch is another one.
        least = before * (1 - radii_apart(model, inputs))
        assert (aware(model, inputs, Lp(p, cost), domain).radius >= least).all()


def linear(features: str) -> FeatureConvexModel:
    model = FeatureConvexModel(MAPS[features][0](), MaxAffine(4, 1))
    return balanced(model, IN_BOX).double()


@pytest.mark.parametrize("features", ["identity", "scaled", "rotated"])
@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("cost", [None, COST], ids=["plain", "cost"])
def test_exact_for_linear_models(features: str, p: float, cost: Tensor | None) -> None:
    model = linear(features)
    line = tangent(model, IN_BOX)
    weight = model.feature_map.pullback(line.slope)
    for domain in (Unbounded(), Box(0, 1), ONE_WAY):
        lo, hi = domain.bounds(IN_BOX)
        result = aware(model, IN_BOX, Lp(p, cost), domain)
        assert (result.radius > 0).any()
        for i in range(len(IN_BOX)):
            truth = max_affine_radius(
                weight[i : i + 1].numpy(),
                line.value[i : i + 1].numpy(),
                p,
                None if cost is None else cost.numpy(),
                (lo - IN_BOX)[i].numpy(),
                (hi - IN_BOX)[i].numpy(),
            )
            assert result.radius[i] == pytest.approx(truth, rel=1e-5, abs=1e-7)


def lattice(x: Tensor, lo: Tensor, hi: Tensor, extra: Tensor, points: int = 81) -> Tensor:
    """All points of a grid over the domain around x (d,), its ends and the kinks on it: (m, d)."""
    axes = []
    for j in range(len(x)):
        low, high = max(float(lo[j]), float(x[j]) - 3), min(float(hi[j]), float(x[j]) + 3)
        axis = torch.linspace(low, high, points, dtype=torch.float64)
        axes.append(torch.cat((axis, x[j : j + 1], extra.clamp(low, high))))
    return torch.cartesian_prod(*axes)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("where", ["free", "box", "one way"])
def test_never_above_brute_force(seed: int, where: str) -> None:
    """In two coordinates, for (u, |u|) after a shift, in every norm, with and without costs."""
    torch.manual_seed(seed)
    x = torch.rand(8, 2, dtype=torch.float64)
    phi = Compose(Scale([1.0, -2.0], [-0.4, 0.7]), AbsConcat())
    model = balanced(FeatureConvexModel(phi, ConvexMLP(4, (8, 4))), x).double()
    domain: Domain = {
        "free": Unbounded(),
        "box": Box(0, 1),
        "one way": Box(0, 1, direction=[1, -1]),
    }[where]
    lo, hi = domain.bounds(x)
    kinks = torch.tensor([0.4, 0.35], dtype=torch.float64)
    asked = [Lp(p, cost) for p, cost in itertools.product(EXPONENTS, (None, [0.5, 2.0]))]
    radii = [aware(model, x, threat, domain).radius for threat in asked]
    for i in range(len(x)):
        points = lattice(x[i], lo[i], hi[i], kinks)
        with torch.no_grad():
            flipped = points[model(points) <= 0]
        for threat, found in zip(asked, radii, strict=True):
            radius = found[i]
            nearest = threat.measure(flipped - x[i]).min() if len(flipped) else math.inf
            assert radius <= nearest * (1 + 1e-9)


@pytest.mark.parametrize("features", ["identity", "absolute"])
def test_l0_and_patches_by_enumeration(features: str) -> None:
    """Every support of up to two coordinates, every combination of ends, kinks and points between."""
    model = make(features, WIDE)
    values = torch.tensor([0.0, 0.25, 0.6, 1.0], dtype=torch.float64)
    counts = aware(model, WIDE, L0(), Box(0, 1)).radius
    patches = aware(model, WIDE, Patch(2), Box(0, 1)).radius
    assert (counts > 0).any()
    assert (patches > 0).any()
    for i, k in itertools.product(range(len(WIDE)), (1, 2)):
        supports = list(itertools.combinations(range(24), k))
        changes = torch.cartesian_prod(*[values] * k).reshape(-1, k)
        points = WIDE[i].repeat(len(supports), len(changes), 1)
        for rows, support in zip(points, supports, strict=True):
            rows[:, support] = changes
        with torch.no_grad():
            flips = (model(points.flatten(0, 1)) <= 0).reshape(len(supports), -1).any(1)
        assert not flips.any() or counts[i] < k
        near = torch.tensor([support[-1] - support[0] <= 1 for support in supports])
        assert not (flips & near).any() or patches[i] == 0


def test_the_whole_domain_cannot_pay() -> None:
    net = MaxAffine(2, 1)
    net.affine.weight.data = torch.tensor([[1.0, 2.0]])
    net.affine.bias.data.zero_()
    model = FeatureConvexModel(Identity(), net, tau=0.5).double()
    x = torch.tensor([[0.5, 0.5]]).double()
    for threat in (Lp(1), Lp(2), Lp(math.inf), L0(), Patch(1)):
        result = aware(model, x, threat, Box(0, 1))
        assert math.isinf(result.radius[0])
        assert result.status[0] == Status.unbounded
    # A tie at the far corner is not certified.
    tie = aware(FeatureConvexModel(Identity(), net, tau=0.0).double(), x, Lp(1), Box(0, 1))
    assert tie.radius[0] == pytest.approx(1.0)
    fixed = aware(model, x, Lp(2), Box(-9, 9, immutable=True))
    assert math.isinf(fixed.radius[0])


@pytest.mark.parametrize("p", EXPONENTS)
def test_the_lipschitz_route_uses_the_domain(p: float) -> None:
    model = make("waves")
    free = aware(model, IN_BOX, Lp(p), Unbounded()).radius
    tight = aware(model, IN_BOX, Lp(p), Box(IN_BOX.amin(0) - 1e-4, IN_BOX.amax(0) + 1e-4)).radius
    assert (tight >= free).all()
    cell = Box(0, 1, immutable=[True, True, True, False])
    still = [aware(model, IN_BOX[i : i + 1], Lp(p), cell).radius[0] for i in range(len(IN_BOX))]
    # Each row is a batch of its own here.
    assert (np.array(still) >= free * (1 - radii_apart(model, IN_BOX))).all()
    assert radii_apart(model, IN_BOX).max() < 1e-9
    costly = aware(model, IN_BOX, Lp(p, [1.0, 3.0, 3.0, 3.0]), cell).radius
    assert (costly >= certify(model, IN_BOX, Lp(p, [1.0, 3.0, 3.0, 3.0])).radius).all()
    assert (costly > free).any()


def test_the_lipschitz_route_bounds_counts_and_windows() -> None:
    """By the movement that few coordinates can make, in the best of three norms."""
    model = make("waves")
    x = torch.full_like(IN_BOX, 0.5) + 0.01 * IN_BOX
    line = tangent(model, x)
    rate = {s: model.feature_map.sensitivity(line.slope, s) for s in (1.0, 2.0, math.inf)}
    for half in (0.02, 0.1, 1.0):
        box = Box(x.amin(0) - half, x.amin(0) + half)
        lo, hi = box.bounds(x)
        room = torch.maximum(x - lo, hi - x).sort(1, descending=True).values
        counts = aware(model, x, L0(), box).radius
        windows = aware(model, x, Patch(2), box).radius
        for i in range(len(x)):
            safe = [
                any(float(room[i, :k].norm(s)) * rate[s][i] < line.value[i] for s in rate)
                for k in range(1, 5)
            ]
            expected = math.inf if safe[3] else float(sum(safe))
            assert counts[i] == (expected if line.value[i] > 0 else 0)
            assert windows[i] >= (2 if safe[1] else 0)


@pytest.mark.parametrize("features", ["identity", "absolute"])
@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(math.inf, COST), L0(), Patch(2)], ids=repr)
def test_worst_case_is_zero_at_the_radius_and_differentiable(features: str, threat: Threat) -> None:
    model = make(features)
    line = tangent(model, IN_BOX)
    problem = Problem(model, IN_BOX, threat, Box(0, 1), line)
    radius = radius_of(problem, line)
    rows = torch.isfinite(radius) & (radius > 0)
    left = worst_case(problem, line, radius)
    assert (left[rows] >= -1e-4 * line.value[rows]).all()
    if isinstance(threat, Lp):
        assert (left[rows] <= 3e-3 * line.value[rows]).all()
    slope = line.slope.clone().requires_grad_()
    budget = torch.ones_like(line.value) * (2 if isinstance(threat, Patch) else 0.37)
    total = worst_case(problem, Minorant(line.value, slope), budget)
    (gradient,) = torch.autograd.grad(total.sum(), slope)
    step = 1e-3 * torch.randn_like(slope)
    with torch.no_grad():
        moved = worst_case(problem, Minorant(line.value, slope + step), budget) - total
        expected = (gradient * step).sum(1)
    # Concave in the slope for affine maps; smooth but for a few kinks.
    near = (moved - expected).abs() <= 0.05 * expected.abs() + 1e-5
    assert near.double().mean() >= 0.7


def test_no_worst_case_without_curves() -> None:
    model = make("waves")
    line = tangent(model, IN_BOX)
    problem = Problem(model, IN_BOX, Lp(2), Box(0, 1), line)
    with pytest.raises(UserError, match="Lipschitz"):
        worst_case(problem, line, torch.ones(len(IN_BOX)))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("absolute")
    whole = aware(model, IN_BOX, Lp(2), Box(0, 1)).radius
    monkeypatch.setattr(level, "CHUNK", 8)
    assert np.allclose(aware(model, IN_BOX, Lp(2), Box(0, 1)).radius, whole, rtol=1e-5)


def test_a_planted_larger_radius_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A radius 1 % too large fails the exact linear cases."""
    real = level._proved
    monkeypatch.setattr(level, "_proved", lambda *a: (1.01 * real(*a)[0], real(*a)[1]))
    with pytest.raises(AssertionError):
        test_exact_for_linear_models("identity", 2.0, None)


def test_planted_opposite_ends_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistaking the way a coordinate may move certifies what brute force can flip."""
    real = separable.separable_drops

    def mirrored(form: Any, x: Tensor, lo: Tensor, hi: Tensor, cost: Any) -> Any:
        return real(form, x, 2 * x - hi, 2 * x - lo, cost)

    monkeypatch.setattr(moves, "separable_drops", mirrored)
    with pytest.raises(AssertionError):
        test_never_above_brute_force(0, "one way")


@pytest.mark.parametrize("level", ["domain", "sound"])
def test_where_an_infinite_radius_is_not_proved_the_larger_domains_radius_is_left(
    level: str,
) -> None:
    """A half-open domain in which the tangent cannot fall: never less than without any border."""
    net = MaxAffine(2, pieces=1)
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[-1.1, 1.0]]))
        net.affine.bias.fill_(1.0)
    m = FeatureConvexModel(AbsConcat(), net).double()
    x = torch.zeros(1, 1, dtype=torch.float64)
    free = certify(m, x, Lp(2), None, level).radius
    assert free[0] == pytest.approx(10, rel=1e-6)
    for domain in (Box(-math.inf, 0.5), Box(-math.inf, math.inf, direction=[-1])):
        assert (certify(m, x, Lp(2), domain, level).radius >= free * (1 - 1e-6)).all()


def test_an_infinite_weight_proves_nothing_and_stops_nothing() -> None:
    net = MaxAffine(2, pieces=1)
    with torch.no_grad():
        net.affine.weight.fill_(math.inf)
    m = FeatureConvexModel(Identity(), net)
    for name in ("closed-form", "domain", "sound"):
        found = certify(m, torch.ones(2, 2), Lp(2), level=name)
        assert (found.radius == 0).all()


@pytest.mark.parametrize("name", ["closed-form", "domain", "tight", "sound"])
@pytest.mark.parametrize("odd", [math.nan, math.inf, 1e38])
def test_a_row_that_is_no_number_costs_only_itself(name: str, odd: float) -> None:
    m = FeatureConvexModel(AbsConcat(), ConvexMLP(6, (4,)), tau=2.0).eval()
    x = torch.randn(6, 3)
    spoilt = x.clone()
    spoilt[2, 1] = odd
    chosen = Tight(2) if name == "tight" else name
    box = None if name == "closed-form" else Box(-9, 9)
    alone = certify(m, x, Lp(2, [1.0, 2.0, 3.0]), box, chosen)
    found = certify(m, spoilt, Lp(2, [1.0, 2.0, 3.0]), box, chosen)
    others = np.arange(6) != 2
    np.testing.assert_allclose(found.radius[others], alone.radius[others], rtol=1e-5)
    assert np.isfinite(found.radius[2])
    assert name == "closed-form" or found.radius[2] == 0


@pytest.mark.parametrize(
    ("threat", "domain"),
    [
        (Lp(2, cost=[math.inf, 1.0]), Unbounded()),
        (Lp(1, cost=[math.inf, 1.0]), Unbounded()),
        (Lp(2, cost=[1e3, 1.0]), Unbounded()),
        (Lp(1, cost=[math.inf, 1.0]), Box([-math.inf, -math.inf], [math.inf, 1.0])),
        (Lp(math.inf, cost=[50.0, 1.0]), Box([-math.inf, -3.0], [math.inf, math.inf])),
        (Lp(2), Box([-math.inf, -3.0], [math.inf, math.inf])),
    ],
    ids=str,
)
def test_an_infinite_radius_that_is_not_proved_leaves_the_closed_form(
    threat: Lp, domain: Domain
) -> None:
    """The line does not fall, but for what rounding leaves open, on a map without borders."""
    net = MaxAffine(4, pieces=1)
    net.affine.weight.data.copy_(torch.tensor([[5.0, 0.1, 5.0, 1.0]]))
    net.affine.bias.data.fill_(1.0)
    model, x = FeatureConvexModel(AbsConcat(), net), torch.tensor([[0.3, 0.3]])
    for closed, aware in (("closed-form", "domain"), (Sound("closed-form"), Sound("domain"))):
        low = certify(model, x, threat, domain, closed).radius[0]
        assert certify(model, x, threat, domain, aware).radius[0] >= low > 0
