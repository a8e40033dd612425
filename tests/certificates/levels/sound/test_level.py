"""Level ``sound``: radii that exact arithmetic, or the machine's own decision, cannot contradict."""

import copy
import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.certificates import Domain, Guarantee, Status, Threat
from featureconvex.certificates.levels.problem import Bound, Problem
from featureconvex.certificates.threats import L0, Patch
from featureconvex.errors import UserError
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import NonNegativeLinear
from featureconvex.rounding import directed
from featureconvex.testing.exact import ExactMargin

ARITHMETICS = ["real", "float32", "float64"]
NORMS = [1.0, 2.0, math.inf]
D = 6


def abs_map() -> FeatureMap:
    return Compose(Scale([0.5, -2.0, 1.0, 3.0, 0.1, 1.0], 0.1), AbsConcat())


MODELS: dict[str, tuple[Callable[[], FeatureMap], Callable[[], nn.Module]]] = {
    "mlp": (lambda: Center([0.3] * D), lambda: fc.nn.ConvexMLP(D, (12, 5))),
    "bn": (Identity, lambda: fc.nn.ConvexMLP(D, (12, 5), batch_norm=True)),
    "abs": (abs_map, lambda: fc.nn.ConvexMLP(2 * D, (8,), activation="leaky_relu:0.3")),
    "max affine": (Identity, lambda: fc.nn.MaxAffine(D, 7)),
}


def build(
    name: str, dtype: torch.dtype, seed: int = 0, n: int = 30
) -> tuple[fc.FeatureConvexModel, Tensor]:
    """A random model with half of the inputs sensitive."""
    torch.manual_seed(seed)
    make_map, make_net = MODELS[name]
    model = fc.FeatureConvexModel(make_map(), make_net()).to(dtype).eval()
    x = torch.rand(n, D).to(dtype)
    with torch.no_grad():
        model.tau -= model(x).median()
    return model, x


def radii(
    model: fc.FeatureConvexModel,
    x: Tensor,
    threat: Threat,
    domain: Domain | None = None,
    arithmetic: str = "real",
    base: str = "closed-form",
) -> np.ndarray:
    certificate = fc.certify(model, x, threat, domain, fc.levels.Sound(base, arithmetic))
    return np.asarray(certificate.radius)


COST = [1.0, 0.5, math.inf, 2.0, 1.0, 0.25]
THREATS = [
    *(fc.Lp(p) for p in (*NORMS, 1.5)),
    fc.Lp(2, COST),
    fc.Lp(1, COST),
    fc.Lp(math.inf, COST),
]
BOX = fc.Box(0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MODELS)
def test_never_above_the_level_it_rests_on_and_close_to_it(name: str, dtype: torch.dtype) -> None:
    model, x = build(name, dtype)
    for named, domain in itertools.product(("closed-form", "domain"), (None, BOX)):
        if named == "domain" and domain is None and name == "abs":
            continue
        extra: list[Threat] = [L0(), Patch(2)] if named == "domain" and domain else []
        for threat in [*THREATS, *extra]:
            base = fc.certify(model, x, threat, domain, named)
            for arithmetic in ARITHMETICS:
                cert = fc.certify(model, x, threat, domain, fc.levels.Sound(named, arithmetic))
                assert cert.guarantee is Guarantee.sound
                assert (cert.radius <= base.radius).all()
                ok = (base.margin > 1e-2) & np.isfinite(base.radius) & (base.radius > 0)
                if isinstance(threat, fc.Lp) and arithmetic == "real":
                    assert (cert.radius[ok] >= base.radius[ok] * (1 - 1e-3)).all()
                assert (cert.status[cert.radius > 0] != Status.not_sensitive).all()


