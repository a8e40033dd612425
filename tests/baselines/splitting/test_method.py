import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from tests.baselines.cases import digits, options

from featureconvex.baselines import Options
from featureconvex.baselines.splitting.method import SHORTER, Splitting
from featureconvex.baselines.splitting.noise import SplitNoise
from featureconvex.certificates import Guarantee
from featureconvex.testing import METHOD_LAWS, MethodCase
from featureconvex.testing.law import Law
from featureconvex.testing.method import fitted, survives_perturbations
from featureconvex.training.points import Points

SIGMA = {"sigma": 0.75}
CASE = MethodCase(lambda: Splitting(options(12), SIGMA), *digits(), attempts=16)


def cancer() -> tuple[Points, Points, Points]:
    """Breast cancer, standardised: malignant is sensitive."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    points = torch.tensor(x, dtype=torch.float32), torch.tensor(data.target == 0).long()
    parts = [slice(0, 250), slice(250, 330), slice(330, 360)]
    fitting, validation, test = (Points(points[0][part], points[1][part]) for part in parts)
    return fitting, validation, test


def cancer_method() -> Splitting:
    return Splitting(Options(shape=(30,), task="breast-cancer", epochs=10), SIGMA)


@pytest.mark.parametrize("law", METHOD_LAWS, ids=lambda law: law.__name__)
def test_laws(law: Law[MethodCase]) -> None:
    law(CASE)


def test_tables_survive_perturbations() -> None:
    survives_perturbations(MethodCase(cancer_method, *cancer(), attempts=16))


def watcher(offsets: int, channel: int, weight: float, tau: float) -> Splitting:
    """Of one pixel: the base classifier's score is ``weight`` where the split shows the channel."""
    method = Splitting(Options(shape=(1, 1, 1)), SIGMA)
    method.noise = SplitNoise(0.5, 0.5, offsets)
    with torch.no_grad():
        for parameter in method.network.parameters():
            parameter.zero_()
        method.network.first.weight[0, channel] = 1
        method.network.second.weight[0, 0] = 1
        method.network.third.weight[0, 0] = weight
    method.tau.fill_(tau)
    method.starts.fill_(17)
    return method


def test_votes_count_the_offsets() -> None:
    # Sensitive unless the pixel, at level z, is seen below its split: at all but 255 - z offsets.
    method = watcher(offsets=400, channel=2, weight=-1, tau=0.5)
    x = torch.tensor([0, 60, 100, 255]).reshape(4, 1, 1, 1) / 255
    assert np.array_equal(method.surplus(x), [-55, 5, 45, 200])
    assert np.array_equal(method.predict(x), [False, True, True, True])
    radii = method.certify(x, "certified")[1.0]
    assert np.allclose(radii, np.array([0, 5, 45, 200]) / 255 * SHORTER, rtol=1e-6)


@pytest.mark.parametrize("z", [151, 200, 254.5, 160.123])
def test_a_radius_is_the_distance_where_the_bound_is_attained(z: float) -> None:
    # Flagged if and only if the pixel is above more than 301 / 2 of 301 splits.
    method = watcher(offsets=301, channel=0, weight=1, tau=-0.5)
    x = torch.tensor([[[[z / 255]]]], dtype=torch.float64)
    radius = method.certify(x, "certified")[1.0][0]
    assert math.isclose(radius, (z - 150.5) / 255, rel_tol=3e-4)
    assert method.predict(x - radius * (1 - 1e-9)).all()
    assert not method.predict(x - radius - 2e-4 / 255 - 2e-4 * radius).any()


def test_a_greedy_attack_needs_more_than_the_radius() -> None:
    method = fitted(CASE)
    assert isinstance(method, Splitting)
    x, flags = CASE.test.x, method.predict(CASE.test.x)
    surplus = np.where(flags & (CASE.test.y.numpy() > 0), method.surplus(x), np.inf)
    row = int(surplus.argmin())
    point, radius = x[row], method.certify(x[row : row + 1], "certified")[1.0][0]
    best = float(surplus[row])
    step = math.ceil(best / 4) / 255
    while best > 0:
        moves = torch.cat((torch.eye(64), -torch.eye(64))).reshape(-1, 1, 8, 8) * step
        candidates = (point + moves).clamp(0, 1)
        found = method.surplus(candidates)
        point, best = candidates[int(found.argmin())], min(best, float(found.min()))
        if float((point - x[row]).abs().sum()) > 8 * radius:
            break
    assert float((point - x[row]).abs().sum()) > radius
    assert best <= 0  # or this attack shows nothing


def test_settings_are_the_papers() -> None:
    assert [s["sigma"] for s in Splitting.settings(options(1))] == [0.75, 1.5, 2.25, 3]
    malimg = Options(shape=(1, 512, 512), task="malimg")
    assert [s["sigma"] for s in Splitting.settings(malimg)] == [3.5, 7, 10.5, 14]


@pytest.mark.parametrize("offsets", [662, 1325, 1987, 2650, 12367])
def test_what_real_perturbations_cost_is_less_than_a_step_of_the_grid(offsets: int) -> None:
    # So on the grid the paper's certificate is had in full: k < votes - Q / 2 levels are inside.
    votes = np.arange(offsets // 2 + 1, offsets + 1)
    most = np.ceil(votes - offsets / 2) - 1
    radii = (votes - offsets / 2 - 1e-6) / 255 * SHORTER
    assert (most / 255 < radii).all()


def test_its_guarantee_includes_rounding() -> None:
    assert Splitting.levels == {"certified": Guarantee.sound}
