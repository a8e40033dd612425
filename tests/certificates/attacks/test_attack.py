"""Attacks: never below a certificate, near the truth where it is known, honest about what they found."""

import dataclasses
import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from tests.across_batches import margins_apart
from torch import Tensor

from featureconvex import (
    L0,
    Box,
    FeatureConvexModel,
    Lp,
    Patch,
    Unbounded,
    UserError,
    attack,
    certify,
)
from featureconvex.certificates import Domain, Threat
from featureconvex.certificates.attacks import verify
from featureconvex.certificates.levels import Tight
from featureconvex.features import AbsConcat, Center, Compose, Identity, Scale
from featureconvex.nn import ConvexMLP, MaxAffine, project_
from featureconvex.testing import balanced, grid, max_affine_radius
from featureconvex.testing import best_move as reference_move

EXPONENTS = (1.0, 1.5, 2.0, math.inf)
COST = torch.tensor([0.5, 2.0, math.inf, 1.0, 3.0], dtype=torch.float64)
X = grid((10, 5), 2**-8, seed=60)
IN_BOX = X.abs().clamp(0, 1)
ONE_WAY = Box(0, 1, immutable=[False, True, False, False, False], direction=[1, 0, -1, 0, 0])


def mlp(features: Any, inputs: Tensor, factor: int = 1) -> FeatureConvexModel:
    net = ConvexMLP(inputs.shape[1] * factor, (8, 5))
    return balanced(FeatureConvexModel(features, net), inputs).double().eval()


def honest(result: Any, model: FeatureConvexModel, x: Tensor) -> None:
    """Everything an attack reports, measured again from the outside."""
    points = torch.as_tensor(result.adversarial)
    assert points.dtype == model.dtype
    with torch.no_grad():
        margin = model(points)
    # The search measured them in batches of its own.
    assert np.allclose(margin.numpy(), result.margin, rtol=0, atol=margins_apart(model, points))
    moved = points.double() - x.to(model.dtype).double()
    price = result.threat.measure(moved).numpy()
    lo, hi = result.domain.bounds(x.to(model.dtype))
    inside = ((points.double() >= lo) & (points.double() <= hi)).flatten(1).all(1).numpy()
    found = result.found
    assert (result.margin[found] <= 0).all()
    assert inside[found].all()
    assert np.array_equal(result.distance[found], price[found])
    assert np.isnan(result.distance[~found]).all()
    if result.budget is not None:
        assert (result.distance[found] <= result.budget[found]).all()


THREATS: tuple[Threat, ...] = (
    *(Lp(p) for p in EXPONENTS),
    *(Lp(p, COST) for p in EXPONENTS),
    L0(),
    L0([0, 0, 1, 1, 2]),
    Patch(2),
)