@pytest.mark.parametrize("name", ["mlp", "abs", "max affine"])
def test_sound_on_tight_keeps_what_tight_wins(name: str) -> None:
    """The slopes of level ``tight`` are given numbers; their radius is never above tight's own."""
    model, x = build(name, torch.float64)
    for p, domain in itertools.product(NORMS, (None, BOX)):
        search = fc.levels.Tight(iterations=8)
        tight = fc.certify(model, x, fc.Lp(p), domain, search)
        plain = fc.certify(model, x, fc.Lp(p), level="domain", domain=domain).radius
        got = fc.certify(model, x, fc.Lp(p), domain, fc.levels.Sound(search)).radius
        assert (got <= tight.radius).all()
        ok = (tight.margin > 1e-2) & np.isfinite(tight.radius)
        assert (got[ok] >= np.minimum(plain, tight.radius)[ok] * (1 - 1e-3)).all()
        exact = ExactMargin(model)
        points = worst_points(model, x, torch.as_tensor(got).clamp(max=10), p)
        for row in np.flatnonzero(got > 0):
            point = points[row] if domain is None else points[row].clamp(0, 1)
            if budget_below(point, x[row], got[row], p):
                assert exact(point) > 0


def test_a_network_that_stalls_the_tangent_is_proved_by_slopes() -> None:
    """``u + 0.6 + 3 relu(2 relu(-u) - 1)`` is positive everywhere; its tangent at 1 proves 1.6."""
    net = fc.nn.ConvexMLP(1, (1, 1)).double()
    first, second, third = net.input_layers
    weights = [(first, -1.0), (second, 0.0), (third, 1.0)]
    with torch.no_grad():
        for layer, weight in weights:
            assert isinstance(layer, nn.Linear)
            layer.weight.fill_(weight)
        assert isinstance(first, nn.Linear)
        first.bias.zero_()
        for layer, weight, bias in zip(net.hidden_layers, (2.0, 3.0), (-1.0, 0.6), strict=True):
            assert isinstance(layer, NonNegativeLinear)
            layer.weight = torch.full((1, 1), weight, dtype=torch.float64)
            layer.bias.fill_(bias)
    model = fc.FeatureConvexModel(Identity(), net).eval()
    x = torch.ones(1, 1).double()
    assert radii(model, x, fc.Lp(2))[0] == pytest.approx(1.6)
    assert fc.certify(model, x, fc.Lp(2), level=fc.levels.Sound("tight")).radius[0] > 10


def test_the_loss_is_within_the_promise() -> None:
    model, x = build("mlp", torch.float64, n=400)
    for p, domain in itertools.product(NORMS, (None, BOX)):
        for named in ("closed-form", "domain"):
            base = fc.certify(model, x, fc.Lp(p), domain, named)
            got = radii(model, x, fc.Lp(p), domain, base=named)
            ok = (base.margin > 1e-3) & np.isfinite(base.radius)
            loss = 1 - got[ok] / base.radius[ok]
            assert np.median(loss) <= 1e-6
            assert np.quantile(loss, 0.99) <= 1e-3


def affine(seed: int, scale: float) -> tuple[fc.FeatureConvexModel, Tensor]:
    """``<w, x> + b``: the radius is a rational number."""
    torch.manual_seed(seed)
    net = fc.nn.MaxAffine(D, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.randn(1, D).double() * scale * 10 ** torch.randn(D).double())
        net.affine.bias.copy_(torch.randn(1))
    model = fc.FeatureConvexModel(Identity(), net, tau=0.1).eval()
    return model, torch.randn(8, D).double() / scale


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-100, 1.0, 1e100]))
def test_affine_radii_are_below_the_rational_truth(seed: int, scale: float) -> None:
    model, x = affine(seed, scale)
    exact = ExactMargin(model)
    weight = next(model.convex_net.parameters())[0]
    w = [abs(Fraction(v)) for v in weight.tolist()]
    for named in ("closed-form", "domain"):
        for p in NORMS:
            got = radii(model, x, fc.Lp(p), base=named)
            for row, radius in zip(x, got, strict=True):
                margin, r = exact(row), Fraction(radius)
                assert r == 0 or margin > 0
                if p == 2:
                    assert r**2 * sum(v**2 for v in w) <= max(margin, 0) ** 2
                else:
                    norm = max(w) if p == 1 else sum(w)
                    assert r * norm <= max(margin, Fraction(0))


