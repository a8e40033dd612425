"""Our own model among the baselines: one setting for each model that it trains."""

import math

import pytest
import torch
from tests.baselines.cases import digits, options

from featureconvex.baselines import Options
from featureconvex.baselines.feature_convex import FeatureConvex
from featureconvex.features import AbsConcat, Center
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance


def test_no_model_is_compared_twice() -> None:
    def settings(shape: tuple[int, ...]) -> list[tuple[str, ...]]:
        found = FeatureConvex.settings(Options(shape=shape))
        return [tuple(map(str, setting.values())) for setting in found]

    ours = [("default", norm) for norm in ("l1", "l2", "linf")]
    larger = [
        ("default", norm, str(share))
        for norm, shares in (
            ("l1", (0.25,)),
            ("l2", (0.25, 0.5, 1.0, 2.0)),
            ("linf", (0.5, 1.0, 8.0)),
        )
        for share in shares
    ]
    affine = [
        ("default", norm, share, "affine")
        for norm, shares in (("l2", ("0.5", "1.0")), ("linf", ("1.0", "2.0", "8.0")))
        for share in shares
    ]
    paper = ("paper", "l2")
    assert settings((30,)) == ours
    assert settings((1, 28, 28)) == [*ours, *larger, *affine, paper]
    pixels = [("default", "l1", "4.0", "pixels")]
    pixels += [("default", "l2", share, "pixels") for share in ("4.0", "8.0")]
    assert settings((3, 32, 32)) == [*ours, *larger, *affine, *pixels, paper]


def test_pixels_are_trained_in_l2_without_a_learned_map() -> None:
    x, y = torch.rand(60, 3, 8, 8), torch.arange(60) % 2
    points = Points(x + 0.3 * y[:, None, None, None], y)
    chosen = {"recipe": "default", "norm": "l2", "share": 4.0, "map": "pixels"}
    method = FeatureConvex(Options(shape=(3, 8, 8), epochs=1), chosen)
    facts = method.fit(points, points)
    assert facts["temperature"] == pytest.approx(4 * class_distance(points, 2.0))
    assert method.model is not None
    assert [type(part) for part in method.model.feature_map.parts()] == [Center, AbsConcat]


@pytest.mark.parametrize(("norm", "p", "dual"), [("l2", 2, 2), ("linf", math.inf, 1)])
def test_an_affine_head_makes_a_1_lipschitz_network(norm: str, p: float, dual: float) -> None:
    fitting, validation, _ = digits()
    setting = {"recipe": "default", "norm": norm, "share": 0.5, "head": "affine"}
    method = FeatureConvex(options(1), setting)
    method.fit(fitting, validation)
    assert method.model is not None
    net, phi = method.model.convex_net, method.model.feature_map
    (layer,) = (part for part in net.modules() if isinstance(part, torch.nn.Linear))
    slope = layer.weight.detach()
    assert slope.shape == (1, 256 if p == 2 else 2)
    bound = phi.lipschitz(p) * float(slope.norm(dual))
    score = method.model.logits(validation.x)
    far = (validation.x[:1] - validation.x).flatten(1).norm(p, dim=1)
    assert ((score[:1] - score).abs() <= bound * far * (1 + 1e-4) + 1e-5).all()


def test_a_share_is_of_the_distance_between_the_classes() -> None:
    fitting, validation, _ = digits()
    method = FeatureConvex(options(2), {"recipe": "default", "norm": "linf", "share": 0.5})
    facts = method.fit(fitting, validation)
    assert facts["temperature"] == pytest.approx(0.5 * class_distance(fitting, math.inf))
