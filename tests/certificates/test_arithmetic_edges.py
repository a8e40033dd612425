"""The edges of arithmetic: exponents, costs, boxes and margins of any size, and numbers that cancel.

Laws: no attack inside a radius; ``inf`` only where it is proved; a dearer cost or a smaller domain never
makes a radius smaller; radii scale with the costs; ``radius <= upper``; and a row that cannot be computed
has radius 0 and says so.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certificates.edge_cases import EdgeCase, max_affine, random_case
from torch import Tensor

import featureconvex.certificates.threats.ball.relative as relative
import featureconvex.certificates.threats.ball.worst_case as worst_case
from featureconvex import L0, Box, FeatureConvexModel, Lp, Status, Unbounded, certify
from featureconvex.certificates.drops import FAR, Drops, Rise
from featureconvex.certificates.levels import closed_form, domain_aware, lipschitz
from featureconvex.certificates.threats.ball.dual import penalised
from featureconvex.certificates.threats.ball.linf import largest_uniform_budget
from featureconvex.certificates.threats.ball.logarithms import budget_in_logs, multiplier_in_logs
from featureconvex.certificates.threats.ball.power import largest_concave_budget
from featureconvex.features import AbsConcat, Compose, Identity, MaxMin, Scattering
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import max_affine_radius

LEVELS = ("closed-form", "domain", "sound")
# What a law may cost, relative.
SLACK = {"closed-form": 1e-6, "domain": 1e-6, "sound": 1e-6}
SEEDS = st.integers(0, 2**32 - 1)


def violations(case: EdgeCase, level: str, seed: int) -> list[str]:
    """The laws that a case breaks at a level."""
    rng = np.random.default_rng(seed)
    found = case.certify(level)
    radius, slack, broken = found.radius[0], SLACK[level], []
    if not radius > 0:
        broken.append(f"no radius ({found.status[0]})")
    if level != "closed-form":
        far = 1e12 * case.cost[np.isfinite(case.cost)].max()
        budget = radius * (1 - 1e-9) if math.isfinite(radius) else far
        if case.worst(budget) < -1e-9 * (1e9 if case.x.dtype == torch.float32 else 1):
            broken.append(f"an attack inside {radius:.9g}")
        smaller = Box(*(_shrunk(case, end, rng) for end in (case.lo, case.hi)))
        inner = case.certify(level, domain=smaller).radius[0]
        if not inner >= radius * (1 - slack):
            broken.append(f"smaller domain {radius:.9g} -> {inner:.9g}")
    dearer = case.cost * 10.0 ** np.where(
        rng.random(2) < 0.5, 0, rng.uniform(0, rng.choice([1, 20]), 2)
    )
    after = case.certify(level, cost=dearer).radius[0]
    if not after >= radius * (1 - slack):
        broken.append(f"dearer {radius:.9g} -> {after:.9g}")
    scale = 2.0 ** int(rng.integers(-60, 60))
    scaled = case.certify(level, cost=case.cost * scale).radius[0]
    if math.isfinite(radius) and not abs(scaled / scale - radius) <= 1e-6 * radius:
        broken.append(f"scaling {radius:.9g} -> {scaled / scale:.9g}")
    return broken


def _shrunk(case: EdgeCase, end: Any, rng: np.random.Generator) -> Any:
    x = case.x.double().numpy()
    way = np.where(np.isfinite(end), end - x, np.sign(np.nan_to_num(end)) * 3)
    return x + way * rng.random(2)


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=40)
@given(seed=SEEDS, single=st.booleans())
def test_the_laws_hold_for_numbers_of_any_size(level: str, seed: int, single: bool) -> None:
    case = random_case(seed, torch.float32 if single else torch.float64)
    if case is not None:
        assert violations(case, level, seed) == []


# What is planted, and a case that shows it.
FAULTS: dict[str, tuple[Any, str, Any, int]] = {
    "powers of costs underflow": (
        lipschitz,
        "_by_shares",
        lambda p, room, costs, reach, s: lipschitz._by_powers(p, room, costs, reach, s, (2,)),
        55,
    ),
    "logarithms that overspend": (
        worst_case,
        "budget_in_logs",
        lambda slope, end, margin, p: 1.01 * budget_in_logs(slope, end, margin, p),
        34,
    ),
    "a dual that forgets what is left": (
        worst_case,
        "relative_dual_budget",
        lambda drops, margin, p, start: (
            relative.relative_dual_budget(drops, margin, p, start) * 1.01
        ),
        75,
    ),
    "a radius that forgets the box": (
        domain_aware,
        "closed_form_radius",
        lambda margin, slope: 1.01 * closed_form.radius(margin, slope),
        24,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_breaks_a_law(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    *planted, seed = FAULTS[fault]
    case = random_case(seed)
    assert case is not None
    assert violations(case, "domain", seed) == []
    monkeypatch.setattr(*planted)
    assert violations(case, "domain", seed)


@pytest.mark.parametrize("p", [1.1, 1.5, 2.0, 3.0, 10.0, 50.0])
def test_logarithms_find_the_budget_of_newtons_method(p: float) -> None:
    generator = torch.Generator().manual_seed(1)
    slope, end, part = torch.rand(3, 40, 7, generator=generator, dtype=torch.float64)
    slope, end = slope * (part > 0.2), torch.where(part > 0.8, FAR, end)
    margin = torch.minimum((slope * end).sum(1), torch.tensor(3.0)) * part[:, 0]
    drops = Drops((Rise(torch.zeros_like(end), end, slope),), (7,))
    found = budget_in_logs(slope, end, margin, p)
    torch.testing.assert_close(found, largest_concave_budget(drops, margin, p), rtol=2e-9, atol=0)
    # The multiplier proves the same budget.
    best = penalised(drops, lam := multiplier_in_logs(slope, end, found, p), p).best
    torch.testing.assert_close(((margin - best) / lam) ** (1 / p), found, rtol=1e-8, atol=0)
    tiny, huge = (
        budget_in_logs(slope * 1e150, end, margin, p),
        budget_in_logs(slope, end, margin, p),
    )
    assert bool((tiny <= huge).all())


@pytest.mark.parametrize("p", [1.0, 1.02, 1.5, 2.0, 1000.0])
@given(seed=SEEDS)
@settings(max_examples=6)
def test_a_relative_budget_is_proved_and_hardly_more_is(p: float, seed: int) -> None:
    """Of curves with kinks, concave or not: no bisection finds more."""
    generator = torch.Generator().manual_seed(seed)
    bend, length, slope, steeper = torch.rand(4, 6, 5, generator=generator, dtype=torch.float64)
    first = Rise(torch.zeros_like(bend), bend, slope)
    drops = Drops((first, Rise(bend, bend + length, 3 * steeper)), (5,))
    margin = drops.total().sum(1) * torch.rand(6, generator=generator, dtype=torch.float64)
    start = largest_uniform_budget(drops, margin, torch.ones(6, dtype=torch.bool))
    found = relative.relative_dual_budget(drops, margin, p, start)
    half, never = 0.5 * margin, torch.full_like(margin, -math.inf)

    def least(budget: torch.Tensor) -> torch.Tensor:
        return relative.least_bound(drops, budget, margin, p, half, never).value

    assert bool((found >= start).all())
    # Its own search ended at a bound at most 1e-10 below.
    assert bool(((least(found) < margin * (1 + 2e-10)) | (found == start)).all())
    more = found * (1 + 4e-9)
    assert bool(((least(more) > margin * (1 - 1e-9)) | (more > start * 5 ** (1 / p))).all())


TWICE = Compose(AbsConcat(), AbsConcat())


@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
@pytest.mark.parametrize(
    "threat",
    [Lp(100, cost=2e3), Lp(700, cost=3), Lp(2, cost=1e170), Lp(10, cost=1e33)],
    ids=lambda threat: f"{threat.p}-{float(threat.cost):g}",
)
def test_powers_of_large_costs_prove_nothing_by_underflow(level: str, threat: Lp) -> None:
    model = max_affine(np.array([[1.0, -2, 0.5, -1, 0.3, -0.7, 1, -0.2]]), np.array([0.5]), TWICE)
    x = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    found = certify(model, x, threat, Box(-2, 2), level)
    plain = certify(model, x, Lp(threat.p), Box(-2, 2), level)
    assert threat.cost is not None
    assert found.radius[0] == pytest.approx(plain.radius[0] * float(threat.cost), rel=1e-6)
    corners = torch.cartesian_prod(*[torch.tensor([-2.0, 2.0]).double()] * 2)
    assert bool((model(corners) <= 0).any())


def test_a_scattering_of_large_costs_is_not_unbounded() -> None:
    phi = Scattering((1, 4, 4), scales=1, orientations=2)
    outputs = math.prod(phi.output_shape((1, 4, 4)))
    weight = torch.randn(
        1, outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    net = torch.nn.Sequential(torch.nn.Flatten(), MaxAffine(outputs, pieces=1).double())
    with torch.no_grad():
        net[1].affine.weight.copy_(weight)  # type: ignore[union-attr,operator]
    model = FeatureConvexModel(phi, net, 4.0)
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for level in ("domain", "sound"):
        plain = certify(model, x, Lp(50), Box(-1e3, 1e3), level)
        dear = certify(model, x, Lp(50, cost=1e7), Box(-1e3, 1e3), level)
        assert (plain.radius > 0).any()
        np.testing.assert_allclose(dear.radius, plain.radius * 1e7, rtol=1e-6)


@pytest.mark.parametrize("level", ["closed-form", "domain", "tight", "sound"])
def test_a_cost_of_almost_nothing_costs_only_its_own_row(level: str) -> None:
    model = max_affine(np.array([[3.0, 4.0]]), np.array([1.0]), Identity())
    domain = None if level == "closed-form" else Box(-2, 2, immutable=[True, False])
    x = torch.zeros(1, 2, dtype=torch.float64)
    found = certify(model, x, Lp(2, cost=[1e-310, 1]), domain, level)
    if level == "closed-form":
        assert (found.radius[0], found.status[0]) == (0, Status.not_computed)
    else:
        assert found.radius[0] == pytest.approx(0.25)
        assert found.radius[0] <= 0.25


@pytest.mark.parametrize("p", [1.001, 1.01, 1.02, 499, 500, 1000])
@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
def test_extreme_exponents_are_near_their_limits(p: float, level: str) -> None:
    model = max_affine(np.array([[3.0, 4.0]]), np.array([1.0]), Identity())
    x = torch.tensor([[0.3, -0.2], [0.1, 0.1]], dtype=torch.float64)
    found = certify(model, x, Lp(p), Box(-1, 1), level)
    limit = certify(model, x, Lp(1 if p < 2 else math.inf), Box(-1, 1), "domain")
    np.testing.assert_allclose(found.radius, limit.radius, rtol=1e-2)
    assert not (found.upper < found.radius).any()


# Beyond [-1, 1] the kinks of ReLU only raise the margin: no attack exists, and level tight may prove it.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("activation", "level"),
    [
        ("relu", "closed-form"),
        ("relu", "domain"),
        ("leaky_relu:1", "closed-form"),
        ("leaky_relu:1", "domain"),
        ("leaky_relu:1", "tight"),
    ],
)
@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(math.inf)])
def test_slopes_that_cancel_prove_no_infinite_radius(
    activation: str, level: str, threat: Lp, dtype: torch.dtype
) -> None:
    lost = 2.0**-30 if dtype == torch.float32 else 2.0**-60
    net = ConvexMLP(1, (3,), activation=activation).to(dtype)
    with torch.no_grad():
        net.input_layers[0].weight.copy_(torch.tensor([[1.0], [-1.0], [-lost]]))  # type: ignore[operator]
        net.input_layers[0].bias.fill_(1.0)  # type: ignore[operator]
        net.input_layers[1].weight.zero_()  # type: ignore[operator]
        net.hidden_layers[0].bias.zero_()  # type: ignore[operator]
        net.hidden_layers[0].parametrizations.weight.original.fill_(1.0)  # type: ignore[union-attr,operator]
    model = FeatureConvexModel(Identity(), net)
    # Inside [-1, 1] the exact slope is -lost.
    found = certify(model, torch.zeros(1, 1, dtype=dtype), threat, Unbounded(), level)
    assert found.status[0] == Status.certified
    assert found.radius[0] <= 3 / lost


def test_a_network_without_any_slope_is_still_unbounded() -> None:
    for dtype in (torch.float32, torch.float64):
        net = ConvexMLP(3, (4, 4)).to(dtype)
        with torch.no_grad():
            net.input_layers[0].bias.fill_(-100)  # type: ignore[operator]
            for k in (1, 2):
                net.input_layers[k].weight.zero_()  # type: ignore[operator]
        model = FeatureConvexModel(Identity(), net, 5.0)
        for level in ("closed-form", "domain"):
            found = certify(model, torch.rand(2, 3, dtype=dtype), level=level)
            assert (found.status == Status.unbounded).all()


@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
def test_a_float32_model_takes_costs_beyond_float32(level: str) -> None:
    model = max_affine(np.array([[3.0, 4.0]]), np.array([1.0]), Identity(), torch.float32)
    found = certify(model, torch.zeros(1, 2), Lp(2, cost=[1e39, 1e39]), Box(-1, 1), level)
    assert found.radius[0] == pytest.approx(2e38, rel=1e-6)
    assert math.isnan(found.upper[0]) or 2e38 * (1 - 1e-9) <= found.upper[0] <= 2.1e38


@pytest.mark.parametrize("level", ["closed-form", "domain", "tight", "sound"])
def test_kinks_take_costs_beyond_any_use(level: str) -> None:
    model = max_affine(np.array([[3.0, 4, 1, -1]]), np.array([1.0]), AbsConcat())
    x = torch.tensor([[0.1, 0.2]], dtype=torch.float64)
    domain = None if level == "closed-form" else Box(-1, 1)
    plain = certify(model, x, Lp(2), domain, level)
    for cost in (1e-60, 1e60):
        found = certify(model, x, Lp(2, cost=[cost, cost]), domain, level)
        assert found.radius[0] == pytest.approx(plain.radius[0] * cost, rel=1e-6)


@pytest.mark.parametrize("p", [1, 1.3, 1.5, 2, 3, 6, math.inf])
@pytest.mark.parametrize("tau", [1e-3, 0.0, -1e-3])
@pytest.mark.parametrize("domain", [Unbounded(), Box(-3, 3)], ids=["free", "box"])
def test_a_flat_minimum_neither_stalls_nor_proves_too_much(
    p: float, tau: float, domain: Any
) -> None:
    weight = np.array([[1.0, 5.0], [0, 0], [0.5, -1]])
    model = max_affine(weight, np.array([5.2, 0, 1.0]), Identity())
    model.tau += tau
    found = certify(model, torch.zeros(1, 2, dtype=torch.float64), Lp(p), domain, "tight")
    if tau > 0:
        assert found.status[0] == Status.unbounded
        return
    if p in (1, 2, math.inf):
        ends = (
            (None, None) if isinstance(domain, Unbounded) else (np.full(2, -3.0), np.full(2, 3.0))
        )
        exact = max_affine_radius(weight, np.array([5.2, 0, 1.0]) + tau, p, None, *ends)
        assert 0.985 * exact <= found.radius[0] <= exact * (1 + 1e-9)
    assert found.radius[0] >= 0.96 * found.upper[0]


def test_no_radius_is_above_the_attack_that_flips() -> None:
    for seed in range(12):
        torch.manual_seed(seed)
        model, x = FeatureConvexModel(Identity(), MaxAffine(5, pieces=1)), torch.rand(50, 5)
        with torch.no_grad():
            model.tau -= model(x).quantile(0.3)
        found = certify(model, x, Lp(1), Box(0, 1), "tight")
        assert not (found.upper < found.radius).any()


@pytest.mark.parametrize("spec", ["celu:1000000", "celu:1000", "softplus:1e36", "softplus:1e-6"])
def test_lines_below_activations_of_any_scale_stay_below(spec: str) -> None:
    from featureconvex.nn.activations import activation
    from featureconvex.nn.card import card_of

    module = activation(spec)
    minorants = card_of(module).minorants(module)
    assert minorants is not None
    z = torch.linspace(-2, 2, 41)
    choice = minorants.tangent(z)
    line = minorants.line(z[:, None], choice)
    wide = module(z[:, None].double())
    # Only the rounding of one product and one sum of numbers of this size.
    size = 1 + (0.0 if "celu" in spec or "1e36" in spec else 1e6)
    assert bool((line <= wide + 4e-7 * size).all())
    touching = line.diagonal() if line.ndim == 2 else line
    torch.testing.assert_close(touching, module(z), rtol=0, atol=4e-7 * size)


def test_softplus_has_no_nan_where_its_product_overflows() -> None:
    from featureconvex.nn.activations import Softplus

    for beta in (1e36, 1e39):
        x = torch.tensor([-1e38, -1e3, 0.0, 1e3, 1e38], requires_grad=True)
        out = Softplus(beta)(x)
        torch.testing.assert_close(out.detach(), x.detach().clamp_min(0), rtol=1e-6, atol=1e-30)
        (slope,) = torch.autograd.grad(out.sum(), x)
        assert bool(((slope >= 0) & (slope <= 1)).all())


@pytest.mark.parametrize("level", ["closed-form", "domain", "tight", "sound"])
def test_a_row_that_overflows_leaves_the_others_alone(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = max_affine(np.array([[3.0, 4.0]]), np.array([10.0]), Identity())
    x = torch.tensor([[0.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    real: Callable[..., Tensor | None] = Lp.steepness

    def overflows(*arguments: Any) -> Tensor:
        found = real(*arguments)
        assert found is not None
        return (
            found.index_fill(0, torch.tensor([0]), torch.nan)
            if len(found) == 2
            else found * torch.nan
        )

    monkeypatch.setattr(Lp, "steepness", overflows)
    if level != "closed-form":
        budget = Lp.certified
        monkeypatch.setattr(
            Lp,
            "certified",
            lambda self, drops, margin: budget(self, drops, margin)._replace(
                budget=budget(self, drops, margin).budget.where(margin < 8, 0.0)
            ),
        )
    found = certify(model, x, Lp(2), None, level)
    assert (found.radius[0], found.status[0]) == (0, Status.not_computed)
    assert found.status[1] == Status.certified
    assert found.radius[1] > 0


def test_counts_take_slopes_of_any_size() -> None:
    model = max_affine(np.array([[3.0, 4.0]]) * 1e250, np.array([10.0]) * 1e250, Identity())
    x = torch.zeros(1, 2, dtype=torch.float64)
    assert certify(model, x, L0(), Box(-2, 2), "domain").radius[0] == 1


@settings(max_examples=60)
@given(seed=SEEDS, bits=st.integers(3, 52), boxed=st.booleans())
def test_exponents_just_above_1_prove_no_more_than_1(seed: int, bits: int, boxed: bool) -> None:
    """``||z||_p <= ||z||_1``: a radius in l_p is none above that in l1, however near p is."""
    rng, p = np.random.default_rng(seed), 1 + 2.0**-bits
    features = int(rng.integers(1, 9))
    net = MaxAffine(features, pieces=1).double()
    weight = rng.normal(size=features) * 10.0 ** rng.uniform(-4, 4, features)
    net.affine.weight.data.copy_(torch.from_numpy(weight)[None])
    net.affine.bias.data.fill_(1.0)
    model = FeatureConvexModel(Identity(), net)
    x = torch.zeros(1, features, dtype=torch.float64)
    cost = 10.0 ** rng.uniform(-4, 4, features)
    box = Box(-(10.0 ** rng.uniform(-3, 3, features)), 10.0 ** rng.uniform(-3, 3, features))
    domain = box if boxed else Unbounded()
    for level in ("closed-form", "domain", "tight"):
        near, limit = (certify(model, x, Lp(q, cost=cost), domain, level).radius[0] for q in (p, 1))
        assert near <= limit * (1 + 1e-9), level
        # And hardly less: ``||z||_1 <= n^(1 - 1 / p) ||z||_p``.
        if level != "closed-form" and math.isfinite(limit):
            assert near >= limit * features ** (1 / p - 1) * (1 - 1e-6), level


@settings(max_examples=40)
@given(seed=SEEDS, bits=st.integers(3, 51))
def test_exponents_just_above_that_of_a_constant_prove_no_more(seed: int, bits: int) -> None:
    rng, features = np.random.default_rng(seed), 6
    net = MaxAffine(features, pieces=1).double()
    net.affine.weight.data.copy_(torch.from_numpy(rng.normal(size=features))[None])
    net.affine.bias.data.fill_(1.0)
    model = FeatureConvexModel(MaxMin(), net)
    x = torch.from_numpy(rng.normal(size=(1, features)) / 10)
    cost = 10.0 ** rng.uniform(-4, 4, features)
    box = Box(x[0].numpy() - 10.0 ** rng.uniform(-2, 2, features), x[0].numpy() + 1.0)
    for domain in (Unbounded(), box):
        near, limit = (
            certify(model, x, Lp(q, cost=cost), domain, "domain").radius[0]
            for q in (2 * (1 + 2.0**-bits), 2)
        )
        assert near <= limit * (1 + 1e-9)