def worst_points(
    model: fc.FeatureConvexModel,
    x: Tensor,
    radius: Tensor,
    p: float,
    exact_slope: Tensor | None = None,
) -> Tensor:
    """Where the tangent falls fastest at ``radius (1 - 1e-12)``: (n, d) float64, before any check."""
    wide = copy.deepcopy(model).double()
    z = x.double().clone().requires_grad_()
    (v,) = torch.autograd.grad(wide(z).sum(), z)
    if exact_slope is not None:
        v = exact_slope.expand_as(v)
    if p == 1:
        best = v.abs() == v.abs().amax(1, keepdim=True)
        step = torch.sign(v) * (best.cumsum(1).eq(1) & best)
    elif p == 2:
        step = v / v.norm(dim=1, keepdim=True).clamp_min(1e-300)
    else:
        step = torch.sign(v)
    return (x.double() - (radius * (1 - 1e-12)).unsqueeze(1) * step).detach()


def budget_below(point: Tensor, x: Tensor, radius: float, p: float) -> bool:
    """``||point - x||_p < radius``, decided in rational numbers."""
    moved = [
        abs(Fraction(a) - Fraction(b)) for a, b in zip(point.tolist(), x.tolist(), strict=True)
    ]
    if math.isinf(radius):
        return True
    r = Fraction(radius)
    if p == 2:
        return sum(m**2 for m in moved) < r**2
    return (sum(moved, Fraction(0)) if p == 1 else max(moved)) < r


def jitter(point: Tensor, dtype: torch.dtype, tries: int) -> list[Tensor]:
    """Neighbours of ``point`` a few units in the last place away, as floats of ``dtype``."""
    unit = 2.0**-23 if dtype == torch.float32 else 2.0**-52
    noise = torch.randint(-2, 3, (tries, *point.shape)) * unit
    return list((point * (1 + noise)).to(dtype))


def violations(
    model: fc.FeatureConvexModel,
    x: Tensor,
    arithmetic: str,
    level: str,
    p: float,
    tries: int = 4,
    exact_slope: Tensor | None = None,
) -> tuple[int, int]:
    """(points judged, points inside the radius that contradict it)."""
    chosen = fc.levels.Sound(arithmetic=arithmetic) if level == "sound" else level
    radius = fc.certify(model, x, fc.Lp(p), None, chosen).radius
    dtype = torch.float32 if arithmetic == "float32" else torch.float64
    exact = ExactMargin(model)
    machine = copy.deepcopy(model).to(dtype)
    points = worst_points(model, x, torch.as_tensor(radius).clamp(max=1e9), p, exact_slope)
    judged = wrong = 0
    for row in np.flatnonzero(radius > 0):
        for point in [x[row].to(dtype), *jitter(points[row], dtype, tries)]:
            if not torch.isfinite(point).all() or not budget_below(point, x[row], radius[row], p):
                continue
            judged += 1
            if arithmetic == "real":
                wrong += exact(point) <= 0
            else:
                with torch.no_grad():
                    wrong += not machine(point.unsqueeze(0)).item() > 0
    return judged, wrong


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["mlp", "max affine"])
def test_no_point_just_inside_contradicts_a_radius(
    name: str, dtype: torch.dtype, arithmetic: str
) -> None:
    total = 0
    for seed, p in itertools.product(range(2), NORMS):
        model, x = build(name, dtype, seed, n=12)
        # Some margins of a few roundings.
        with torch.no_grad():
            model.tau.add_(-model(x).sort().values[8] * (1 - 1e-7))
        judged, wrong = violations(model, x, arithmetic, "sound", p)
        total += judged
        assert wrong == 0
    assert total > 30


