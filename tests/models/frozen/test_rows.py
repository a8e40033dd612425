"""Rows that see each other are refused."""

from collections.abc import Callable

import pytest
import torch
from tests.models.frozen.cases import X
from torch import Tensor, nn

import featureconvex as fc
from featureconvex import ConvexityError, FeatureConvexModel, UserError
from featureconvex.features import (
    Identity,
)
from featureconvex.nn import (
    Card,
    Curvature,
    card,
)
from featureconvex.nn.curvature import MONOTONE_CONVEX


class SeesOthers(nn.Module):
    """Convex in each row, but of all rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).squeeze(1) + x.relu().sum()
        return out


class SeesEarlier(SeesOthers):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).squeeze(1) + x.relu().sum(1).cumsum(0)
        return out


class SeesInLargeBatches(SeesOthers):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).squeeze(1)
        return out.flip(0) if len(x) >= 25 else out


@card(SeesOthers, SeesEarlier, SeesInLargeBatches)
class WrongCard(Card[SeesOthers]):
    def curvature(self, module: SeesOthers) -> Curvature:
        return MONOTONE_CONVEX


def rows_as_channels() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 1, 3), nn.Flatten(0))


SEEING: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "conv1d": (rows_as_channels, (1, 3), "3 dimensions, the batch first"),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(0)), (1, 3, 3), "4 dimensions"),
    "pool": (
        lambda: nn.Sequential(nn.MaxPool2d(3), nn.Flatten(), nn.Flatten(0)),
        (1, 3, 3),
        "4 dimensions",
    ),
    "flatten": (lambda: nn.Sequential(nn.Flatten(0), nn.ReLU()), (5, 3), "joins the rows"),
    "sum": (SeesOthers, (4, 3), "other rows"),
    "running sum": (SeesEarlier, (4, 3), "other rows"),
    "large batches": (SeesInLargeBatches, (30, 3), "other rows"),
}


@pytest.mark.parametrize("name", SEEING)
def test_rows_that_see_each_other_are_refused(name: str) -> None:
    build, shape, words = SEEING[name]
    model = FeatureConvexModel(Identity(), build(), tau=3.0).eval()
    for act in (lambda x: fc.certify(model, x), lambda x: fc.attack(model, x)):
        with pytest.raises(ConvexityError, match=words):
            act(torch.rand(*shape))


def test_rows_of_a_shape_that_the_model_does_not_take_are_refused_with_the_shape() -> None:
    net = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    model = FeatureConvexModel(Identity(), net).eval()
    with pytest.raises(UserError, match=r"does not take rows of shape \(3,\)"):
        fc.certify(model, X)


def test_a_larger_batch_is_tried_out_anew() -> None:
    model = FeatureConvexModel(Identity(), SeesInLargeBatches(), tau=3.0).eval()
    fc.certify(model, torch.rand(4, 3))
    with pytest.raises(ConvexityError, match="other rows"):
        fc.certify(model, torch.rand(30, 3))
