"""Logarithms of counts under operations on files, against what the logarithm really does."""

import itertools
import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.certificates.threats.test_files import FORMS, THREATS, attacked_by_hand

import featureconvex as fc
from featureconvex.certificates.threats import FileThreat
from featureconvex.features import Compose, Log1p, Scale
from featureconvex.features import logarithm as module
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing.certificate import balanced

getcontext().prec = 60
COUNTS = st.one_of(st.integers(0, 40), st.integers(0, 2**40))


def changed(x: int, t: int, way: int) -> Decimal:
    """How far the logarithm of a count moves, to 60 digits."""
    after = max(0, x + way * t)
    return way * (Decimal(1 + after).ln() - Decimal(1 + x).ln())


def bound(x: int, t: int, way: int) -> Decimal:
    """What the stretches say, in exact arithmetic."""
    total, start = Decimal(0), Decimal(0)
    for end, slope in Log1p().stretches(torch.tensor([[x]]).double(), way):
        stop = min(Decimal(float(end)), Decimal(t))
        if stop > start:
            total += Decimal(float(slope)) * (stop - start)
            start = stop
    return total


@pytest.mark.parametrize("way", [1, -1])
@given(x=COUNTS, t=COUNTS, sharp=st.booleans())
def test_stretches_are_upper_bounds_and_near(x: int, t: int, sharp: bool, way: int) -> None:
    if sharp:  # the end of a stretch, where errors of rounding would show
        ends = [float(end) for end, _ in Log1p().stretches(torch.tensor([[x]]).double(), way)]
        t = int(ends[t % (len(ends) - 1)]) + t % 3
    t = t if way > 0 else min(t, x)
    truth, said = changed(x, t, way), bound(x, t, way)
    assert said >= truth
    if (1 + x + t) / (1 + x) < 4.0**9 and x < 4.0**13:
        assert said <= truth + Decimal("0.8")


def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UP", "DOWN"):
        for way in (1, -1):
            with monkeypatch.context() as patched:
                patched.setattr(module, name, 1 - 1e-3 if name == "UP" else 1 + 1e-3)
                failed = [
                    bound(x, t, way) < changed(x, t, way)
                    for x in (0, 3, 50, 1000, 10**6)
                    for t in {*range(1, 50), *np.geomspace(1, 10**6, 200).astype(int).tolist()}
                    if way > 0 or t <= x
                ]
            # Ends matter where the slope rises after them; slopes both ways.
            assert any(failed) == (name == "UP" or way < 0)


def linear(weights: list[float], scale: list[float], bias: float) -> fc.FeatureConvexModel:
    net = MaxAffine(len(weights), pieces=1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([weights]).double())
        net.affine.bias.fill_(bias)
    return fc.FeatureConvexModel(Compose(Log1p(), Scale(scale)), net).double().eval()


@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
def test_one_steep_byte_is_nearly_exact(level: str) -> None:
    """k bytes of one value: ``log((1 + x + k) / (1 + x)) < margin``."""
    for x, margin in ((0.0, 2.0), (20.0, 6.0)):
        model = linear([-1.0, 0.5], [1.0, 1.0], margin + math.log1p(x))
        row = torch.tensor([[x, 0.0]]).double()
        truth = math.ceil((1 + x) * math.expm1(margin)) - 1
        found = fc.certify(model, row, fc.Append(), level=level).radius[0]
        assert 0.75 * truth <= found <= truth
        # Nothing like the line that the steepest slope draws.
        assert margin < 1 or found > 1.5 * (1 + x) * margin


THREATS_AND_MOST: list[tuple[FileThreat, int]] = [
    (fc.Append(), 6),
    (fc.Insert(2), 3),
    (fc.Change(), 3),
    (fc.Slack(2), 2),
]


@pytest.mark.parametrize("level", ["domain", "sound"])
@pytest.mark.parametrize(("threat", "most"), THREATS_AND_MOST, ids=lambda one: str(one))
@given(seed=st.integers(0, 10**6))
def test_never_more_than_enumeration_allows(
    threat: FileThreat, most: int, level: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.integers(0, 7, (1, 3)).astype(float))
    phi = Compose(Log1p(), Scale(rng.uniform(0.3, 2, 3).tolist(), rng.normal(size=3).tolist()))
    net = ConvexMLP(3, (5,)).double() if rng.random() < 0.5 else MaxAffine(3, pieces=2).double()
    model = fc.FeatureConvexModel(phi, net).double().eval()
    up, down = threat.up * most + threat.once, threat.down * most + threat.once
    every = torch.tensor(list(itertools.product(range(-down, up + 1), repeat=3))).double()
    every = every[(x + every >= 0).all(1)]
    needed = threat.measure(every)
    with torch.no_grad():
        margins = model(x + every) - model.tau
        # As many as some move leaves a little of.
        goal = int(rng.integers(0, most + 1))
        model.tau.fill_(float(1e-6 - margins[needed <= goal].min()))
        flips = needed[model(x + every) <= 0]
    radius = float(fc.certify(model, x, threat, level=level).radius[0])
    truth = float(flips.min()) - 1 if len(flips) else most
    assert min(radius, most) <= truth


@pytest.mark.parametrize("kind", THREATS)
def test_files_really_manipulated_at_level_sound(kind: type[FileThreat]) -> None:
    for form in FORMS[:2]:
        assert attacked_by_hand(kind, form, "log1p", "sound") >= 70


def test_level_tight_and_other_threats() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.poisson(4, (8, 6)).astype(float))
    torch.manual_seed(0)
    net = ConvexMLP(6, (8, 4))
    model = balanced(fc.FeatureConvexModel(Compose(Log1p(), Scale(1.5)), net), x).double()
    with torch.no_grad():
        model.tau += model(x).std()
    base, tight = (fc.certify(model, x, fc.Append(), level=level) for level in ("domain", "tight"))
    assert (tight.radius >= base.radius).all()
    found = fc.attack(model, x, fc.Append())
    both = found.found & (tight.radius > 0)
    assert (found.distance[both] > tight.radius[both]).all()
    for threat in (fc.Lp(1), fc.Lp(2), fc.Lp(math.inf)):
        plain = fc.certify(model, x, threat)
        sound = fc.certify(model, x, threat, fc.Box(0, 100), "sound")
        assert (sound.radius >= plain.radius * (1 - 1e-6)).all()
