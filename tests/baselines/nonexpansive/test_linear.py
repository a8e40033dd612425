import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines.method import Radii
from featureconvex.baselines.nonexpansive.linear import Linear
from featureconvex.testing import METHOD_LAWS, MethodCase, check_method
from featureconvex.testing.law import Law

CASE = MethodCase(lambda: Linear(options(30), {}), *digits())


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(CASE)


def test_the_radius_is_the_distance_to_the_hyperplane() -> None:
    method = Linear(options(1), {})
    with torch.no_grad():
        method.head.weight.zero_()
        method.head.weight[0, :2] = torch.tensor([3.0, -4.0])
        method.tau.fill_(1.0)
    x = torch.zeros(1, 1, 8, 8)
    x[..., 0, 0] = 2
    radii = method.certify(x, "certified")
    assert np.allclose([radii[1][0], radii[2][0], radii[float("inf")][0]], [7 / 4, 7 / 5, 1])


def test_without_weights_nothing_moves_the_score() -> None:
    method = Linear(options(1), {})
    for tau, radius in ((1.0, np.inf), (-1.0, 0.0), (0.0, 0.0)):
        method.tau.fill_(tau)
        for found in method.certify(torch.zeros(2, 1, 8, 8), "certified").values():
            assert found.tolist() == [radius, radius]


class Endless(Linear):
    """Claims that nothing at all takes a flag away."""

    def certify(self, x: Tensor, level: str) -> Radii:
        found = super().certify(x, level)
        return {p: np.where(radius > 0, np.inf, radius) for p, radius in found.items()}


class Forgetful(Linear):
    """Leaves out a norm that it names."""

    def certify(self, x: Tensor, level: str) -> Radii:
        return {p: radius for p, radius in super().certify(x, level).items() if p != 2}


class Single(Linear):
    """Computes in float32."""

    def certify(self, x: Tensor, level: str) -> Radii:
        return {p: radius.astype(np.float32) for p, radius in super().certify(x, level).items()}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Single, "must return an array float64 .* got float32"),
        (Endless, "the flag went away"),
        (Forgetful, "learns.*: certify must return a dict of the norms"),
    ],
)
def test_the_laws_see_planted_faults(fault: type[Linear], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_method(MethodCase(lambda: fault(options(30), {}), *digits()))
