import math
from functools import cache

import pytest
import torch
from tests.baselines.cases import digits, options

from featureconvex.baselines.relu.adversarial_radius import attack_radius
from featureconvex.baselines.relu.crown.method import AlphaBetaCrown
from featureconvex.baselines.relu.network import shifted
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import fitted


@cache
def case(norm: str) -> MethodCase:
    fitting, validation, test = digits()
    few = type(test)(test.x[:24], test.y[:24])
    make = lambda: AlphaBetaCrown(options(60), {"norm": norm})  # noqa: E731
    return MethodCase(make, fitting, validation, few)


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(case("linf"))


def test_one_setting_per_norm_each_certified_in_all() -> None:
    settings = AlphaBetaCrown.settings(options(1))
    assert [setting["norm"] for setting in settings] == ["l1", "l2", "linf"]
    assert AlphaBetaCrown.native_norms == (1.0, 2.0, math.inf)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_gradient_attacks_stay_outside_the_radius(norm: str) -> None:
    method = fitted(case(norm))
    assert isinstance(method, AlphaBetaCrown)
    x = case(norm).test.x
    x = x[torch.from_numpy(method.predict(x))][:6]
    layers = shifted(method.network.affine(), method.tau)
    for p, radius in method.certify(x, "branch-and-bound").items():
        proved = torch.from_numpy(radius)
        reached = attack_radius(layers, x.double(), p, proved / 4, steps=40)
        assert bool((proved > 0).all())
        assert bool((reached >= proved).all())
