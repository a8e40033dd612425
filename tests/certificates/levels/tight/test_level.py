"""Level ``tight`` against exact linear and quadratic programs, brute force and attacks."""

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featureconvex import Box, FeatureConvexModel, Lp, Status, Unbounded, UserError, certify
from featureconvex.certificates import L0, Domain, Patch, Threat, tangent
from featureconvex.certificates.levels.domain_aware import radius_of
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.levels.tight import Tight, bracket
from featureconvex.certificates.levels.tight.cuts import Cuts
from featureconvex.certificates.relaxation import Relaxation
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import ConvexConvNet, ConvexMLP, MaxAffine, NonNegativeLinear
from featureconvex.testing import (
    CERTIFICATE_LAWS,
    CertificateCase,
    Law,
    balanced,
    grid,
    grid_radius,
    max_affine_radius,
)

Array = NDArray[np.float64]
Maker = Callable[[], FeatureConvexModel]
COST = torch.tensor([0.5, 2.0, math.inf, 1.0, 1.5], dtype=torch.float64)
X = grid((5, 5), 2**-8, seed=70)
IN_BOX = X.abs().clamp(0, 1)
GAP = 1e-3
exactly = partial(certify, level=Tight(80, tolerance=GAP))


def pieces_of(model: FeatureConvexModel, x: Tensor) -> tuple[Array, Array]:
    """All affine pieces (k, d), and their values at each row (n, k), threshold included.

    A ReLU network with nonnegative weights is the maximum, over all on-off patterns of its units, of
    the affine function a pattern leaves: no pattern gets above it, and its own reaches it.
    """
    net = model.convex_net
    if isinstance(net, MaxAffine):
        weight, bias = net.affine.weight.detach(), net.affine.bias.detach()
    else:
        assert isinstance(net, ConvexMLP)
        weight, bias = _patterns(net)
    with torch.no_grad():
        u = model.feature_map(x)
        margins = u @ weight.T + bias + model.tau
    scale = model.feature_map.scale if isinstance(model.feature_map, Scale) else torch.ones(())
    return (weight * scale).numpy(), margins.numpy()


def linears(parts: nn.ModuleList) -> list[nn.Linear]:
    return [part for part in parts if isinstance(part, nn.Linear)]


def _patterns(net: ConvexMLP) -> tuple[Tensor, Tensor]:
    slopes, heights = [], []
    first, *passthrough = linears(net.input_layers)
    for bits in itertools.product((0.0, 1.0), repeat=sum(net.hidden)):
        on = torch.split(torch.tensor(bits, dtype=torch.float64), list(net.hidden))
        w: Tensor = first.weight
        b: Tensor = first.bias
        for i, layer in enumerate(linears(net.hidden_layers)):
            through = layer.weight * on[i]
            w, b = through @ w + passthrough[i].weight, through @ b + layer.bias
        slopes.append(w.detach()[0])
        heights.append(b.detach()[0])
    return torch.stack(slopes), torch.stack(heights)


def truth(
    p: float, cost: Tensor | None = None, box: bool = False
) -> Callable[[FeatureConvexModel, Tensor], Array]:
    def radii(model: FeatureConvexModel, x: Tensor) -> Array:
        weight, margins = pieces_of(model, x)
        ends = [(-row.numpy(), 1 - row.numpy()) if box else (None, None) for row in x]
        price = None if cost is None else cost.numpy()
        return np.array(
            [max_affine_radius(weight, m, p, price, *e) for m, e in zip(margins, ends, strict=True)]
        )

    return radii


def model(phi: Callable[[], FeatureMap], net: Callable[[], nn.Module], x: Tensor) -> Maker:
    return lambda: balanced(FeatureConvexModel(phi(), net()), x)


def small() -> nn.Module:
    return ConvexMLP(5, (4, 3))


def many() -> nn.Module:
    return MaxAffine(5, 9)


def scaled() -> FeatureMap:
    return Scale([2.0, -0.5, 1.0, 3.0, 0.25], 0.5)


def make_cases() -> dict[str, CertificateCase]:
    cases = {}
    for p in (1.0, 2.0, math.inf):
        for name, net, cost in (("mlp", small, None), ("max-affine-cost", many, COST)):
            cases[f"{name}-l{p:g}"] = CertificateCase(
                model(scaled, net, X), X, Lp(p, cost), certify=exactly,
                truth=truth(p, cost), tight=True, tolerance=2 * GAP,
            )  # fmt: skip
            cases[f"{name}-box-l{p:g}"] = CertificateCase(
                model(Identity, net, IN_BOX), IN_BOX, Lp(p, cost), Box(0, 1), exactly,
                truth(p, cost, box=True), tight=True, tolerance=2 * GAP,
            )  # fmt: skip
    return cases


