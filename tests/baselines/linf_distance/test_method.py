import math

import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines import Options
from featureconvex.baselines.linf_distance.method import LinfDistance
from featureconvex.certificates import Guarantee
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import fitted

CASE = MethodCase(lambda: LinfDistance(options(20), {}), *digits())


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(CASE)


def attacked(method: LinfDistance, x: Tensor, radius: Tensor, steps: int = 40) -> Tensor:
    """Signed-gradient descent on the smooth score inside ``radius``, (n, *shape) float64."""
    network = method.network.double().eval()
    network.sharpness = 40.0
    budget = radius.reshape(-1, *[1] * (x.ndim - 1))
    y, best = x.double(), x.double()
    for step in range(steps):
        y = y.detach().requires_grad_()
        torch.autograd.backward(network(y).sum())
        assert y.grad is not None
        moved = y.detach() - budget * y.grad.sign() * (2 / (1 + step))
        y = torch.minimum(torch.maximum(moved, x - budget), x + budget)
        better = (network.scores(y) < network.scores(best)).reshape(-1, *[1] * (x.ndim - 1))
        best = torch.where(better, y, best)
    return best


def test_attacks_fail_inside_the_radius_and_succeed_not_far_outside() -> None:
    method = fitted(CASE)
    assert isinstance(method, LinfDistance)
    x = CASE.test.x[method.predict(CASE.test.x)]
    radius = torch.from_numpy(method.certify(x, "certified")[math.inf])
    assert method.predict(attacked(method, x, radius * (1 - 1e-9))).all()
    # Many margins can be spent in full, or this attack shows nothing.
    assert (~method.predict(attacked(method, x, radius * 1.3))).mean() > 0.2


def watcher() -> LinfDistance:
    """Score ``(x_0 - x_1) / 2`` of two inputs in [0, 1], so both must move to spend the margin."""
    method = LinfDistance(Options(shape=(2,)), {})
    with torch.no_grad():
        for layer in method.network.layers:
            layer.weight.zero_()
        first, second, last = method.network.layers
        # Far away, a neuron's distance is the coordinate plus a constant.
        for layer in (first, second):
            layer.weight[0, 0], layer.weight[1, 1] = -10, -10
        last.weight[0, 0], last.weight[1, 1] = -40, -40
    return method


def test_the_radius_is_the_distance_where_the_margin_can_be_spent() -> None:
    method = watcher()
    x = torch.tensor([[0.9, 0.1], [0.3, 0.2], [0.2, 0.3]])
    radii = method.certify(x, "certified")[math.inf]
    assert np.allclose(radii, [0.4, 0.05, 0], atol=1e-6)
    assert (radii[:2] < np.asarray((x[:2, 0].double() - x[:2, 1].double()) / 2)).all()
    move = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    inside, outside = (
        x.double() + move * torch.from_numpy(radii)[:, None] * k for k in (1, 1.0001)
    )
    assert method.predict(inside[:2]).all()
    assert not method.predict(outside[:2]).any()


def test_the_threshold_counts() -> None:
    method = watcher()
    x = torch.tensor([[0.3, 0.2]])
    method.tau.fill_(0.25)
    assert np.isclose(method.certify(x, "certified")[math.inf], 0.3)
    method.tau.fill_(-0.05 - 1e-8)
    assert method.certify(x, "certified")[math.inf] == 0


def test_rounding_is_taken_off() -> None:
    method = fitted(CASE)
    assert isinstance(method, LinfDistance)
    margins = method.margins(CASE.test.x).numpy()
    radii = method.certify(CASE.test.x, "certified")[math.inf]
    kept = radii > 0
    assert kept.any()
    assert (radii[kept] < margins[kept]).all()
    assert (margins[kept] - radii[kept] < 1e-11).all()
    assert LinfDistance.levels == {"certified": Guarantee.sound}
