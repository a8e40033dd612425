import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options

from featureconvex.baselines.linear import Linear
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law

CASE = MethodCase(lambda: Linear(options(30), {}), *digits())


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(CASE)


def test_the_radius_is_the_distance_to_the_hyperplane() -> None:
    method = Linear(options(1), {})
    with torch.no_grad():
        method.layer.weight.zero_()
        method.layer.weight[0, :2] = torch.tensor([3.0, -4.0])
        method.tau.fill_(1.0)
    x = torch.zeros(1, 1, 8, 8)
    x[..., 0, 0] = 2
    radii = method.certify(x, "certified")
    assert np.allclose([radii[1][0], radii[2][0], radii[float("inf")][0]], [7 / 4, 7 / 5, 1])
