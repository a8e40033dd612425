"""Faulty feature maps: each turns the law it breaks red (see ``test_suite.py``)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from featureconvex.features import AbsConcat, FeatureMap, Identity, Scale, Scattering
from featureconvex.norms import dual_exponent, vector_norm
from featureconvex.testing import (
    FeatureMapCase,
)
from featureconvex.testing import feature_map as map_laws


class Shrunk(AbsConcat):
    """The constant of another map: 0.9 times too small."""

    def lipschitz(self, p: float, s: float | None = None) -> float:
        return 0.9 * super().lipschitz(p)


class ShrunkScale(Scale):
    def lipschitz(self, p: float, s: float | None = None) -> float:
        return 0.9 * super().lipschitz(p)


class WrongDual(Identity):
    """||v||_p where ||v||_q belongs."""

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        return vector_norm(v.double() if cost is None else v.double() / cost, p)


class ForgetsCost(AbsConcat):
    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        return super().sensitivity(v, p)


class MultipliesCost(Identity):
    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        return super().sensitivity(v, p, None if cost is None else 1 / cost)


class ThroughAbs(AbsConcat):
    """The gradient chained through |.|, with constant 1: the fault the paper's proof excludes."""

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        first, second = v.double().chunk(2, dim=1)
        pulled = first + second
        return vector_norm(pulled if cost is None else pulled / cost, dual_exponent(p))


class Isotropic(Scattering):
    """What l2 allows, for every p: without the factor ``d^(1/2 - 1/p)``."""

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        return FeatureMap.sensitivity(self, v, 2.0, cost)


class SaysAffine(AbsConcat):
    affine = True

    def pullback(self, v: Tensor) -> Tensor:
        return v.chunk(2, dim=1)[0]


class SaysAffineInGeneral(SaysAffine):
    """With the base class's sensitivity, which believes the flag."""

    sensitivity = FeatureMap.sensitivity


class WrongPullback(Scale):
    def pullback(self, v: Tensor) -> Tensor:
        return v / self.scale.to(v.dtype)


class CutPullback(Scale):
    def pullback(self, v: Tensor) -> Tensor:
        return super().pullback(v.detach())


class SaysCoordinatewise(FeatureMap):
    """A running sum."""

    coordinatewise = True
    affine = True

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1)

    def lipschitz(self, p: float) -> float:
        return 3.0

    def pullback(self, v: Tensor) -> Tensor:
        return v.flip(1).cumsum(1).flip(1)

    def config(self) -> dict[str, Any]:
        return {}


class HasPullback(AbsConcat):
    def pullback(self, v: Tensor) -> Tensor:
        return v.chunk(2, dim=1)[0]


class RowMean(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class LosesScale(Scale):
    def config(self) -> dict[str, Any]:
        return {"scale": 1.0, "shift": 0.0}


class Promotes(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class Steep(Identity):
    """Expands only in a narrow band of one coordinate: random pairs rarely see it."""

    affine = False

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5 * (x - 0.5).clamp(-0.01, 0.01)

    def pullback(self, v: Tensor) -> Tensor:
        raise TypeError


def feature(make: Callable[[], FeatureMap], size: int = 3) -> FeatureMapCase:
    return FeatureMapCase(make, (size,))


STRETCH = map_laws.never_stretches_more_than_its_constant
MAP_FAULTS = {
    "constant x 0.9": (STRETCH, feature(Shrunk)),
    "constant x 0.9 (sensitivity)": (map_laws.sensitivity_bounds_every_move, feature(Shrunk)),
    "constant x 0.9 of one coordinate": (
        STRETCH,
        feature(lambda: ShrunkScale([1.0] * 19 + [1.02] + [0.5] * 12), 32),
    ),
    "steep in a narrow band": (STRETCH, feature(Steep)),
    "wrong dual norm": (map_laws.sensitivity_bounds_every_move, feature(WrongDual)),
    "cost forgotten": (map_laws.sensitivity_bounds_every_move, feature(ForgetsCost)),
    "cost multiplied": (map_laws.sensitivity_bounds_every_move, feature(MultipliesCost)),
    "gradient through |.|": (map_laws.sensitivity_bounds_every_move, feature(ThroughAbs)),
    "l2 for every norm": (
        map_laws.sensitivity_bounds_every_move,
        FeatureMapCase(lambda: Isotropic((1, 8, 8), scales=1, orientations=2), (1, 8, 8)),
    ),
    "lies about affine": (map_laws.affine_flag_is_true, feature(SaysAffine)),
    "lies about affine (sensitivity)": (
        map_laws.sensitivity_bounds_every_move,
        feature(SaysAffineInGeneral),
    ),
    "wrong pullback": (map_laws.affine_flag_is_true, feature(lambda: WrongPullback([2.0, 3, 4]))),
    "a pullback that cuts the gradient": (
        map_laws.sensitivity_is_differentiable,
        feature(lambda: CutPullback([2.0, 3, 4])),
    ),
    "a pullback without being affine": (map_laws.affine_flag_is_true, feature(HasPullback)),
    "lies about coordinatewise": (
        map_laws.coordinatewise_flag_is_true,
        feature(SaysCoordinatewise),
    ),
    "rows mix": (map_laws.treats_rows_alone, feature(RowMean)),
    "changes the dtype": (map_laws.treats_rows_alone, feature(Promotes)),
    "loses its shape": (
        map_laws.comes_back_from_its_config,
        feature(lambda: LosesScale([1.0, 2, 3])),
    ),
    "not the truth": (
        map_laws.agrees_with_the_truth,
        FeatureMapCase(AbsConcat, (3,), truth=lambda x: torch.cat((x, -x.abs()), 1)),
    ),
}


@pytest.mark.parametrize("name", MAP_FAULTS)
def test_a_faulty_feature_map_is_caught(name: str) -> None:
    law, case = MAP_FAULTS[name]
    with pytest.raises(AssertionError):
        law(case)
