"""Feature maps whose claims cannot be true are refused by name before anything rests on them."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from featureconvex import Box, FeatureConvexModel, Lp, certify
from featureconvex.certificates.levels import Sound
from featureconvex.errors import UserError
from featureconvex.features import AbsConcat, Compose, Elementwise, FeatureMap
from featureconvex.nn import ConvexMLP
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine
from featureconvex.testing import FeatureMapCase, check_feature_map

X = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
LEVELS = ("closed-form", "domain", "tight")


class Claimed(FeatureMap):
    """``10 |x - 0.3|``, with a constant that somebody states."""

    stated: Any = 10.0

    def forward(self, x: Tensor) -> Tensor:
        return 10 * (x - 0.3).abs()

    def lipschitz(self, p: float) -> Any:
        return self.stated

    def config(self) -> dict[str, Any]:
        return {}


def model_of(phi: FeatureMap, outputs: int = 4) -> FeatureConvexModel:
    torch.manual_seed(1)
    return FeatureConvexModel(phi, ConvexMLP(outputs, (16,)), tau=1.0)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("stated", [-1.0, math.nan, "10", None, torch.tensor(10.0)], ids=repr)
def test_a_constant_is_a_number_that_is_not_negative(
    stated: Any, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Claimed, "stated", stated)
    with pytest.raises(UserError, match=r"Claimed.lipschitz must return a number >= 0"):
        certify(model_of(Claimed()), X, Lp(2), Box(0, 1), level)


def test_two_negative_constants_make_no_positive_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A composition asks each of its parts."""
    monkeypatch.setattr(Claimed, "stated", -1.0)
    model = model_of(Compose(Claimed(), Claimed(), AbsConcat()), 8)
    assert (model(X) > 0).any()  # nothing is asked of rows that are not flagged
    for level in LEVELS:
        with pytest.raises(UserError, match=r"Claimed.lipschitz must return a number >= 0"):
            certify(model, X, Lp(2), Box(0, 1), level)


class Log(Elementwise):
    """``log(1 + max(x, 0))``, whose slope is claimed without the maximum."""

    slack = 8.0

    def forward(self, x: Tensor) -> Tensor:
        return torch.log1p(x.clamp_min(0))

    def steepest(self, a: Tensor, b: Tensor) -> Tensor:
        return (1 + 2.0**-50) / (1 + a)

    def rounding(self) -> tuple[float, float]:
        return self.slack, 0.0

    def config(self) -> dict[str, Any]:
        return {}


class Right(Log):
    """The same with the maximum."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)

    def steepest(self, a: Tensor, b: Tensor) -> Tensor:
        return super().steepest(a.clamp_min(0), b)

    def rounding(self) -> tuple[float, float]:
        return self.slack, 0.0


@pytest.mark.parametrize("level", [*LEVELS, "sound"])
@pytest.mark.parametrize("domain", [None, Box(-2, 2)])
def test_slopes_that_contradict_each_other(level: str, domain: Box | None) -> None:
    if domain is not None and level == "closed-form":
        domain = None
    with pytest.raises(UserError, match=r"Log.steepest"):
        certify(model_of(Log()), X, Lp(2), domain, level)
    assert (certify(model_of(Right()), X, Lp(2), domain, level).radius >= 0).all()


def test_an_error_is_not_negative() -> None:
    phi = Right()
    phi.slack = -5.0
    with pytest.raises(UserError, match=r"Right.rounding must return two numbers >= 0"):
        certify(model_of(phi), X, Lp(2), Box(0, 1), "sound")


class Differences(FeatureMap):
    """The first number, and what each is more than the one before; its buffer follows the model's dtype."""

    affine = True
    matrix: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        ones = torch.ones(size, dtype=torch.float64)
        self.register_buffer("matrix", torch.diag(ones) - torch.diag(ones[1:], -1))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix.T.to(x.dtype)

    def lipschitz(self, p: float) -> float:
        return 2.0

    def pullback(self, v: Tensor) -> Tensor:
        return v @ self.matrix.to(v.dtype)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        return graph.apply(Affine(Dense(self.matrix)), node)

    def config(self) -> dict[str, Any]:
        return {"size": len(self.matrix)}


def test_an_affine_map_of_ones_own_obeys_the_laws() -> None:
    check_feature_map(FeatureMapCase(lambda: Differences(4), shape=(4,)))


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("base", ["closed-form", "domain"])
def test_sound_pulls_slopes_through_it(base: str, p: float) -> None:
    model = model_of(Differences(4))
    domain = None if base == "closed-form" else Box(0, 1)
    wanted = certify(model, X, Lp(p), domain, base).radius
    for arithmetic, share in (("real", 0.9999), ("float32", 0.99)):
        found = certify(model, X, Lp(p), domain, Sound(base, arithmetic)).radius
        assert (found <= wanted * (1 + 1e-12)).all()
        assert (found[wanted > 0.01] >= share * wanted[wanted > 0.01]).all()
