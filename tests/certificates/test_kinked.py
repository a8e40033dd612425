"""A feature map of one's own with curves: hinges, registered, composed, certified."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from featureconvex import Box, FeatureConvexModel, Lp, Unbounded, certify
from featureconvex.certificates import Domain
from featureconvex.certificates.kinked import kinked_form
from featureconvex.certificates.levels import Tight
from featureconvex.features import (
    AbsConcat,
    Around,
    Center,
    Compose,
    FeatureMap,
    KinkedForm,
    Scale,
)
from featureconvex.nn import ConvexMLP
from featureconvex.testing import balanced, check_feature_map, grid, grid_radius
from featureconvex.testing.feature_map import FeatureMapCase

KNEES = [0.25, -0.5]


class Hinges(FeatureMap):
    """``(max(x - z, 0), max(z - x, 0))``: what lies above a knee and what lies below it."""

    coordinatewise = True
    z: Tensor

    def __init__(self, z: list[float]) -> None:
        super().__init__()
        self.register_buffer("z", torch.tensor(z, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        over = x - self.z.to(x.dtype)
        return torch.cat((over.clamp_min(0), (-over).clamp_min(0)), dim=1)

    def lipschitz(self, p: float) -> float:
        # One of the two moves at a time, or both by less than the input together.
        return 1.0

    def kinked_form(self, v: Tensor, around: Around) -> KinkedForm:
        """``max(t, 0) = (|t| + t) / 2``."""
        above, below = v.chunk(2, dim=1)
        z = self.z.to(around.dtype).double()
        return KinkedForm((above - below) / 2, (above + below) / 2, z)

    def config(self) -> dict[str, Any]:
        return {"z": self.z.tolist()}


class Folded(Hinges):
    """A subclass that computes something else: it has no curves."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).square()


def form_of(phi: FeatureMap, v: Tensor, x: Tensor) -> KinkedForm | None:
    return kinked_form(phi, v, x, torch.full_like(x, -math.inf), torch.full_like(x, math.inf))


MAPS: dict[str, Callable[[], FeatureMap]] = {
    "alone": lambda: Hinges(KNEES),
    "after a scale": lambda: Compose(Scale([2.0, -0.5], [0.1, 0.7]), Hinges(KNEES)),
    "between": lambda: Compose(Center(0.3), Hinges(KNEES), Scale([1.0, -2.0, 3.0, 0.5])),
    "a flat coordinate": lambda: Compose(Scale([1.0, 0.0]), Hinges(KNEES)),
}


def test_the_map_is_one() -> None:
    check_feature_map(FeatureMapCase(make=lambda: Hinges(KNEES), shape=(2,)))


@pytest.mark.parametrize("name", MAPS)
def test_the_form_is_the_fall_of_the_minorant(name: str) -> None:
    phi = MAPS[name]()
    torch.manual_seed(0)
    x, move = torch.randn(2, 200, 2, dtype=torch.float64)
    v = torch.randn(200, 4, dtype=torch.float64)
    form = form_of(phi, v, x)
    assert form is not None
    assert form.b is not None
    assert form.z is not None
    fall = form.w * move + form.b * ((x + move - form.z).abs() - (x - form.z).abs())
    torch.testing.assert_close(fall.sum(1), (v * (phi(x + move) - phi(x))).sum(1))


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_radii_use_the_curves_and_stay_below_a_grid(p: float) -> None:
    x = grid((5, 2), 2**-8, seed=85).abs().clamp(0, 1)
    model = balanced(FeatureConvexModel(MAPS["between"](), ConvexMLP(4, (6, 4))), x).double().eval()
    gained = False
    domains: list[tuple[Domain, float, float]] = [
        (Unbounded(), -math.inf, math.inf),
        (Box(0, 1), 0.0, 1.0),
    ]
    for domain, lo, hi in domains:
        plain = certify(model, x, Lp(p), domain)
        flagged = plain.margin > 0
        best = np.array(
            [
                grid_radius(model, row, p, reach=3.0, points=201, lo=lo, hi=hi)
                for row in x[torch.from_numpy(flagged)]
            ]
        )
        for level in ("domain", Tight(iterations=6)):
            cert = certify(model, x, Lp(p), domain, level)
            assert (cert.radius > 0).any()
            assert (cert.radius[flagged] <= best * (1 + 1e-9)).all()
        gained |= bool((cert.radius > plain.radius * 1.01).any())
    assert gained


def test_only_the_class_itself_has_its_curves() -> None:
    x = torch.ones(1, 2, dtype=torch.float64)
    assert form_of(Folded(KNEES), x.repeat(1, 2), x) is None
    assert form_of(Compose(AbsConcat(), Hinges([0.0] * 4)), x.repeat(1, 4), x) is None


def test_a_planted_kink_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that forgets where its knee lies."""
    right = Hinges.kinked_form

    def wrong(phi: Hinges, v: Tensor, around: Around) -> KinkedForm:
        form = right(phi, v, around)
        return KinkedForm(form.w, form.b, 0 * phi.z)

    monkeypatch.setattr(Hinges, "kinked_form", wrong)
    with pytest.raises(AssertionError):
        test_the_form_is_the_fall_of_the_minorant("alone")
