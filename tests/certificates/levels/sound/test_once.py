"""Level ``sound`` on level ``tight``: one solution serves the radius and its proof."""

import math

import numpy as np
import pytest

from featureconvex import L0, Box, FeatureConvexModel, Lp, Patch, certify
from featureconvex.certificates import Threat
from featureconvex.certificates.levels import Sound, Tight
from featureconvex.certificates.levels.tight import level
from featureconvex.features import AbsConcat, FeatureMap, Identity
from featureconvex.nn import ConvexMLP
from featureconvex.testing import balanced, grid

CASES = [
    *((Identity(), threat) for threat in (Lp(1), Lp(2), Lp(math.inf), L0(), Patch(1))),
    (AbsConcat(), Lp(math.inf)),
    (AbsConcat(), L0()),
]


@pytest.mark.parametrize(("features", "threat"), CASES, ids=str)
def test_tight_is_solved_once(
    features: FeatureMap, threat: Threat, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = grid((6, 4), 2**-8, seed=70).abs().clamp(0, 1)
    net = ConvexMLP(4 if isinstance(features, Identity) else 8, (6,))
    model = balanced(FeatureConvexModel(features, net), x).double()
    solved: list[str] = []
    for name in ("bracket", "ascend"):
        solve = getattr(level, name)

        def counted(*given, name=name, solve=solve, **named):  # type: ignore[no-untyped-def]
            solved.append(name)
            return solve(*given, **named)

        monkeypatch.setattr(level, name, counted)
    sound = certify(model, x, threat, Box(0, 1), Sound(Tight(8)))
    assert len(solved) == 1
    tight = certify(model, x, threat, Box(0, 1), Tight(8))
    assert solved == 2 * solved[:1]
    np.testing.assert_array_equal(sound.upper, tight.upper)
    assert (sound.radius <= tight.radius).all()