CASES = make_cases()
SQUARE = {
    "1": ("mlp", "max-affine-cost-box"),
    "2": ("mlp-box", "max-affine-cost"),
    "inf": ("mlp", "max-affine-cost-box"),
}


# Every norm with both networks, and in and out of the box.
@pytest.mark.parametrize("name", [f"{net}-l{p}" for p, nets in SQUARE.items() for net in nets])
@pytest.mark.parametrize("law", CERTIFICATE_LAWS, ids=lambda law: law.__name__)
def test_exact_cases_obey_the_laws(law: Law[CertificateCase], name: str) -> None:
    law(CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_no_iterate_is_above_the_truth_and_none_loses_ground(name: str) -> None:
    case = CASES[name]
    m = case.make().double().eval()
    assert case.truth is not None
    true = case.truth(m, case.inputs)
    last = certify(m, case.inputs, case.threat, case.domain, "domain").radius
    for iterations in range(9):
        cert = certify(m, case.inputs, case.threat, case.domain, Tight(iterations, tolerance=0))
        assert (cert.radius <= true * (1 + 1e-8)).all()
        # What is kept is the best by a cheaper formula than the final one.
        assert (cert.radius >= last * (1 - 1e-3)).all()
        found = np.isfinite(cert.upper)
        assert (cert.upper[found] >= true[found] * (1 - 1e-8)).all()
        last = cert.radius


def test_a_raised_cut_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Cuts.add

    def raised(self: Cuts, *args: object) -> None:
        honest(self, *args)  # type: ignore[arg-type]
        self.values[:, self.count - 1] *= 1.02

    monkeypatch.setattr(Cuts, "add", raised)
    case = CASES["mlp-l2"]
    m = case.make().double().eval()
    assert case.truth is not None
    line = tangent(m, case.inputs)
    problem = Problem(m, case.inputs, case.threat, case.domain, line)
    found = radius_of(problem, bracket(problem, 20, 0.0).minorant).numpy()
    assert (found > case.truth(m, case.inputs) * (1 + 1e-3)).any()


# Norms between, other activations, other networks: a bracket that closes proves itself.


@pytest.mark.parametrize(
    ("p", "activation"),
    [
        *itertools.product([1.0, 1.2, 1.5, 2.0, 3.0, 8.0, math.inf], ["relu", "softplus:3"]),
        (2.0, "leaky_relu:0.1"),
        (1.0, "elu:0.7"),
    ],
)
def test_the_bracket_closes(p: float, activation: str) -> None:
    x = grid((4, 6), 2**-8, seed=71).abs().clamp(0, 1)
    make = model(Identity, lambda: ConvexMLP(6, (12, 8), activation=activation), x)
    m = make().double().eval()
    for domain in (Unbounded(), Box(0, 1), Box(-0.5, 2, immutable=[True] + [False] * 5)):
        cert = certify(m, x, Lp(p), domain, Tight(80, tolerance=0.02))
        plain = certify(m, x, Lp(p), domain, "domain").radius
        assert (cert.radius >= plain).all()
        sure = cert.status == Status.certified
        gap = 1 - cert.radius[sure] / cert.upper[sure]
        # For other norms the master problem is a substitute, and the bracket may stay open.
        limit = 0.02 if p in (1, 1.5, 2, 3, math.inf) else 0.25
        assert gap.max() <= limit + 1e-9
        assert gap.min() >= 0


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_convolutions_in_single_precision(p: float) -> None:
    x = grid((6, 1, 6, 6), 2**-8, seed=72).abs().clamp(0, 1)
    net = lambda: ConvexConvNet(1, 6, features=3, depth=2, pool=2)  # noqa: E731
    m = model(lambda: Center(0.5), net, x)().float().eval()
    cert = certify(m, x, Lp(p), Box(0, 1), Tight(60))
    sure = cert.status == Status.certified
    assert (1 - cert.radius[sure] / cert.upper[sure] <= 0.0101).all()


def test_the_attack_is_one() -> None:
    x = IN_BOX
    m = model(Identity, small, x)().eval()
    threat = Lp(1, COST)
    line = tangent(m, x.float())
    found = bracket(Problem(m, x.float(), threat, Box(0, 1), line))
    hit = torch.isfinite(found.upper)
    assert hit.any()
    with torch.no_grad():
        assert (m(found.attack)[hit] <= 0).all()
    assert Box(0, 1).contains(found.attack)[hit].all()
    torch.testing.assert_close(
        threat.measure(found.attack.double() - x.float().double())[hit], found.upper[hit]
    )
    assert torch.equal(found.attack[:, 2], x[:, 2].float())


# The constructed network on which ascent from the activation pattern at x stalls.


def stalling() -> FeatureConvexModel:
    """``g(u) = u + 0.6 + 3 relu(2 relu(-u) - 1)``: positive everywhere, off at u = 1 in both layers."""
    net = ConvexMLP(1, (1, 1)).double()
    with torch.no_grad():
        for layer, w in zip(linears(net.input_layers), (-1.0, 0.0, 1.0), strict=True):
            layer.weight.fill_(w)
        linears(net.input_layers)[0].bias.zero_()
        for layer, w, b in zip(linears(net.hidden_layers), (2.0, 3.0), (-1.0, 0.6), strict=True):
            layer.parametrizations.weight.original.fill_(w)  # type: ignore[union-attr,operator]
            layer.bias.fill_(b)
    return FeatureConvexModel(Identity(), net).eval()


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_the_stalling_network_is_solved(p: float) -> None:
    x = torch.ones(1, 1, dtype=torch.float64)
    m = stalling()
    with torch.no_grad():
        margins = m(torch.tensor([[1.0], [-0.5]]).double())
    torch.testing.assert_close(margins, torch.tensor([1.6, 0.1]).double())
    assert certify(m, x, Lp(p)).radius[0] == pytest.approx(1.6)
    boxed = certify(m, x, Lp(p), Box(-5, 5), "tight")
    assert boxed.radius[0] == math.inf
    assert boxed.status[0] == Status.unbounded
    assert certify(m, x, Lp(p), level="tight").radius[0] == math.inf


def valley(steepness: float) -> FeatureConvexModel:
    """``g(u) = u_1 + 1 + a |u_2|``: two tangents decide the radius, 1 in every norm near ``u = 0``."""
    net = MaxAffine(2, pieces=2).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, steepness], [1.0, -steepness]]))
        net.affine.bias.fill_(1.0)
    return FeatureConvexModel(Identity(), net)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("steepness", [1.0, 30.0, 1000.0])
