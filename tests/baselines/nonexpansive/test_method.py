from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines import Options
from featureconvex.baselines.nonexpansive.method import SHARES, NonexpansiveMethod
from featureconvex.features import FeatureMap, Flatten, MaxMin, NonexpansiveLinear
from featureconvex.testing import MethodCase
from featureconvex.testing.method import survives_perturbations
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance


class Stretch(FeatureMap):
    """``3 x``, and the constant it owns up to."""

    admitted = 3.0

    def forward(self, x: Tensor) -> Tensor:
        return 3 * x

    def lipschitz(self, p: float, s: float | None = None) -> float:
        return self.admitted if s is None or s >= p else float("inf")

    def config(self) -> dict[str, Any]:
        return {}


class Denied(Stretch):
    admitted = 1.0


class Shallow(NonexpansiveMethod):
    """One orthogonal row: the score is a distance to a hyperplane."""

    name = "shallow"
    title = "shallow"
    literature = ""
    native_norms = (2.0,)
    learning_rate = 0.05
    middle: ClassVar[type[FeatureMap]] = MaxMin

    def maps(self, options: Options) -> Sequence[FeatureMap]:
        return [Flatten(options.shape), self.middle(), NonexpansiveLinear(options.dimension, 1)]


class Stretched(Shallow):
    middle = Stretch


class Understated(Shallow):
    middle = Denied


def made(kind: type[NonexpansiveMethod] = Shallow, share: float = 1 / 16) -> NonexpansiveMethod:
    return kind(options(10), {"share": share})


def test_the_radius_is_the_distance_to_the_hyperplane() -> None:
    fitting, validation, test = digits()
    method = made(Stretched)
    facts = method.fit(fitting, validation)
    assert facts["lipschitz_bound"] == pytest.approx(3)
    x = test.x.flatten(1)
    one = torch.eye(x.shape[1]).reshape(-1, 1, 8, 8)
    row = method.score(one) - method.score(0 * one)
    exact = (method.margins(test.x) / row.norm()).clamp(min=0).detach().numpy()
    radius = method.certify(test.x, "certified")[2.0]
    assert np.allclose(radius, exact, rtol=1e-4, atol=1e-5)


def test_a_constant_that_is_understated_is_caught() -> None:
    case = MethodCase(lambda: made(Understated), *digits())
    with pytest.raises(AssertionError, match="the flag went away"):
        survives_perturbations(case)
    survives_perturbations(MethodCase(lambda: made(Stretched), *digits()))


def test_the_constant_is_measured_again_after_a_load(tmp_path: Path) -> None:
    first, second = made(), made()
    x = digits()[2].x
    before = second.certify(x, "certified")[2.0]
    first.fit(*digits()[:2])
    first.save(tmp_path / "m")
    second.load(tmp_path / "m")
    after = second.certify(x, "certified")[2.0]
    assert not np.allclose(before, after)
    assert np.allclose(after, first.certify(x, "certified")[2.0], rtol=1e-12)


def test_a_larger_temperature_buys_radius() -> None:
    medians = []
    for share in (1 / 64, 1 / 2):
        method = made(share=share)
        facts = method.fit(*digits()[:2])
        radius = method.certify(digits()[2].x, "certified")[2.0]
        medians.append(np.median(radius[radius > 0]))
        assert facts["temperature"] == pytest.approx(share * class_distance(digits()[0], 2.0))
    assert medians[1] > medians[0]


def test_settings_are_temperatures_for_both_classes_alike_and_one_sided() -> None:
    settings = Shallow.settings(options(1))
    assert [s["share"] for s in settings if "asymmetry" not in s] == list(SHARES)
    assert {s["asymmetry"] for s in settings if "asymmetry" in s} == {3.0}


def test_one_sided_settings_leave_more_room_to_the_sensitive_class() -> None:
    """On two classes on a line, where the boundary is all there is to learn."""
    x = torch.cat((torch.linspace(0, 0.3, 60), torch.linspace(0.7, 1, 60)))[:, None, None, None]
    points = Points(x.expand(-1, 1, 8, 8) / 8, (torch.arange(120) >= 60).long())
    room = []
    for asymmetry in (1.0, 8.0):
        method = Shallow(options(30), {"share": 1.0, "asymmetry": asymmetry})
        # The threshold that training itself arrives at.
        method.fit(points, points)
        method.tau.zero_()
        room.append(np.median(method.certify(points.x[60:], "certified")[2.0]))
    assert room[1] > room[0]
