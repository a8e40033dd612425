"""The additions in ``examples/`` obey the laws of their kind, and work at every level."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from examples.hyperbolic_ramp import HyperbolicRamp
from examples.log1p import Log1p
from examples.nearest import Nearest
from examples.rises import Rises
from tests.baselines.cases import digits, options
from torch import Tensor, nn

import featureconvex as fc
from featureconvex.features import Center, Compose, Scale
from featureconvex.models.file import load_model, save_model
from featureconvex.testing import (
    CONVEX_NET_LAWS,
    FEATURE_MAP_LAWS,
    METHOD_LAWS,
    THREAT_LAWS,
    ConvexNetCase,
    FeatureMapCase,
    Law,
    MethodCase,
    ThreatCase,
    balanced,
    grid,
)

MAPS = {
    "log1p": FeatureMapCase(Log1p, (4,), lambda x: torch.log1p(x.clamp_min(0))),
    "scaled log1p": FeatureMapCase(
        lambda: Compose(Scale([2.0, -1.0, 0.0, 0.5], 0.3), Log1p(), Center(0.2)), (4,)
    ),
}
NETS = {
    "hyperbolic": ConvexNetCase(lambda: fc.nn.ConvexMLP(4, (6, 5), activation="hyperbolic"), (4,))
}
UPWARDS = fc.Box(0, 6, direction=np.ones(4, dtype=int))
THREAT = ThreatCase(lambda: Rises(2.0), (4,), domain=UPWARDS)
METHOD = MethodCase(lambda: Nearest(options(1), {}), *digits())
LEVELS: dict[str, str | fc.levels.Level] = {
    "closed-form": "closed-form",
    "domain": "domain",
    "tight": fc.levels.Tight(iterations=6),
    "sound": "sound",
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
def test_laws_of_the_feature_map(law: Law[FeatureMapCase], name: str) -> None:
    law(MAPS[name])


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("law", CONVEX_NET_LAWS, ids=lambda law: law.__name__)
def test_laws_of_the_layer(law: Law[ConvexNetCase], name: str) -> None:
    law(NETS[name])


@pytest.mark.parametrize("law", THREAT_LAWS, ids=lambda law: law.__name__)
def test_laws_of_the_threat(law: Law[ThreatCase]) -> None:
    law(THREAT)


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws_of_the_baseline(law: Law[MethodCase]) -> None:
    law(METHOD)


def layered() -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 6), HyperbolicRamp(), fc.nn.NonNegativeLinear(6, 1), nn.Flatten(0)
    )


MODELS = {
    "log1p": lambda: fc.FeatureConvexModel(Log1p(), fc.nn.ConvexMLP(4, (6, 4))),
    "scaled log1p": lambda: fc.FeatureConvexModel(
        Compose(Scale([2.0, -1.0, 0.0, 0.5], 0.3), Log1p(), Scale(0.5)), fc.nn.ConvexMLP(4, (6,))
    ),
    "hyperbolic": lambda: fc.FeatureConvexModel(fc.features.AbsConcat(), doubled()),
    "hyperbolic in a chain": lambda: fc.FeatureConvexModel(fc.features.Identity(), layered()),
    "both": lambda: fc.FeatureConvexModel(
        Log1p(), fc.nn.ConvexMLP(4, (5, 5), activation="hyperbolic")
    ),
}


def doubled() -> nn.Module:
    return fc.nn.ConvexMLP(8, (6, 5), activation="hyperbolic")


def made(name: str) -> tuple[fc.FeatureConvexModel, Tensor]:
    torch.manual_seed(3)
    x = 4 * grid((12, 4), 2**-8, seed=90).abs().clamp(0, 1)
    return balanced(MODELS[name](), x).eval(), x


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("name", MODELS)
def test_every_level_certifies_and_no_attack_gets_inside(name: str, p: float) -> None:
    model, x = made(name)
    model, x = model.double(), x[:4]
    for domain in (fc.Unbounded(), fc.Box(0, 6)):
        radii = {
            name: fc.certify(model, x, fc.Lp(p), domain, level).radius
            for name, level in LEVELS.items()
        }
        assert (radii["domain"] >= radii["closed-form"] * (1 - 1e-9)).all()
        assert (radii["tight"] >= radii["domain"] * (1 - 1e-9)).all()
        assert (radii["sound"] <= radii["domain"]).all()
        assert (radii["sound"] >= radii["domain"] * (1 - 1e-4)).all()
        assert (radii["sound"] > 0).any()
        attack = fc.attack(model, x, threat=fc.Lp(p), domain=domain, steps=25)
        found = torch.as_tensor(attack.found).numpy()
        assert (np.asarray(attack.distance)[found] >= radii["tight"][found] * (1 - 1e-9)).all()


@pytest.mark.parametrize("name", MODELS)
def test_the_threat_at_every_level(name: str) -> None:
    """Padding: no brute force over all sets and rises of 0, 1 and 2 gets inside a radius."""
    model, x = made(name)
    model, threat = model.double(), Rises(2.0)
    steps = torch.tensor(list(itertools.product((0.0, 1.0, 2.0), repeat=4)), dtype=torch.float64)
    spent = threat.measure(steps).numpy()
    for domain in (UPWARDS, fc.Box(0, 6)):
        radii = {
            name: fc.certify(model, x, threat, domain, level).radius
            for name, level in LEVELS.items()
            if name != "closed-form"
        }
        assert (radii["tight"] >= radii["domain"]).all()
        assert (radii["sound"] <= radii["domain"]).all()
        assert (radii["sound"] > 0).any()
        with torch.no_grad():
            moved = (x[:, None] + steps).clamp_max(6.0)
            flips = (model(moved.flatten(0, 1)) <= 0).view(len(x), -1).numpy()
        smallest = np.where(flips, spent, math.inf).min(1)
        assert ((radii["tight"] < smallest) | np.isinf(smallest) | (radii["tight"] == 0)).all()


@pytest.mark.parametrize("name", ["log1p", "hyperbolic", "both"])
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_the_deployed_decision_is_certified(name: str, arithmetic: str) -> None:
    model, x = made(name)
    level = fc.levels.Sound(arithmetic=arithmetic)
    deployed = fc.certify(model, x, fc.Lp(2), fc.Box(0, 6), level).radius
    exact = fc.certify(model, x, fc.Lp(2), fc.Box(0, 6), "sound").radius
    assert (deployed <= exact).all()
    assert (deployed[exact > 1e-2] > 0).all()


@pytest.mark.parametrize("name", ["log1p", "hyperbolic", "both"])
def test_a_saved_model_comes_back(name: str, tmp_path: Path) -> None:
    model, x = made(name)
    x = x.to(model.dtype)
    loaded, _ = load_model(save_model(model, tmp_path / "m"))
    assert torch.equal(loaded(x), model(x))


def test_a_domain_counts_more_than_the_constant() -> None:
    model, x = made("log1p")
    level_0 = fc.certify(model, x, fc.Lp(2)).radius
    aware = fc.certify(model, x, fc.Lp(2), fc.Box(0, 6), "domain").radius
    assert np.median(aware[level_0 > 0] / level_0[level_0 > 0]) > 1.3


class Flatter(Log1p):
    """Claims slopes half as steep as they are."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)

    def steepest(self, a: Tensor, b: Tensor) -> Tensor:
        return Log1p().steepest(a, b) / 2

    def rounding(self) -> tuple[float, float]:
        return 8.0, 0.0


def test_slopes_that_are_too_small_are_caught() -> None:
    case = FeatureMapCase(Flatter, (4,))
    broken = []
    for law in FEATURE_MAP_LAWS:
        try:
            law(case)
        except AssertionError:
            broken.append(law.__name__)
    assert "never_stretches_more_than_its_constant" in broken
    assert "its_form_bounds_every_fall" in broken
    assert "its_steps_enclose_it" in broken