def test_a_steep_coordinate_does_not_hold_the_bracket_back(p: float, steepness: float) -> None:
    x = torch.tensor([[0.0, 1e-4]]).double()
    assert certify(valley(steepness), x, Lp(p), level="tight").radius[0] > 0.99


def test_costs_of_different_scales_do_not_hold_the_bracket_back() -> None:
    x = torch.tensor([[0.0, 1e-4]]).double()
    found = certify(valley(1.0), x, Lp(math.inf, cost=[100.0, 0.01]), level="tight")
    assert found.radius[0] == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("threat", [L0(), Patch(1), Lp(2)])
def test_the_stalling_network_is_solved_by_ascent(threat: Threat) -> None:
    m = stalling()
    net = m.convex_net
    lifted = FeatureConvexModel(AbsConcat(), nn.Sequential(nn.Linear(2, 1), net)).double()
    assert isinstance(lifted.convex_net, nn.Sequential)
    first = lifted.convex_net[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0]]))
        assert first.bias is not None
        first.bias.zero_()
    x = torch.ones(1, 1, dtype=torch.float64)
    assert not math.isinf(certify(m, x, threat, Box(-5, 5), "domain").radius[0])
    for one in (m, lifted):
        assert certify(one, x, threat, Box(-5, 5), "tight").radius[0] == math.inf


# Where no bracket closes: larger lower bounds.

ABSOLUTE = model(lambda: Compose(Center(0.25), AbsConcat()), lambda: ConvexMLP(8, (8, 5)), X[:, :4])
IMAGES = grid((8, 1, 4, 4), 2**-8, seed=61).abs().clamp(0, 1)


def convnet() -> FeatureConvexModel:
    return FeatureConvexModel(Center(0.5), ConvexConvNet(1, 4, features=2, depth=1), tau=1.0)


def sure() -> FeatureConvexModel:
    m = ABSOLUTE()
    return FeatureConvexModel(m.feature_map, m.convex_net, float(m.tau) + 2)


quickly = partial(certify, level=Tight(8))
BOUNDS: dict[str, CertificateCase] = {
    f"absolute-{name}-{threat.name}": CertificateCase(
        ABSOLUTE, x, threat, domain, certify=quickly, tolerance=1e-6
    )
    for name, x, domain in (
        ("free", X[:, :4], Unbounded()),
        ("box", IN_BOX[:, :4], Box(0, 1)),
    )
    for threat in (Lp(1), Lp(2), Lp(math.inf))
}
BOUNDS["conv-l0"] = CertificateCase(convnet, IMAGES, L0(), Box(0, 1), certify=quickly)
BOUNDS["absolute-l0"] = CertificateCase(sure, IN_BOX[:, :4], L0(), Box(0, 1), certify=quickly)

LOWER_BOUND_LAWS = [
    law
    for law in CERTIFICATE_LAWS
    # An ascent with a finite number of steps need not follow the margin, the cost or the units to the
    # precision asked here.
    if law.__name__
    not in {"grows_with_the_margin", "scales_with_the_cost", "scales_with_the_units"}
]


