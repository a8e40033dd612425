from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from torch import Tensor, nn

from featureconvex.baselines import Options
from featureconvex.baselines.lipschitz.method import SHARES, LipschitzMethod
from featureconvex.features.nonexpansive.cayley import CayleyDense
from featureconvex.features.nonexpansive.layers import Flatten, Frozen, LipschitzLayer, MaxMin
from featureconvex.testing import MethodCase
from featureconvex.testing.method import survives_perturbations
from featureconvex.training.temperature import class_distance


class Stretch(LipschitzLayer):
    """``3 x``, and the constant it owns up to."""

    admitted = 3.0

    def forward(self, x: Tensor) -> Tensor:
        return 3 * x

    def frozen(self) -> Frozen:
        return Frozen(self, self.admitted)


class Denied(Stretch):
    admitted = 1.0


class Shallow(LipschitzMethod):
    """One orthogonal row: the score is a distance to a hyperplane."""

    name = "shallow"
    title = "shallow"
    literature = ""
    learning_rate = 0.05
    middle: ClassVar[type[nn.Module]] = MaxMin

    def layers(self, options: Options) -> Sequence[nn.Module]:
        return [Flatten(), self.middle(), CayleyDense(options.dimension, 1)]


class Stretched(Shallow):
    middle = Stretch


class Understated(Shallow):
    middle = Denied


def made(kind: type[LipschitzMethod] = Shallow, share: float = 1 / 16) -> LipschitzMethod:
    return kind(options(10), {"share": share})


def test_the_radius_is_the_distance_to_the_hyperplane() -> None:
    fitting, validation, test = digits()
    method = made(Stretched)
    facts = method.fit(fitting, validation)
    assert facts["lipschitz_bound"] == pytest.approx(3)
    assert facts["lipschitz_bound"] >= 3
    last = method.network[2]
    assert isinstance(last, CayleyDense)
    row = last.matrix(torch.float64)[0].detach()
    x = test.x.flatten(1).double()
    bias = float(last.bias.detach())
    exact = ((3 * x @ row + bias + method.tau) / (3 * row.norm())).clamp(min=0).numpy()
    radius = method.certify(test.x, "certified")[2.0]
    assert np.allclose(radius, exact, rtol=1e-7, atol=1e-12)
    assert (radius <= exact).all()


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


def test_settings_are_temperatures() -> None:
    assert [s["share"] for s in Shallow.settings(options(1))] == list(SHARES)
