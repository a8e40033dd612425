import math

import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from torch import Tensor

from featureconvex.baselines import Options
from featureconvex.baselines.nonexpansive.linf_distance import LinfDistance
from featureconvex.certificates import Guarantee
from featureconvex.features import Distances
from featureconvex.features.nonexpansive.smooth_distance import smooth_distance
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import fitted

CASE = MethodCase(lambda: LinfDistance(options(20), {}), *digits())


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(CASE)


def smooth_score(method: LinfDistance, x: Tensor) -> Tensor:
    """The score with smooth distances, whose gradient feels every coordinate."""
    phi = method.network.feature_map
    u = x.flatten(1)
    for part in phi.parts():
        if isinstance(part, Distances):
            u = smooth_distance(u, part.weight.double(), 40.0) - part.mean
    return (u[:, 0] - u[:, 1]) / 2


def attacked(method: LinfDistance, x: Tensor, radius: Tensor, steps: int = 40) -> Tensor:
    """Signed-gradient descent on the smooth score inside ``radius``, (n, *shape) float64."""
    budget = radius.reshape(-1, *[1] * (x.ndim - 1))
    x = x.double()
    y, best = x, x
    for step in range(steps):
        y = y.detach().requires_grad_()
        (slope,) = torch.autograd.grad(smooth_score(method, y).sum(), y)
        moved = y.detach() - budget * slope.sign() * (2 / (1 + step))
        y = torch.minimum(torch.maximum(moved, x - budget), x + budget)
        better = (method.scores(y) < method.scores(best)).reshape(-1, *[1] * (x.ndim - 1))
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
    layers = [part for part in method.network.feature_map.parts() if isinstance(part, Distances)]
    with torch.no_grad():
        # Far away, a neuron's distance is the coordinate plus a constant.
        for layer, far in zip(layers, (10, 10, 40), strict=True):
            layer.weight.zero_()
            layer.weight[0, 0], layer.weight[1, 1] = -far, -far
    return method


def test_the_radius_is_the_distance_where_the_margin_can_be_spent() -> None:
    method = watcher()
    x = torch.tensor([[0.9, 0.1], [0.3, 0.2], [0.2, 0.3]])
    radii = method.certify(x, "certified")[math.inf]
    assert np.allclose(radii, [0.4, 0.05, 0], atol=1e-6)
    assert (radii[:2] < np.asarray((x[:2, 0].double() - x[:2, 1].double()) / 2)).all()
    move = torch.tensor([-1.0, 1.0])
    inside, outside = (
        x + move * torch.from_numpy(radii).float()[:, None] * k for k in (1 - 1e-6, 1.01)
    )
    assert method.predict(inside[:2]).all()
    assert not method.predict(outside[:2]).any()


def test_the_threshold_counts() -> None:
    method = watcher()
    x = torch.tensor([[0.3, 0.2]])
    method.tau.fill_(0.25)
    assert np.isclose(method.certify(x, "certified")[math.inf], 0.3, atol=1e-6)
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
    assert (margins[kept] - radii[kept] < 1e-7).all()
    assert LinfDistance.levels == {"certified": Guarantee.sound}