def cancelling(seed: int) -> tuple[fc.FeatureConvexModel, Tensor]:
    """Margins and slopes that are differences of numbers 1e16 times larger."""
    torch.manual_seed(seed)
    net = fc.nn.ConvexMLP(D, (40,), passthrough=False, activation="identity").double()
    first, last = net.input_layers[0], net.hidden_layers[0]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, NonNegativeLinear)
    with torch.no_grad():
        top = torch.rand(1, 40, dtype=torch.float64) * 1e8
        top[:, -1] = 1e8
        last.weight = top
        first.weight.copy_(torch.randn(40, D) * 1e8)
        first.bias.zero_()
        last.bias.zero_()
        first.weight[-1] = -(top[0, :-1] @ first.weight[:-1]) / 1e8
    # At 0 the margin is exactly tau; elsewhere it is rounding.
    model = fc.FeatureConvexModel(Identity(), net, tau=1.0).eval()
    return model, torch.cat((torch.zeros(2, D), torch.randn(6, D))).double()


def count_cancelling(level: str) -> int:
    wrong = 0
    for seed, p in itertools.product(range(6), NORMS):
        model, x = cancelling(seed)
        exact = ExactMargin(model)
        slope = [float(exact(e) - 1) for e in torch.eye(D, dtype=torch.float64)]
        found = violations(model, x, "real", level, p, exact_slope=torch.tensor(slope).double())
        wrong += found[1]
    return wrong


def test_rounding_breaks_the_closed_form_and_not_the_sound_level() -> None:
    assert count_cancelling("closed-form") > 0
    assert count_cancelling("sound") == 0


def test_a_planted_small_constant_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directed.Rounding, "gamma", lambda self, _: 1e-3 * self.unit)
    # "sound" is never above "closed-form", so the fault must show as violations.
    assert count_cancelling("sound") > 0


def deployed_trap(seed: int) -> tuple[fc.FeatureConvexModel, Tensor]:
    """Float32 margins whose sign is rounding: the exact margin is positive where the machine says no."""
    torch.manual_seed(seed)
    net = fc.nn.MaxAffine(60, 1)
    with torch.no_grad():
        net.affine.weight.normal_(0, 100)
    model = fc.FeatureConvexModel(Identity(), net).eval()
    x = torch.randn(40, 60)
    exact = ExactMargin(model)
    with torch.no_grad():
        model.tau.fill_(-float(exact(x[0])) + 1e-7)
    return model, x[:1]


def test_the_machine_decides_for_the_float_kinds() -> None:
    """Positive in exact arithmetic, negative in float32: certified as real, not as float32."""
    real, machine, flipped = [], [], 0
    for seed in range(40):
        model, x = deployed_trap(seed)
        with torch.no_grad():
            flipped += model(x).item() <= 0
        wide = copy.deepcopy(model).double()
        real.append(radii(wide, x.double(), fc.Lp(2))[0])
        machine.append(radii(wide, x.double(), fc.Lp(2), arithmetic="float32")[0])
    assert flipped > 5
    assert min(real) > 0
    assert max(machine) == 0


def test_a_model_is_converted_to_the_arithmetic_asked_for() -> None:
    """Float32 weights are float64 numbers, so a float32 model can be certified for a float64 machine."""
    model, x = build("mlp", torch.float32)
    wide = copy.deepcopy(model).double()
    a = radii(model, x, fc.Lp(2), arithmetic="float64")
    b = radii(wide, x.double(), fc.Lp(2), arithmetic="float64")
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert model.dtype == torch.float32


