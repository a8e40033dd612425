"""The parts of the soundness campaign, each against an obvious truth."""

import math
from fractions import Fraction
from itertools import product

import flint
import numpy as np
import pytest
import torch
from torch import nn

import featureconvex as fc
from featureconvex.certificates import L0, Edits, Lp, Patch, Threat
from featureconvex.errors import UserError
from featureconvex.testing.soundness.attack_points import Attacker, foolbox_knows
from featureconvex.testing.soundness.cases.case import Case
from featureconvex.testing.soundness.cases.random import random_case
from featureconvex.testing.soundness.cases.random_features import FEATURES
from featureconvex.testing.soundness.cases.random_models import NETWORKS, reweighted
from featureconvex.testing.soundness.verdict.bounded_margin import BoundedMargin
from featureconvex.testing.soundness.verdict.budget import covered
from featureconvex.testing.soundness.verdict.judge import Judge
from featureconvex.testing.soundness.verdict.sized import Sized

DTYPES = [np.float64, np.longdouble]


def used(case: Case, dtype: type) -> float:
    """The largest share of its bound by which a computed margin is off, against balls of 384 bits."""
    points = case.x.double().numpy() * 3 - 1
    margin, bound = BoundedMargin(case.model, dtype)(points)
    judge = Judge(case.model)
    return max(
        judge.verdict(point).distance(value) / float(limit)
        for point, value, limit in zip(points, margin, bound, strict=True)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(2 * len(FEATURES)))
def test_margins_are_within_their_bounds(number: int, dtype: type) -> None:
    """Every network and feature map that the campaign draws; not absurdly loose either."""
    case = random_case(number, seed=1, points=4)
    assert 0 <= used(case, dtype) <= 1
    _, bound = BoundedMargin(case.model, dtype)(case.x.double().numpy())
    assert np.isfinite(bound).all()


def test_sizes_that_are_too_small_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("times", "plus"):
        true = getattr(Sized, name)

        def careless(self: Sized, other: object, true: object = true) -> Sized:
            out = true(self, other)  # type: ignore[operator]
            return Sized(out.value, out.size * 1e-3, out.count)

        monkeypatch.setattr(Sized, name, careless)
    assert max(used(random_case(k, seed=1, points=10), np.float64) for k in range(7)) > 1


def test_weights_that_may_underflow_get_no_bound() -> None:
    net = fc.nn.MaxAffine(2, 1).double()
    model = fc.FeatureConvexModel(fc.features.Identity(), net)
    with torch.no_grad():
        net.affine.weight.fill_(2.0**70)
    _, bound = BoundedMargin(model)(np.ones((1, 2)))
    assert bound == np.inf


ENDS = (np.full(3, -np.inf), np.full(3, np.inf))
X = np.array([0.5, 0.25, 0.0])


BOOLEAN = Edits(cost=[2.0, math.inf, 1.0], blocks=[2], price=3.0)


@pytest.mark.parametrize(
    ("threat", "radius", "point", "expected"),
    [
        (Lp(1), 0.5, [1.0, 0.25, 0.0], False),
        (Lp(1), np.nextafter(0.5, 1), [1.0, 0.25, 0.0], True),
        (Lp(1), 0.5, [0.75, 0.0, 0.0], False),
        (Lp(1), 0.5, [0.75, 0.0, 1e-300], False),
        (Lp(1), 0.5, [0.75, 2.0**-60, 0.0], True),
        (Lp(2), 5.0, [3.5, 4.25, 0.0], False),
        (Lp(2), np.nextafter(5, 6), [3.5, 4.25, 0.0], True),
        (Lp(2), 5.0, [3.5, np.nextafter(4.25, 0), 0.0], True),
        (Lp(math.inf), 1.0, [1.5, 1.0, 0.5], False),
        (Lp(math.inf), 1.0, [1.0, 1.0, 0.5], True),
        (Lp(3), 1.0, [1.5, 0.25, 0.0], False),
        (Lp(1.5), 1.0, [1.5, 0.25, 0.0], False),
        (Lp(1.5), np.nextafter(1, 2), [1.5, 0.25, 0.0], True),
        (Lp(1, [2.0, 1.0, math.inf]), 1.0, [1.0, 0.25, 0.0], False),
        (Lp(1, [2.0, 1.0, math.inf]), 1.1, [1.0, 0.25, 0.0], True),
        (Lp(1, [2.0, 1.0, math.inf]), math.inf, [1.0, 0.25, 0.1], False),
        (Lp(2), math.inf, [1e9, 0.0, 0.0], True),
        (L0(), 1, [9.0, 0.25, 0.0], True),
        (L0(), 1, [9.0, 0.25, 1e-300], False),
        (L0(), math.inf, [9.0, 9.0, 9.0], True),
        (L0([0, 0, 1]), 1, [9.0, 9.0, 0.0], True),
        (Patch(2), 2, [0.5, 9.0, 9.0], True),
        (Patch(2), 2, [9.0, 0.25, 9.0], False),
        (Patch(2), 0, [0.5, 9.0, 9.0], False),
        (BOOLEAN, 3, [0.5, 0.25, 1.0], False),
        (BOOLEAN, np.nextafter(3, 4), [0.5, 0.25, 1.0], True),
        (BOOLEAN, 4, [1.0, 0.25, 1.0], False),
        (BOOLEAN, 4, [np.nextafter(1, 0), 0.25, 1.0], True),
        (BOOLEAN, math.inf, [0.5, 0.25, 0.5], False),
        (BOOLEAN, math.inf, [0.5, np.nextafter(0.25, 1), 0.0], False),
        (BOOLEAN, math.inf, [9.0, 0.25, 0.0], True),
        (Edits(whole=[0]), 1.5, [1.5, 0.25, 0.0], True),
        (Edits(whole=[0]), 1.5, [1.0, 0.25, 0.0], False),
    ],
)
def test_a_radius_speaks_about_budgets_below_it(
    threat: Threat, radius: float, point: list[float], expected: bool
) -> None:
    assert covered(threat, float(radius), X, np.array(point), ENDS) is expected


