"""Our own model among the baselines: one setting for each model that it trains."""

import math

import pytest
from tests.baselines.cases import digits, options

from featureconvex.baselines import Options
from featureconvex.baselines.feature_convex import FeatureConvex
from featureconvex.training.temperature import class_distance


def test_no_model_is_compared_twice() -> None:
    def settings(shape: tuple[int, ...]) -> list[tuple[str, str, float | None]]:
        found = FeatureConvex.settings(Options(shape=shape))
        return [(s["recipe"], s["norm"], s.get("share")) for s in found]

    ours = [("default", norm, None) for norm in ("l1", "l2", "linf")]
    larger = [
        ("default", norm, share)
        for norm, shares in (("l1", (0.25,)), ("l2", (0.25, 0.5, 1.0, 2.0)), ("linf", (0.5, 1.0)))
        for share in shares
    ]
    paper = ("paper", "l2", None)
    assert settings((30,)) == ours
    assert settings((1, 28, 28)) == [*ours, *larger, paper]
    assert settings((3, 32, 32)) == [*ours, *larger, paper]


def test_a_share_is_of_the_distance_between_the_classes() -> None:
    fitting, validation, _ = digits()
    method = FeatureConvex(options(2), {"recipe": "default", "norm": "linf", "share": 0.5})
    facts = method.fit(fitting, validation)
    assert facts["temperature"] == pytest.approx(0.5 * class_distance(fitting, math.inf))