@pytest.mark.parametrize("threat", [L0(), Patch(2)])
@pytest.mark.parametrize("seed", range(3))
def test_l0_and_patches_by_brute_force(threat: Threat, seed: int) -> None:
    """Every corner of the box reachable with the certified budget, in rational numbers."""
    model, x = build("abs", torch.float64, seed, n=12)
    exact = ExactMargin(model)
    got = radii(model, x, threat, BOX, base="domain")
    base = fc.certify(model, x, threat, BOX, "domain").radius
    assert (got == base).mean() > 0.9
    kinks = [float(-0.1 / s) for s in (0.5, -2.0, 1.0, 3.0, 0.1, 1.0)]
    for row in np.flatnonzero(got > 0):
        size = min(int(min(got[row], D)), 2)
        sets = (
            list(itertools.combinations(range(D), size))
            if isinstance(threat, L0)
            else [(i, i + 1) for i in range(D - 1)]
        )
        for chosen in sets:
            for ends in itertools.product((0.0, 1.0, None), repeat=len(chosen)):
                point = x[row].clone()
                for i, end in zip(chosen, ends, strict=True):
                    point[i] = min(max(kinks[i], 0.0), 1.0) if end is None else end
                assert exact(point) > 0


def test_points_of_the_box_never_contradict_a_radius() -> None:
    """Random and extreme points of ball and box, judged in rational numbers."""
    for name, p in itertools.product(("mlp", "abs"), NORMS):
        model, x = build(name, torch.float64, 3, n=10)
        exact = ExactMargin(model)
        radius = radii(model, x, fc.Lp(p), BOX, base="domain")
        points = worst_points(model, x, torch.as_tensor(radius).clamp(max=10), p)
        for row in np.flatnonzero(radius > 0):
            for share in (1.0, 1.2, 2.0, 5.0):
                point = (x[row] + share * (points[row] - x[row])).clamp(0, 1)
                if budget_below(point, x[row], radius[row], p):
                    assert exact(point) > 0


def test_a_network_that_cannot_fall_is_unbounded() -> None:
    net = fc.nn.ConvexMLP(D, (4,), passthrough=False)
    with torch.no_grad():
        first = net.input_layers[0]
        assert isinstance(first, nn.Linear)
        first.bias.fill_(-100.0)
    model = fc.FeatureConvexModel(Identity(), net, tau=5.0)
    cert = fc.certify(model, torch.rand(2, D), fc.Lp(2), level="sound")
    assert (cert.radius == np.inf).all()
    assert (cert.status == Status.unbounded).all()
    # The machine's numbers overflow somewhere, so its promise ends.
    machine = radii(model, torch.rand(2, D), fc.Lp(2), arithmetic="float32")
    assert np.isfinite(machine).all()
    assert (machine > 1e6).all()
    assert (
        radii(model, torch.rand(2, D), fc.Lp(2), BOX, arithmetic="float32", base="domain") == np.inf
    ).all()


def test_statuses_shapes_and_batches() -> None:
    model, x = build("mlp", torch.float64)
    x = torch.cat(
        (x, torch.full((1, D), math.nan).double(), torch.full((1, D), 1e308, dtype=torch.float64))
    )
    whole = fc.certify(model, x, [fc.Lp(1), fc.Lp(2)], level="sound")
    for k, p in enumerate((1, 2)):
        alone = fc.certify(model, x, fc.Lp(p), level="sound", batch_size=3)
        np.testing.assert_allclose(whole[k].radius, alone.radius, rtol=1e-12)
        assert (whole[k].status == alone.status).all()
        assert whole[k].status[-2] == Status.non_finite
        assert whole[k].radius[-2] == 0
        assert not np.isnan(whole[k].radius).any()
    assert len(fc.certify(model, x[:0], fc.Lp(2), level="sound")) == 0


def test_a_level_below_zero_or_without_a_number_proves_nothing() -> None:
    """Where the deployed margin is rounding, an attack of level ``tight`` may flip the input itself."""
    model, x = build("mlp", torch.float64)

    class Broken(fc.levels.Domain):
        def bound(self, problem: Problem) -> Bound:
            base = super().bound(problem)
            radius = base.radius.clone()
            radius[::3], radius[1::3] = -1.0, math.nan
            return Bound.of(radius, base.minorant)

    expected = radii(model, x, fc.Lp(2), BOX, base="domain")
    got = fc.certify(model, x, fc.Lp(2), BOX, fc.levels.Sound(Broken())).radius
    assert (expected > 0).sum() > 10
    assert (got[::3] == 0).all()
    assert (got[1::3] == 0).all()
    np.testing.assert_array_equal(got[2::3], expected[2::3])


