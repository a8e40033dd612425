"""Activations that work in place change no certificate."""

import numpy as np
import pytest
import torch
from tests.models.frozen.cases import LEVELS, X, equal, radii, small
from torch import nn

import featureconvex as fc
from featureconvex import FeatureConvexModel
from featureconvex.features import (
    Identity,
)
from featureconvex.nn import (
    ConvexConvNet,
    NonNegativeLinear,
)

IN_PLACE: dict[str, tuple[nn.Module, nn.Module]] = {
    "relu": (nn.ReLU(inplace=True), nn.ReLU()),
    "leaky": (nn.LeakyReLU(0.1, inplace=True), nn.LeakyReLU(0.1)),
    "elu": (nn.ELU(inplace=True), nn.ELU()),
    "celu": (nn.CELU(0.7, inplace=True), nn.CELU(0.7)),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_change_nothing(name: str, level: str) -> None:
    """A line in place of a module must be evaluated at its input, not at what it left there."""
    assert equal(*(radii(small(kind), level=level) for kind in IN_PLACE[name]))


@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_change_nothing_for_patches(name: str) -> None:
    found = []
    for kind in IN_PLACE[name]:
        torch.manual_seed(2)
        net = ConvexConvNet(1, 6, features=2, depth=1, first_kernel=3, activation=kind)
        model = FeatureConvexModel(Identity(), net, tau=0.5).eval()
        x = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
        found.append(fc.certify(model, x, fc.Patch(1), fc.Box(0, 1), "tight").radius)
    np.testing.assert_array_equal(found[0], found[1])


def test_an_activation_in_place_on_the_input_leaves_the_callers_numbers_alone() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), NonNegativeLinear(3, 1), nn.Flatten(0))
    model = FeatureConvexModel(Identity(), net, tau=1.0).eval()
    x = X.clone()
    for level in LEVELS:
        radii(model, x, level)
    fc.attack(model, x, fc.Lp(2), fc.Box(-6, 6), budget=0.1)
    assert torch.equal(x, X)
