import functools
import itertools
import math

import numpy as np
import pytest
import torch
from tests.baselines.cases import digits, options
from torch import Tensor, nn

from featureconvex.baselines import Options, Radii
from featureconvex.baselines.monotone import Monotone, lowered, orient_
from featureconvex.errors import UserError
from featureconvex.features import Compose, Flatten, Scale
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import NonNegativeLinear
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import survives_perturbations
from featureconvex.training.points import Points

SETTINGS = [{"epsilon_share": 0.0}, {"epsilon_share": 0.2}]
LINF = math.inf


@functools.cache
def case(kind: type[Monotone], share: float) -> MethodCase:
    return MethodCase(
        lambda: kind(options(30), {"epsilon_share": share}),
        *digits(),
        boxed=frozenset({"domain"}),
    )


@functools.cache
def fitted(share: float) -> Monotone:
    method = Monotone(options(30), {"epsilon_share": share})
    method.fit(*digits()[:2])
    return method


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_laws(law: Law[MethodCase], share: float) -> None:
    law(case(Monotone, share))


def linear(weights: list[float], signs: list[float], tau: float) -> Monotone:
    """``tau + sum_i w_i s_i x_i``."""
    method = Monotone(Options(shape=(1, 1, len(weights))), SETTINGS[0])
    first, last = NonNegativeLinear(len(weights), 1), nn.Flatten(0)
    with torch.no_grad():
        first.weight, first.bias = (torch.tensor([weights]), nn.Parameter(torch.zeros(1)))
    phi = Compose(Flatten((1, 1, len(weights))), Scale(signs, [0.0] * len(weights)))
    method.network = FeatureConvexModel(phi, nn.Sequential(first, last)).double().eval()
    method.tau.fill_(tau)
    return method


def test_a_linear_score_has_the_distance_to_its_hyperplane() -> None:
    method = linear([1.0, 2.0, 0.0, 5.0], [1, -1, 1, 0], 0.25)
    x = torch.tensor([[[[0.75, 0.25, 0.5, 0.5]]], [[[0.0, 1.0, 0.0, 0.0]]]])
    radius = method.certify(x, "certified")[LINF]
    # Margin 0.25 + 0.75 - 0.5 = 0.5, and weights that count sum to 3.
    assert radius == pytest.approx([0.5 / 3, 0.0])
    assert radius[0] <= 0.5 / 3


def test_inside_the_cube_a_pixel_that_is_at_its_end_pays_no_more() -> None:
    method = linear([1.0, 2.0], [1, -1], 0.5)
    x = torch.tensor([[[[0.1, 0.5]]], [[[0.1, 0.9]]], [[[1.0, 0.0]]]])
    # First: margin -0.4. Second: -1.2. Third: 1.5, falling by 3 r.
    assert method.certify(x, "domain")[LINF] == pytest.approx([0, 0, 0.5])
    method.tau.fill_(1.25)
    # First: margin 0.35 falls by 3 r up to r = 0.1, by 2 r beyond.
    expected = 0.1 + 0.05 / 2
    assert method.certify(x[:1], "domain")[LINF] == pytest.approx([expected])
    assert method.certify(x[:1], "certified")[LINF] == pytest.approx([0.35 / 3])
    method.tau.fill_(2.0001)
    assert method.certify(x[:1], "domain")[LINF].tolist() == [math.inf]
    method.tau.fill_(2.0)
    assert method.certify(x[:1], "domain")[LINF][0] <= 0.5, "a tie in the last corner flips"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("level", ["certified", "domain"])
def test_the_radius_is_exact(seed: int, level: str) -> None:
    """No corner or point of a grid inside the radius flips; the worst corner just beyond does."""
    torch.manual_seed(seed)
    method = Monotone(Options(shape=(1, 1, 3)), SETTINGS[0])
    with torch.no_grad():
        for layer in method.network.modules():
            if isinstance(layer, nn.Linear):
                layer.weight = layer.weight * 4  # so that the activations bend
        method.orientation.scale.copy_(torch.tensor([1.0, -1.0, 1.0]))
        method.tau.fill_(-float(method.scores(torch.full((1, 1, 1, 3), 0.5))[0]) + 0.2)
    x = torch.rand(20, 1, 1, 3, dtype=torch.float64)
    radius = torch.from_numpy(method.certify(x, level)[LINF])
    assert bool(((radius > 0).numpy() == method.predict(x)).all())
    rows = torch.nonzero((radius > 0) & torch.isfinite(radius))[:, 0]
    assert len(rows)
    flipped = torch.zeros(len(rows), dtype=torch.bool)
    for direction in itertools.product(np.linspace(-1, 1, 5), repeat=3):
        step = torch.tensor(direction).reshape(1, 1, 1, 3) * radius[rows].reshape(-1, 1, 1, 1)
        for factor, inside in ((1 - 1e-9, True), (1 + 1e-5, False)):
            moved = x[rows] + factor * step
            flags = method.predict(moved.clamp(0, 1) if level == "domain" else moved)
            if inside:
                assert flags.all()
            else:
                flipped |= ~torch.from_numpy(flags)
    assert bool(flipped.all())