@pytest.mark.parametrize("threat", THREATS, ids=repr)
@pytest.mark.parametrize(
    "features", [Identity(), Compose(Center(0.25), AbsConcat())], ids=["x", "abs"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_never_inside_a_certificate_and_honest(
    threat: Threat, features: Any, dtype: torch.dtype
) -> None:
    for domain, x in ((Unbounded(), X), (Box(0, 1), IN_BOX), (ONE_WAY, IN_BOX)):
        model = mlp(features, x, 1 if isinstance(features, Identity) else 2).to(dtype)
        radius = certify(model, x, threat, domain, "domain").radius
        result = attack(model, x, threat, domain, steps=15)
        honest(result, model, x)
        far = result.distance[result.found]
        reach = radius[result.found]
        if isinstance(threat, Lp):
            assert (far >= reach * (1 - 1e-5)).all()
        else:
            assert (far > reach - (reach == 0)).all()
        if isinstance(threat, Lp) and threat.cost is None and isinstance(domain, Unbounded):
            assert result.found.all()


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("cost", [None, COST], ids=["plain", "cost"])
@pytest.mark.parametrize("where", ["free", "box"])
def test_converges_to_the_exact_radius(p: float, cost: Tensor | None, where: str) -> None:
    """Maxima of affine functions, solved by linear and quadratic programs."""
    x, domain = (X, Unbounded()) if where == "free" else (IN_BOX, Box(0, 1))
    net = MaxAffine(5, 6)
    model = balanced(FeatureConvexModel(Scale([2.0, -0.5, 1.0, 3.0, 1.0]), net), x).double().eval()
    weight = net.affine.weight.detach() * model.feature_map.scale  # type: ignore[operator]
    with torch.no_grad():
        values = net.affine(model.feature_map(x)) + model.tau
    result = attack(model, x, Lp(p, cost), domain, steps=150)
    lo, hi = domain.bounds(x)
    gaps = []
    for i in range(len(x)):
        if values[i].max() <= 0:
            assert result.distance[i] == 0
            continue
        truth = max_affine_radius(
            weight.numpy(),
            values[i].numpy(),
            p,
            None if cost is None else cost.numpy(),
            (lo - x)[i].numpy(),
            (hi - x)[i].numpy(),
        )
        if result.found[i]:
            assert result.distance[i] >= truth * (1 - 1e-6)
        if math.isfinite(truth):
            gaps.append(result.distance[i] / truth - 1)
    assert len(gaps) >= 2
    assert np.isfinite(gaps).mean() >= 0.8
    assert np.median(gaps) <= 0.01


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_close_to_the_exact_radius_of_a_trained_network(p: float) -> None:
    """Handwritten digits, against the brackets that level ``tight`` closes."""
    data = load_digits()
    chosen = np.isin(data.target, (3, 8))
    x = torch.as_tensor(data.data[chosen] / 16).float()
    sign = torch.where(torch.as_tensor(data.target[chosen]) == 3, 1.0, -1.0)
    net = ConvexMLP(64, (40, 20))
    model = FeatureConvexModel(Center(x.mean(0)), net)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.softplus(-sign * net(model.feature_map(x))).mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        project_(model)
    model.eval()
    with torch.no_grad():
        x = x[model(x) > 0][:25]
    exact = certify(model, x, Lp(p), Box(0, 1), Tight(tolerance=2e-3))
    result = attack(model, x, Lp(p), Box(0, 1))
    gap = result.distance / exact.radius - 1
    assert (gap >= -1e-5).all()
    assert np.median(gap) <= 0.01
    assert np.quantile(gap, 0.95) <= 0.05


@pytest.mark.parametrize("p", EXPONENTS)
def test_a_budget_is_used_and_kept(p: float) -> None:
    model = mlp(Identity(), IN_BOX)
    smallest = attack(model, IN_BOX, Lp(p), Box(0, 1), steps=200)
    sure = smallest.found & (smallest.distance > 0)
    assert sure.any()
    budget = np.where(smallest.found, smallest.distance, 1.0)
    more = attack(model, IN_BOX, Lp(p), Box(0, 1), budget=budget * 1.03)
    honest(more, model, IN_BOX)
    assert more.found[smallest.found].all()
    less = attack(model, IN_BOX, Lp(p), Box(0, 1), budget=budget * 0.97)
    honest(less, model, IN_BOX)
    assert not less.found[sure].any()
    none = attack(model, IN_BOX, Lp(p), Box(0, 1), budget=0)
    assert np.array_equal(none.found, smallest.distance == 0)


def test_counts_and_windows_against_enumeration() -> None:
    """Corners of every support: an attack finds at least as cheap a flip as the cheapest of them."""
    model = mlp(Identity(), IN_BOX)
    counts = attack(model, IN_BOX, L0(), Box(0, 1))
    grouped = attack(model, IN_BOX, L0([0, 0, 1, 1, 2]), Box(0, 1))
    windows = attack(model, IN_BOX, Patch(2), Box(0, 1))
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for i in range(len(IN_BOX)):
        for k in range(1, 6):
            for support in itertools.combinations(range(5), k):
                points = IN_BOX[i].repeat(2**k, 1)
                points[:, support] = torch.cartesian_prod(*[ends] * k).reshape(-1, k)
                with torch.no_grad():
                    flips = bool((model(points) <= 0).any())
                if flips:
                    assert counts.found[i]
                    assert counts.distance[i] <= k
                    assert grouped.distance[i] <= k
                    if support[-1] - support[0] <= 1:
                        assert windows.found[i]


def test_free_coordinates_can_be_few() -> None:
    model = mlp(Identity(), X)
    for threat in (L0(), L0([0, 0, 1, 1, 2]), Patch(3)):
        result = attack(model, X, threat)
        honest(result, model, X)
        assert result.found.mean() >= 0.5


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("cost", [None, COST], ids=["plain", "cost"])
def test_best_moves_are_best(p: float, cost: Tensor | None) -> None:
    """No random move within the budget descends further; the independent reference agrees."""
    torch.manual_seed(0)
    g, budget = torch.randn(30, 5, dtype=torch.float64), torch.rand(30, dtype=torch.float64) * 2
    lo, hi = -torch.rand(30, 5, dtype=torch.float64), torch.rand(30, 5, dtype=torch.float64)
    hi[:, 0] = math.inf
    if cost is not None:
        lo, hi = (end.masked_fill(torch.isinf(cost), 0.0) for end in (lo, hi))
    threat = Lp(p, cost)
    move = threat.best_move(g, budget, lo, hi)
    assert ((move >= lo) & (move <= hi)).all()
    assert (threat.measure(move) <= budget * (1 + 1e-9)).all()
    fall = (g * move).sum(1)
    for _ in range(100):
        other = threat.project(torch.randn_like(g) * 2, budget, lo, hi)
        assert (fall <= (g * other).sum(1) + 1e-9).all()
    reference = (g * reference_move(g, threat, budget, -lo, hi)).sum(1)
    assert torch.allclose(fall, reference, rtol=1e-4, atol=1e-6)


def test_rows_that_cannot_be_attacked() -> None:
    model = mlp(Identity(), IN_BOX)
    x = IN_BOX.clone()
    x[0, 0], x[1, 1] = math.nan, 2.0
    result = attack(model, x, Lp(2), Box(0, 1))
    assert not result.found[:2].any()
    fixed = attack(model, IN_BOX, Lp(2), Box(0, 1, immutable=True))
    with torch.no_grad():
        assert np.array_equal(fixed.found, (model(IN_BOX) <= 0).numpy())
    empty = attack(model, IN_BOX[:0], L0())
    assert len(empty) == 0
    assert empty.adversarial.shape == (0, 5)


def test_rounding_cannot_leave_a_box_that_floats_miss() -> None:
    """0.1 and 0.7 are no float32 numbers: the last float inside is used, not the nearest one."""
    x = IN_BOX.float() * 0.5 + 0.15
    model = mlp(Identity(), x.double()).float()
    box = Box(0.1, 0.7)
    result = attack(model, x, Lp(math.inf), box, budget=10.0)
    honest(result, model, x.double())
    assert box.contains(torch.as_tensor(result.adversarial)).all()
    assert result.found.any()


def test_takes_a_fitted_classifier_and_images() -> None:
    @dataclasses.dataclass
    class Fitted:
        model_: FeatureConvexModel

    images = IN_BOX[:, :4].reshape(10, 1, 2, 2)
    net = ConvexMLP(4, (6,))
    model = balanced(FeatureConvexModel(Identity(), net), images).double()
    model.train()
    result = attack(Fitted(model), images.numpy(), Patch(1), Box(0, 1))
    assert result.adversarial.shape == (10, 1, 2, 2)
    assert model.training
    assert attack(Fitted(model), images.numpy()).threat.name == "l2"


def test_restarts_do_no_harm() -> None:
    model = mlp(AbsConcat(), X, 2)
    one = attack(model, X, Lp(2), steps=30)
    many = attack(model, X, Lp(2), steps=30, restarts=3)
    assert (many.distance <= one.distance).all()
    again = attack(model, X, Lp(2), steps=30, restarts=3)
    assert np.array_equal(again.distance, many.distance)


BAD: dict[str, Any] = {
    "method": {"method": "luck"},
    "budget": {"budget": -1.0},
    "budget shape": {"budget": [1.0, 2.0]},
    "steps": {"steps": 0},
    "restarts": {"restarts": 0},
}


@pytest.mark.parametrize("name", BAD)
def test_refusals(name: str) -> None:
    with pytest.raises(UserError):
        attack(mlp(Identity(), X), X, **BAD[name])
    with pytest.raises(UserError, match="FeatureConvexModel"):
        attack(ConvexMLP(5, (3,)), X)


def test_a_careless_search_reports_nothing_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: points that overshoot the box. The last measurement refuses them."""

    def careless(target: Any, delta: Tensor) -> Tensor:
        point: Tensor = (target.x + delta * 1.5).to(target.model.dtype)
        return point

    monkeypatch.setattr(verify, "cast", careless)
    model = mlp(Identity(), IN_BOX).float()
    honest(attack(model, IN_BOX.float(), Lp(2), Box(0, 1), steps=10), model, IN_BOX)


def test_a_planted_optimist_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances measured before the cast and the last nudge, 1 % too small, fail the honesty test."""
    real = verify.verified

    def optimist(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
        points, margin, distance = real(*args)
        return points, margin, distance * 0.99

    monkeypatch.setattr("featureconvex.certificates.attacks.search.verified", optimist)
    model = mlp(Identity(), IN_BOX)
    with pytest.raises(AssertionError):
        honest(attack(model, IN_BOX, Lp(2), Box(0, 1), steps=10), model, IN_BOX)


@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(math.inf), L0()], ids=repr)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_foolbox_agrees(threat: Threat) -> None:
    domain: Domain = Box(-1, 3)
    x = IN_BOX * 2
    model = mlp(Identity(), x)
    ours = attack(model, x, threat, domain)
    theirs = attack(model, x, threat, domain, method="foolbox", steps=50)
    honest(theirs, model, x)
    assert theirs.found.mean() >= 0.8
    both = ours.found & theirs.found & (ours.distance > 0)
    assert (ours.distance[both] <= theirs.distance[both] * 1.02).mean() >= 0.9
    radius = certify(model, x, threat, domain, "domain").radius
    assert (theirs.distance[both] >= radius[both] * (1 - 1e-6)).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_row_that_foolbox_gives_up_on_costs_no_other() -> None:
    """Its L0 attack raises where every coordinate of a row has to change."""
    net = MaxAffine(3, 1).double()
    with torch.no_grad():
        net.affine.weight.fill_(1.0)
        net.affine.bias.fill_(-0.05)
    model = FeatureConvexModel(Identity(), net).eval()
    x = torch.tensor([[0.9, 0.8, 0.7], [0.2, 0.0, 0.04]], dtype=torch.float64)
    found = attack(model, x, L0(), Box(0, 1), method="foolbox", steps=50)
    assert found.found.tolist() == [False, True]
    assert found.distance[1] < 3


# As foolbox is imported first, in whichever test that is.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_foolbox_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mlp(Identity(), IN_BOX)
    run = partial(attack, model, IN_BOX, method="foolbox")
    with pytest.raises(UserError, match="Box"):
        run(Lp(2))
    with pytest.raises(UserError, match="no attack"):
        run(Lp(3), Box(0, 1))
    with pytest.raises(UserError, match="no attack"):
        run(Patch(2), Box(0, 1))

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("featureconvex.certificates.attacks.independent.import_module", missing)
    with pytest.raises(UserError, match="pip install"):
        run(Lp(2), Box(0, 1))


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("steepness", [30.0, 100.0, 1000.0])
def test_a_steep_coordinate_does_not_hide_a_flip(p: float, steepness: float) -> None:
    net = MaxAffine(2, pieces=2).double()
    with torch.no_grad():
        net.affine.weight.copy_(torch.tensor([[1.0, steepness], [1.0, -steepness]]))
        net.affine.bias.fill_(1.0)
    found = attack(FeatureConvexModel(Identity(), net), torch.tensor([[0.0, 1e-4]]).double(), Lp(p))
    assert 1 <= found.distance[0] <= 1.5


def test_a_flip_one_ulp_beyond_the_box_is_none() -> None:
    """``x + (hi - x)`` rounds past ``hi`` here, and the margin is zero only there."""
    x, hi = 0.9134946249050164, 3.2842227576202494
    assert x + (hi - x) > hi
    net = MaxAffine(1, pieces=1).double()
    with torch.no_grad():
        net.affine.weight.fill_(-1.0)
        net.affine.bias.fill_(math.nextafter(hi, math.inf))
    model, box = FeatureConvexModel(Identity(), net), Box(0, hi)
    point = torch.tensor([[x]], dtype=torch.float64)
    for p in (1, 2, math.inf):
        found = attack(model, point, Lp(p), box)
        assert not found.found[0]
        assert np.isnan(certify(model, point, Lp(p), box, "tight").upper[0])