@pytest.mark.parametrize(
    ("radius", "point", "expected"),
    [
        (2.0, [0.0, 1.0, 0.0], False),
        (2.5, [0.0, 1.0, 0.0], True),
        (math.inf, [0.0, 0.0, 1.0], False),
        (math.inf, [0.0, 1.0, 1.0], False),
        (math.inf, [0.0, 0.0, 0.0], False),
    ],
)
def test_edits_of_a_category_have_the_price_between_its_levels(
    radius: float, point: list[float], expected: bool
) -> None:
    prices = [[0, 2, math.inf], [1, 0, math.inf], [1, 1, 0]]
    threat = Edits(blocks=[[0, 1, 2]], price=[prices])
    x = np.array([1.0, 0.0, 0.0])
    assert covered(threat, radius, x, np.array(point), ENDS) is expected


def test_points_outside_the_domain_are_not_covered() -> None:
    ends = (np.zeros(3), np.array([1.0, 1.0, 0.0]))
    assert covered(Lp(1), 1.0, X, np.array([1.0, 0.25, 0.0]), ends)
    for point in ([0.5, 0.25, 1e-300], [np.nextafter(1, 2), 0.25, 0.0], [math.nan, 0.25, 0.0]):
        assert not covered(Lp(1), 1.0, X, np.array(point), ends)


def test_the_judge_knows_ties_from_the_smallest_margins() -> None:
    net = fc.nn.MaxAffine(1, 1).double()
    with torch.no_grad():
        net.affine.weight.fill_(1.0)
        net.affine.bias.fill_(-1.0)
    judge = Judge(fc.FeatureConvexModel(fc.features.Identity(), net))
    assert judge.verdict(np.array([1 + 2.0**-52])).positive
    tie = judge.verdict(np.array([1.0]))
    assert not tie.positive
    assert tie.margin == 0
    assert tie.exact == Fraction(0)
    assert tie.distance(np.float64(0.25)) == 0.25
    assert not judge.verdict(np.array([1 - 2.0**-53])).positive


def test_a_tie_of_a_smooth_model_is_not_guessed() -> None:
    net = fc.nn.ConvexMLP(1, (1,), activation="elu").double()
    for raw in net.parameters():
        nn.init.zeros_(raw)
    judge = Judge(fc.FeatureConvexModel(fc.features.Identity(), net))
    with pytest.raises(UserError, match="zero to thousands of bits"):
        judge.verdict(np.zeros(1))


def test_distances_see_the_digits_of_longer_numbers() -> None:
    net = fc.nn.MaxAffine(1, 1).double()
    with torch.no_grad():
        net.affine.weight.fill_(1.0)
        net.affine.bias.fill_(1.0)
    verdict = Judge(fc.FeatureConvexModel(fc.features.Identity(), net)).verdict(np.array([0.0]))
    assert verdict.distance(np.longdouble(1) + np.finfo(np.longdouble).eps) == float(
        np.finfo(np.longdouble).eps
    )


