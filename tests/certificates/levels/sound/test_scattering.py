"""Level ``sound`` after a scattering transform: the default model for colour images."""

import itertools
import math
from dataclasses import replace

import flint
import numpy as np
import pytest
import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import Domain, Guarantee, Threat
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.levels.sound import sound_line
from featureconvex.certificates.levels.sound.movement import radius_of_movement
from featureconvex.certificates.minorant import tangent
from featureconvex.certificates.threats import L0, Patch
from featureconvex.features import Center, Compose, Scale, Scattering
from featureconvex.features.scattering import step
from featureconvex.features.scattering.constants import constants_of
from featureconvex.testing import reference_attack
from featureconvex.testing.exact import ExactMargin

NORMS = (1.0, 2.0, 3.0, math.inf)
BOX = fc.Box(0, 1)


def colour_model(shape: tuple[int, int, int] = (3, 16, 16), n: int = 60) -> fc.FeatureConvexModel:
    """The default architecture for colour images, untrained, with half of random images sensitive."""
    torch.manual_seed(0)
    phi = Scattering(shape, scales=3, orientations=4)
    u = phi(images(shape, n))
    net = fc.nn.ConvexMLP(u[0].numel(), (64, 16))
    model = fc.FeatureConvexModel(Compose(phi, Center(u.mean(0))), net).eval()
    with torch.no_grad():
        model.tau -= model(images(shape, n)).median()
    return model


def images(shape: tuple[int, int, int], n: int) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))


def test_the_loss_is_within_the_promise() -> None:
    model, x = colour_model(), images((3, 16, 16), 30)
    for p, domain, base in itertools.product(NORMS, (None, BOX), ("closed-form", "domain")):
        below = fc.certify(model, x, fc.Lp(p), domain, base)
        cert = fc.certify(model, x, fc.Lp(p), domain, fc.levels.Sound(base))
        assert cert.guarantee is Guarantee.sound
        assert (cert.radius <= below.radius).all()
        ok = (below.margin > 1e-3) & np.isfinite(below.radius)
        loss = 1 - cert.radius[ok] / below.radius[ok]
        assert np.median(loss) <= 1e-6
        assert np.quantile(loss, 0.99) <= 1e-3


def test_float_kinds_lose_what_the_transform_may_round() -> None:
    model, x = colour_model(), images((3, 16, 16), 60)
    with torch.no_grad():
        model.tau += 0.5
    base = fc.certify(model, x, fc.Lp(2)).radius
    double = fc.certify(model, x, fc.Lp(2), level=fc.levels.Sound(arithmetic="float64")).radius
    single = fc.certify(model, x, fc.Lp(2), level=fc.levels.Sound(arithmetic="float32")).radius
    assert (double >= base * (1 - 1e-6)).all()
    assert (single <= double).all()
    assert (single >= 0.5 * base).all()


@pytest.mark.parametrize("threat", [L0(), L0("pixels"), Patch(2), Patch(5)])
def test_counts_and_windows_keep_what_the_level_before_has(threat: Threat) -> None:
    model, x = colour_model(), images((3, 16, 16), 60)
    with torch.no_grad():
        model.tau += 8
    base = fc.certify(model, x, threat, BOX, "domain").radius
    cert = fc.certify(model, x, threat, BOX, "sound").radius
    assert (base > 0).any()
    assert (cert <= base).all()
    assert (cert == base).mean() > 0.9


COST = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(2)).double() + 0.5
COST[0, 3] = math.inf
EVERY: list[tuple[Threat, Domain]] = [
    *((fc.Lp(p, cost), BOX) for p in (1, 1.5, 2, 3, math.inf) for cost in (None, COST)),
    *((fc.Lp(p), fc.Box(0, 1, direction=1)) for p in (1, 2, math.inf)),
    (fc.Lp(2), fc.Unbounded()),
    (L0(), BOX),
    (Patch(3), BOX),
]


@pytest.mark.parametrize("arithmetic", ["real", "float32", "float64"])
def test_no_attack_contradicts_a_radius(arithmetic: str) -> None:
    torch.manual_seed(3)
    phi = Compose(Scale(1.5, -0.2), Scattering((1, 8, 8), 2, 3))
    model = fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(64, (8,)))
    x = images((1, 8, 8), 12)
    with torch.no_grad():
        model.tau -= model(x).min() - 0.05
    promised = 0
    for threat, domain in EVERY:
        base = fc.certify(model, x, threat, domain, "domain").radius
        cert = fc.certify(model, x, threat, domain, fc.levels.Sound(arithmetic=arithmetic))
        radius = torch.as_tensor(cert.radius)
        assert bool((radius <= torch.as_tensor(base)).all())
        budget = radius.clamp(max=1e3) * (1 - 1e-9 if isinstance(threat, fc.Lp) else 1)
        found = reference_attack(model, x, threat, budget, domain, steps=15, restarts=2)
        assert bool((found.margin[radius > 0] > 0).all())
        promised += int((radius > 0).sum())
    assert promised > 100


