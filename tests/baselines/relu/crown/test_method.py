import math
from functools import cache

import pytest
import torch
from tests.baselines.cases import digits, options

from featureconvex.baselines.relu.adversarial_radius import attack_radius
from featureconvex.baselines.relu.crown.branch_and_bound import Budget
from featureconvex.baselines.relu.crown.method import AlphaBetaCrown
from featureconvex.baselines.relu.crown.radius import Effort
from featureconvex.baselines.relu.network import shifted
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import fitted


class Hurried(AlphaBetaCrown):
    """Every part of the search, with less effort."""

    effort = Effort(
        rounds=4, box_steps=2, root_steps=5, trials=1, budget=Budget(nodes=8, at_once=4, steps=2)
    )


@cache
def case(norm: str, kind: type[AlphaBetaCrown] = Hurried) -> MethodCase:
    fitting, validation, test = digits()
    few = type(test)(test.x[:12], test.y[:12])
    return MethodCase(lambda: kind(options(30), {"norm": norm}), fitting, validation, few)


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(case("linf"))


def test_one_setting_per_norm_each_certified_in_all() -> None:
    settings = AlphaBetaCrown.settings(options(1))
    assert [setting["norm"] for setting in settings] == ["l1", "l2", "linf"]
    assert AlphaBetaCrown.native_norms == (1.0, 2.0, math.inf)


@pytest.mark.parametrize(("norm", "kind"), [("l1", Hurried), ("l2", AlphaBetaCrown)])
def test_gradient_attacks_stay_outside_the_radius(norm: str, kind: type[AlphaBetaCrown]) -> None:
    method = fitted(case(norm, kind))
    assert isinstance(method, AlphaBetaCrown)
    x = case(norm, kind).test.x
    x = x[torch.from_numpy(method.predict(x))][:3]
    layers = shifted(method.network.affine(), method.tau)
    for p, radius in method.certify(x, "branch-and-bound").items():
        proved = torch.from_numpy(radius)
        reached = attack_radius(layers, x.double(), p, proved / 4, steps=40)
        assert bool((proved > 0).all())
        assert bool((reached >= proved).all())