SETTINGS = [
    (Lp(1), fc.Unbounded()),
    (Lp(2), fc.Box(0, 1)),
    (Lp(math.inf, [1.0, 2.0, math.inf, 0.5]), fc.Box(0, 1)),
    (L0(), fc.Box(0, 1, direction=[1, -1, 0, 0])),
    (Patch(2), fc.Box(0, 1)),
]


@pytest.mark.parametrize("index", range(len(SETTINGS)))
def test_points_spend_the_radius_and_stay_inside(index: int) -> None:
    """For an affine model the steepest point takes the margin down to what was left unspent."""
    torch.manual_seed(0)
    net = fc.nn.MaxAffine(4, 1).double()
    model = fc.FeatureConvexModel(fc.features.Identity(), net, tau=2.0).eval()
    x = torch.rand(6, 4, dtype=torch.float64)
    case = Case("affine", "identity", "initial", model, x, SETTINGS)
    threat, domain = SETTINGS[index]
    radius = fc.certify(model, x, threat, domain, "domain").radius
    radius = np.where(np.isinf(radius), 1e9, radius)
    tries = Attacker.of(case, index).points(torch.from_numpy(np.stack([radius, radius / 2])))
    assert tries.shape[:2] == (2, 6)
    assert torch.equal(tries[1, :, -1], x)
    inside = []
    low, high = (end.numpy() for end in domain.bounds(x))
    for row in range(6):
        for point in tries[0, row].numpy():
            ends = (low[row], high[row])
            inside.append(covered(threat, float(radius[row]), x[row].numpy(), point, ends))
    assert np.mean(inside) > 0.9
    with torch.no_grad():
        margin, before = model(tries[0, :, 0]), model(x)
    if isinstance(threat, Lp):
        reached = torch.from_numpy(radius < 1e9)
        assert bool((margin[reached] < 1e-9 * before[reached]).all())
    assert bool((margin <= before).all())


def test_foolbox_is_asked_what_it_can_do() -> None:
    assert foolbox_knows(Lp(2), fc.Box(0, 1))
    assert foolbox_knows(L0(), fc.Box(0, 1))
    assert not foolbox_knows(Lp(2), fc.Unbounded())
    assert not foolbox_knows(Lp(3), fc.Box(0, 1))
    assert not foolbox_knows(Lp(2, [1.0, 2.0]), fc.Box(0, 1))
    assert not foolbox_knows(Lp(2), fc.Box(0, 1, direction=1))
    assert not foolbox_knows(Patch(2), fc.Box(0, 1))


def test_random_cases_repeat_and_cover_everything() -> None:
    seen: set[tuple[str, str]] = set()
    precisions: set[tuple[str, torch.dtype]] = set()
    styles: dict[str, set[str]] = {name: set() for name in FEATURES}
    for number in range(12 * len(FEATURES)):
        case = random_case(number, seed=0, points=5)
        seen.add((case.architecture, case.features))
        precisions.add((case.features, case.model.dtype))
        styles[case.features].add(case.origin)
        # Inputs on both sides, and every point in every domain.
        with torch.no_grad():
            assert bool((case.model(case.x) > 0).any())
        assert all(bool(domain.contains(case.x).all()) for _, domain in case.settings)
    assert set(NETWORKS) <= {architecture for architecture, _ in seen}
    assert len(seen) > 80
    # Counted in step with the maps, a precision once met only half of them.
    assert precisions == set(product(FEATURES, (torch.float32, torch.float64)))
    assert all(len(origins) >= 4 for origins in styles.values())
    for number in (3, 7, 15):
        one, two = random_case(number, 0, 5), random_case(number, 0, 5)
        assert torch.equal(one.x, two.x)
        assert all(
            torch.equal(a, b)
            for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True)
        )
        assert [repr(s) for s in one.settings] == [repr(s) for s in two.settings]


def test_drawn_weights_keep_networks_convex() -> None:
    for style in ("initial", "normal", "heavy", "large", "small", "few bits"):
        net = NETWORKS["mlp, batch norm"]((4,))
        reweighted(net, style)
        fc.nn.prove_convex(net)


def test_balls_need_no_more_than_their_module() -> None:
    assert isinstance(Judge(random_case(0, 0, 2).model).balls.number(0), flint.arb)


@pytest.mark.parametrize("network", [name for name in NETWORKS if "convnet" in name])
@pytest.mark.parametrize("shape", [(2, 1, 1), (4, 1, 3), (1, 6, 6)])
def test_every_network_fits_the_images_that_maps_leave(
    network: str, shape: tuple[int, ...]
) -> None:
    """Pooling maps may leave a single pixel; a campaign must not end there."""
    net = NETWORKS[network](shape).eval()
    assert net(torch.zeros(2, *shape)).numel() == 2