def averaging(weight: Tensor) -> tuple[fc.FeatureConvexModel, Tensor]:
    """``<weight, averages of x> + 1`` with orthonormal averages: in l2 the constant is the truth."""
    phi = Scattering((1, 8, 8), 2, 1, order=0)
    net = fc.nn.MaxAffine(4, 1).double()
    with torch.no_grad():
        net.affine.weight.copy_(weight.view(1, 4))
        net.affine.bias.zero_()
    model = fc.FeatureConvexModel(phi, net, tau=1.0).eval()
    return model, torch.zeros(1, 1, 8, 8, dtype=torch.float64)


def overreaching(p: float, weight: Tensor) -> tuple[float, float]:
    """What the route proves when nothing caps it, and the largest radius that exact numbers allow."""
    model, x = averaging(weight)
    # The map is linear: its columns are images of unit vectors, right to 1e-14.
    columns = model.feature_map(torch.eye(64, dtype=torch.float64).view(64, 1, 8, 8)).flatten(1)
    dual = {1.0: math.inf, 2.0: 2.0, math.inf: 1.0}[p]
    truth = 1 / float(torch.linalg.vector_norm(columns @ weight.double(), dual))
    problem = Problem(model, x, fc.Lp(p), fc.Unbounded(), tangent(model, x))
    line = sound_line(model, x)
    candidates = [scale * truth for scale in (0.5, 1.0, 1 + 1e-6, 10.0)]
    found = [
        float(radius_of_movement(replace(problem), line, torch.tensor([c]).double()))
        for c in candidates
    ]
    return max(found), truth


WEIGHTS = [torch.ones(4), torch.tensor([1.0, 0, 0, 0]), torch.tensor([3.0, -1, 0.5, 2])]


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("weight", WEIGHTS, ids=["ones", "one", "mixed"])
def test_the_route_alone_is_never_above_the_truth(p: float, weight: Tensor) -> None:
    found, truth = overreaching(p, weight)
    assert 0 < found <= truth * (1 + 1e-12)
    if p == 2:
        # Filters are rounded to float32, so their rows are orthonormal up to that.
        assert found >= truth * (1 - 1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e-120, 1e120, 1e300])
def test_numbers_that_over_or_underflow_prove_nothing_too_large(scale: float) -> None:
    """The margin is 1 and the slope is scaled, so the true radius is, too, the other way."""
    _, truth = overreaching(2.0, WEIGHTS[2])
    model, x = averaging(WEIGHTS[2].double() * scale)
    line = sound_line(model, x)
    costs = torch.full((1, 8, 8), 0.25, dtype=torch.float64)
    for p, cost in itertools.product((1.0, 2.0, 3.0, 50.0, math.inf), (None, costs)):
        threat = fc.Lp(p, cost)
        problem = Problem(model, x, threat, fc.Unbounded(), tangent(model, x))
        for candidate in (1e-320, 1e-100, 1.0, 1e100, 1e308):
            found = radius_of_movement(problem, line, torch.tensor([candidate]).double())
            # The steepest move in l2, in the threat's units: nothing larger can be right.
            dearer = 64 ** max(0.0, 1 / p - 0.5) * (1.0 if cost is None else 0.25)
            assert float(found) <= truth / scale * dearer * (1 + 1e-9)


def test_a_constant_one_percent_too_small_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(*args: object) -> object:
        constant = constants_of(*args)  # type: ignore[arg-type]
        return lambda p: 0.99 * constant(p)

    monkeypatch.setattr(step, "constants_of", small)
    found, truth = overreaching(2.0, WEIGHTS[0])
    assert found > truth * (1 + 1e-3)


def test_a_point_just_inside_keeps_its_class_in_ball_arithmetic() -> None:
    """The steepest direction of a linear model, up to the last digits of the radius."""
    for weight in WEIGHTS:
        model, x = averaging(weight)
        cert = fc.certify(model, x, fc.Lp(2), level="sound")
        columns = model.feature_map(torch.eye(64, dtype=torch.float64).view(64, 1, 8, 8)).flatten(1)
        steepest = columns @ weight.double()
        point = x[0] - (cert.radius[0] * (1 - 1e-12) * steepest / steepest.norm()).view(1, 8, 8)
        with flint.ctx.workprec(200):
            margin = ExactMargin(model, flint.arb)(point)
        assert margin > 0
        assert float(margin.mid()) < 1e-5


def test_on_tight_slopes() -> None:
    model, x = colour_model(), images((3, 16, 16), 8)
    with torch.no_grad():
        model.tau += 0.3
    tight = fc.levels.Tight(iterations=4)
    for p in (1.0, 2.0):
        base = fc.certify(model, x, fc.Lp(p), BOX, tight).radius
        cert = fc.certify(model, x, fc.Lp(p), BOX, fc.levels.Sound(tight)).radius
        plain = fc.certify(model, x, fc.Lp(p), BOX, "domain").radius
        assert (cert <= base).all()
        assert (cert >= np.minimum(plain, base) * (1 - 1e-3)).all()