# All laws in small for the other cases: test_level_laws.
@pytest.mark.parametrize("name", ["conv-l0", "absolute-free-l2"])
@pytest.mark.parametrize("law", LOWER_BOUND_LAWS, ids=lambda law: law.__name__)
def test_lower_bounds_obey_the_laws(law: Law[CertificateCase], name: str) -> None:
    law(BOUNDS[name])


@pytest.mark.parametrize("name", BOUNDS)
def test_lower_bounds_dominate_level_domain(name: str) -> None:
    case = BOUNDS[name]
    m = case.make().double().eval()
    better = case.certify(m, case.inputs, case.threat, case.domain).radius
    before = certify(m, case.inputs, case.threat, case.domain, "domain").radius
    assert (better >= before).all()
    if isinstance(case.threat, Lp):
        assert (better > before * (1 + 1e-6)).any()


@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(math.inf)])
def test_the_absolute_value_stays_below_a_fine_grid(threat: Lp) -> None:
    x = grid((6, 2), 2**-8, seed=73).abs().clamp(0, 1)
    m = model(AbsConcat, lambda: ConvexMLP(4, (6, 4)), x)().double().eval()
    cert = certify(m, x, threat, Box(0, 1), "tight")
    assert (cert.radius > 0).any()
    for row, radius, value in zip(x, cert.radius, cert.margin, strict=True):
        if value > 0:
            best = grid_radius(m, row, threat.p, reach=1.0, points=201, lo=0, hi=1)
            assert radius <= best * (1 + 1e-9)


@pytest.mark.parametrize("k", [1, 2])
def test_l0_and_patches_stay_below_brute_force(k: int) -> None:
    x = grid((8, 4), 2**-8, seed=74).abs().clamp(0, 1)
    m = model(Identity, lambda: ConvexMLP(4, (6, 4)), x)().double().eval()
    steps = torch.linspace(0, 1, 41, dtype=torch.float64)
    l0 = certify(m, x, L0(), Box(0, 1), "tight").radius
    patch = certify(m, x, Patch(k), Box(0, 1), "tight").radius
    for row in range(len(x)):
        for chosen in itertools.combinations(range(4), k):
            points = x[row].expand(41**k, 4).clone()
            points[:, list(chosen)] = torch.cartesian_prod(*[steps] * k).reshape(-1, k)
            with torch.no_grad():
                flipped = bool((m(points) <= 0).any())
            if flipped:
                assert l0[row] < k
                if chosen[-1] - chosen[0] == k - 1:
                    assert patch[row] == 0


# The slopes as numbers, for whoever checks them.


@pytest.mark.parametrize(
    ("threat", "domain"),
    [(Lp(1), Box(0, 1)), (Lp(2), Unbounded()), (Lp(math.inf), Box(0, 1)), (L0(), Box(0, 1))],
)
def test_the_choices_prove_the_radius(threat: Threat, domain: Domain) -> None:
    for make, x in (
        (model(Identity, lambda: ConvexMLP(5, (8, 6)), IN_BOX), IN_BOX),
        (model(Identity, lambda: ConvexMLP(5, (8, 6), activation="softplus:4"), IN_BOX), IN_BOX),
        (model(Identity, many, IN_BOX), IN_BOX),
    ):
        m = make().double().eval()
        problem = Problem(m, x, threat, domain, tangent(m, x))
        proof = Tight().minorants(problem)
        assert proof.choices is not None
        rounded = [part.float().double() for part in proof.choices]
        again = radius_of(problem, Relaxation(m).minorant(m.feature_map(x), rounded))
        sure = torch.isfinite(proof.bound.radius) & (proof.bound.radius > 0)
        if isinstance(threat, Lp):
            torch.testing.assert_close(again[sure], proof.bound.radius[sure], rtol=1e-4, atol=0)
        plain = Tight().bound(problem).radius
        assert (proof.bound.radius >= plain * (1 - 0.02)).all()


def test_no_rows() -> None:
    m = model(Identity, small, X)().double().eval()
    problem = Problem(m, X[:0], Lp(2), Unbounded(), tangent(m, X[:0]))
    assert len(Tight().bound(problem).radius) == len(Tight().proof(problem).bound.radius) == 0


def test_bad_options_are_refused() -> None:
    with pytest.raises(UserError, match="iterations"):
        Tight(iterations=-1)
    for tolerance in (-0.1, 1.0, 2.0):
        with pytest.raises(UserError, match="tolerance"):
            Tight(tolerance=tolerance)


def test_a_custom_network_needs_no_slopes_for_the_bracket() -> None:
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), NonNegativeLinear(4, 1), nn.Flatten(0))
    m = balanced(FeatureConvexModel(Identity(), net), X).double().eval()
    cert = certify(m, X, Lp(2), level="tight")
    sure = cert.status == Status.certified
    assert (1 - cert.radius[sure] / cert.upper[sure] <= 0.0101).all()