def test_unknown_options_are_refused() -> None:
    model, x = build("mlp", torch.float64)
    with pytest.raises(UserError, match="float16"):
        radii(model, x, fc.Lp(2), arithmetic="float16")
    with pytest.raises(UserError, match="thin air"):
        radii(model, x, fc.Lp(2), base="thin air")


def test_a_feature_map_without_rule_is_refused_by_name() -> None:
    class Same(Identity):
        pass

    class Mine(Identity):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1

        def lipschitz(self, p: float, s: float | None = None) -> float:
            return 1.0

        def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
            return super().sensitivity(v, p, cost)

        def pullback(self, v: Tensor) -> Tensor:
            return v

    x, net = torch.rand(2, D), fc.nn.MaxAffine(D, 2)
    radii(fc.FeatureConvexModel(Same(), net), x, fc.Lp(2))
    with pytest.raises(UserError, match=r"rounding rule for .*Mine"):
        radii(fc.FeatureConvexModel(Mine(), net), x, fc.Lp(2))


def test_the_closed_form_knows_lp_threats_only() -> None:
    model, x = build("mlp", torch.float64)
    with pytest.raises(UserError, match="L0"):
        radii(model, x, L0(), BOX, base="closed-form")


@pytest.mark.parametrize("cost", [None, COST], ids=["plain", "cost"])
@pytest.mark.parametrize("p", [1 + 1e-9, 1 + 1e-4, 1.001, 1.01, 1.04, 1.5, 20, 70, 1e3, 1e6, 1e200])
def test_a_proof_loses_little_at_any_exponent(p: float, cost: list[float] | None) -> None:
    """Where powers of an exponent say little, the nearest norm without powers does."""
    torch.manual_seed(3)
    model = fc.FeatureConvexModel(abs_map(), fc.nn.ConvexMLP(2 * D, (8, 4))).double().eval()
    x = torch.rand(30, D, dtype=torch.float64)
    with torch.no_grad():
        model.tau -= model(x).quantile(0.3)
    threat = fc.Lp(p, cost)
    for domain in (fc.Unbounded(), fc.Box(-3, 3)):
        level = fc.certify(model, x, threat, domain, "domain").radius
        proved = radii(model, x, threat, domain, base="domain")
        held = (level > 0) & np.isfinite(level)
        assert held.sum() > 10
        assert (proved[held] <= level[held]).all()
        assert (proved[held] >= 0.99 * level[held]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [2.0, 35.0])
def test_where_one_coordinate_decides_rounding_costs_only_rounding(
    p: float, dtype: torch.dtype
) -> None:
    """All others have nothing left to lose: the multiplier is about 0, and the linf ball is the proof."""
    net = fc.nn.MaxAffine(4, 1).to(dtype)
    with torch.no_grad():
        # The first falls to its kink and no further, the second, with -|x|, without an end.
        net.affine.weight.copy_(torch.tensor([[0.3, 0.1, 0.3, -1.0 / 3]]))
        net.affine.bias.fill_(1.0)
    model = fc.FeatureConvexModel(AbsConcat(), net).eval()
    x = torch.linspace(0.001, 0.01, 50, dtype=dtype)[:, None] * torch.ones(2, dtype=dtype)
    for domain in (fc.Unbounded(), fc.Box(-1e3, 1e3)):
        level = fc.certify(model, x, fc.Lp(p), domain, "domain").radius
        proved = radii(model, x, fc.Lp(p), domain, base="domain")
        assert (level > 1).all()
        assert (proved <= level).all()
        assert (proved >= level * (1 - (1e-4 if p == 2 else 2e-6))).all()
