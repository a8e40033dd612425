"""Threats to files at level ``sound``, against enumeration in rational numbers."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certificates.threats.test_files import FORMS, a_model, attacked_by_hand, contents
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates.levels.sound.fall import RoundedCurves
from featureconvex.certificates.threats import FileThreat
from featureconvex.certificates.threats.files import threat as module
from featureconvex.features import AbsConcat, Center, Compose, Identity, Scale
from featureconvex.nn import MaxAffine
from featureconvex.testing.exact import ExactMargin

# Three counts, and so many operations of each kind at most.
D = 3
THREATS: list[tuple[FileThreat, int]] = [
    (fc.Append(), 4),
    (fc.Insert(2), 2),
    (fc.Change(), 3),
    (fc.Change(2), 1),
]
MAPS: dict[str, Callable[[], fc.features.FeatureMap]] = {
    "identity": Identity,
    "center": lambda: Center([0.7, 1.3, 2.1]),
    "absolute": lambda: Compose(Scale([0.3, -0.7, 1.1], [0.1, -0.9, 1.3]), AbsConcat()),
}


def reachable(threat: FileThreat, most: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Every change of the counts by up to so many operations, and how many it needs: (m, d), (m,)."""
    down, up = threat.down * most, threat.up * most
    every = torch.tensor(list(itertools.product(range(-down, up + 1), repeat=D))).double()
    needed = threat.measure(every)
    fits = (needed <= most) & (x + every >= 0).all(1)
    return every[fits], needed[fits]


def on_the_edge(
    phi: str, threat: FileThreat, most: int, seed: int
) -> tuple[fc.FeatureConvexModel, Tensor, float]:
    """A model with a margin of almost nothing after some number of operations; and how many it survives.

    Large counts of which the terms cancel: the margin has lost its last digits.
    """
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.integers(0, 5, (1, D)).astype(float))
    x[0, int(rng.integers(D))] += float(2 ** int(rng.integers(0, 31)))
    features = MAPS[phi]()
    width = features(x).shape[1]
    net = MaxAffine(width, pieces=int(rng.integers(1, 4))).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.from_numpy(rng.normal(size=net.affine.weight.shape)))
    model = fc.FeatureConvexModel(features, net).double().eval()
    delta, needed = reachable(threat, most, x[0])
    exact = ExactMargin(model)
    falls = [exact(x[0] + row) for row in delta]
    goal = int(rng.integers(0, most + 1))
    edge = min(fall for fall, cost in zip(falls, needed, strict=True) if cost <= goal)
    # tau begins at 0.
    tau = float(-edge)
    for _ in range(int(rng.integers(0, 3))):
        tau = float(np.nextafter(tau, np.inf if rng.random() < 0.5 else -np.inf))
    model.tau.fill_(tau)
    lost = [
        int(cost) for fall, cost in zip(falls, needed, strict=True) if fall + Fraction(tau) <= 0
    ]
    return model, x, float(min(lost, default=most + 1) - 1)


def never_above(phi: str, threat: FileThreat, most: int, seed: int, level: Any = "sound") -> float:
    model, x, truth = on_the_edge(phi, threat, most, seed)
    radius = float(fc.certify(model, x, threat, level=level).radius[0])
    # Beyond what was enumerated there is no truth.
    assert min(radius, most) <= max(truth, 0.0), (radius, truth)
    return radius


@pytest.mark.parametrize("phi", MAPS)
@pytest.mark.parametrize(("threat", "most"), THREATS, ids=lambda one: str(one))
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_never_above_the_truth(phi: str, threat: FileThreat, most: int, seed: int) -> None:
    never_above(phi, threat, most, seed)


def several(phi: str, threat: FileThreat, most: int) -> None:
    for seed in range(10):
        never_above(phi, threat, most, seed)


@pytest.mark.parametrize("phi", MAPS)
def test_tight_as_the_base(phi: str) -> None:
    for seed in range(4):
        never_above(phi, *THREATS[2], seed, fc.levels.Sound(fc.levels.Tight(iterations=3)))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("phi", ["identity", "absolute", "log1p", "learned"])
@pytest.mark.parametrize("kind", [fc.Append, fc.Insert, fc.Change])
def test_close_below_the_level_it_rests_on(kind: type[FileThreat], phi: str, form: Any) -> None:
    files = contents(np.random.default_rng(3))
    x = torch.from_numpy(np.array([form(content) for content in files]))
    model, threat = a_model(form, phi, x, 1), kind(form.ngram)
    base = fc.certify(model, x, threat, level="domain").radius
    assert (base > 0).any()
    sound = fc.certify(model, x, threat, level="sound").radius
    assert (sound <= base).all()
    assert (sound >= base - 1).all()
    assert (sound == base).mean() > 0.9
    for size in (1, 3):
        one = fc.certify(model, x, kind(form.ngram, size), level="sound").radius
        assert (one == np.where(np.isinf(sound), sound, size * (sound >= size))).all()


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("kind", [fc.Append, fc.Insert, fc.Change])
def test_the_machines_own_decision(kind: type[FileThreat], arithmetic: str) -> None:
    assert attacked_by_hand(kind, FORMS[0], "absolute", fc.levels.Sound("domain", arithmetic)) > 70


def test_what_nothing_can_take_away_is_endless() -> None:
    net = MaxAffine(D, pieces=1).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, 0.5, 0.0]]))
        net.affine.bias.fill_(0.25)
    model = fc.FeatureConvexModel(Identity(), net).double().eval()
    x = torch.tensor([[1.0, 2.0, 3.0]]).double()
    for threat in (fc.Append(), fc.Append(size=7), fc.Change()):
        # Appending only raises the margin; changes take all counts away, and leave the bias.
        found = fc.certify(model, x, threat, fc.Box(0, 1000), "sound")
        assert found.radius[0] == np.inf


@pytest.mark.parametrize("fault", ["a byte too many", "nothing is gained", "one way only"])
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What ordinary arithmetic finds is right but for rounding, and would hide them.
    monkeypatch.setattr(FileThreat, "largest_budget", lambda *given: given[2] * 0 + 99)
    several("identity", *THREATS[2])
    if fault == "a byte too many":
        monkeypatch.setattr(module, "quotient_down", lambda a, b: a / b + 1)
    elif fault == "nothing is gained":
        monkeypatch.setattr(RoundedCurves, "taxed", lambda *given: 0 * given[1])
    else:
        monkeypatch.setattr(module.Ways, "each", property(lambda self: (self.up,)))
    with pytest.raises(AssertionError):
        several("identity", *THREATS[2])