def test_evidence_never_removes_a_flag() -> None:
    method, x = fitted(0.1), digits()[2].x
    flagged = x[torch.from_numpy(method.predict(x))].double()
    sign = method.orientation.scale.reshape(1, 1, 8, 8)
    for size in (0.01, 0.3, 10.0, 1e4):
        assert method.predict(flagged + size * torch.rand_like(flagged) * sign).all()
    assert not method.predict(flagged - 10 * sign).any()


def test_the_cube_helps_and_training_against_the_attacker_helps() -> None:
    x, y = digits()[2].x, digits()[2].y
    medians = []
    for share in (0.0, 0.1):
        method = fitted(share)
        certified, domain = (method.certify(x, level)[LINF] for level in method.levels)
        assert (domain >= certified * (1 - 1e-9)).all()
        medians.append(np.median(certified[y.numpy() > 0]))
    assert medians[1] > 1.2 * medians[0]


def test_tables_have_no_domain() -> None:
    fitting, validation, test = (Points(p.x.flatten(1) * 6 - 3, p.y) for p in digits())
    method = Monotone(Options(shape=(64,), epochs=20), {"epsilon_share": 0.05})
    method.fit(fitting, validation)
    radius = method.certify(test.x, "certified")[LINF]
    assert ((radius > 0) == method.predict(test.x)).all()
    with pytest.raises(UserError, match="needs images"):
        method.certify(test.x, "domain")


def test_a_score_that_cannot_fall_is_certified_for_ever() -> None:
    method = linear([0.0, 0.0], [1, 1], 1.0)
    x = torch.zeros(1, 1, 1, 2)
    for level in method.levels:
        assert method.certify(x, level)[LINF].tolist() == [math.inf]


def test_directions_are_those_of_the_class_means() -> None:
    x = torch.tensor([[0.0, 1, 5, 2], [2, 1, 5, 2], [3, 0, 5, 2], [5, 0, 5, 2]])
    orientation = Scale(torch.ones(4), torch.zeros(4))
    orient_(orientation, Points(x, torch.tensor([0, 0, 1, 1])))
    assert orientation.scale.tolist() == [1, -1, 0, 0]
    assert orientation(torch.tensor([[2.5, 0.5, 9.0, 9.0]])).tolist() == [[0, 0, 0, 0]]


def test_the_corner_is_the_worst_of_all() -> None:
    torch.manual_seed(0)
    method = Monotone(Options(shape=(3,)), SETTINGS[0])
    sign = torch.tensor([1.0, -1.0, 0.0])
    method.orientation.scale.copy_(sign)
    x, r = torch.randn(10, 3, dtype=torch.float64), torch.rand(10, dtype=torch.float64) * 2
    worst = method.score(lowered(x, sign, r))
    for direction in itertools.product((-1.0, -0.5, 0.0, 0.5, 1.0), repeat=3):
        moved = x + r[:, None] * torch.tensor(direction, dtype=torch.float64)
        assert bool((method.score(moved) >= worst - 1e-12).all())


class TooFar(Monotone):
    """Says more than it proves."""

    def certify(self, x: Tensor, level: str) -> Radii:
        return {p: 1.2 * radius for p, radius in super().certify(x, level).items()}


class HalfTheWeight(Monotone):
    """Certifies a network whose features count half, at points that both flag."""

    def certify(self, x: Tensor, level: str) -> Radii:
        honest = super().certify(x, level)
        with torch.no_grad():
            self.orientation.scale.mul_(0.5)
            found = super().certify(x, level)
            self.orientation.scale.mul_(2.0)
        return {p: np.maximum(honest[p], radius) for p, radius in found.items()}


@pytest.mark.parametrize("fault", [TooFar, HalfTheWeight])
def test_the_laws_see_planted_faults(fault: type[Monotone]) -> None:
    with pytest.raises(AssertionError, match="the flag went away"):
        survives_perturbations(case(fault, 0.1))
