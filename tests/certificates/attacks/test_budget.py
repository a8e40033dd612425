"""Attacks with a budget: it is kept by the points as they land, and what it pays for is found."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featureconvex import L0, Box, FeatureConvexModel, Lp, Patch, Unbounded, attack
from featureconvex.certificates import Domain, Threat
from featureconvex.certificates.attacks import search, verify
from featureconvex.features import AbsConcat, Identity, Scale
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import balanced, best_move, grid

ROWS, D = 8, 5


def linear(weight: Tensor, bias: float, dtype: torch.dtype) -> FeatureConvexModel:
    net = MaxAffine(len(weight), pieces=1).to(dtype)
    with torch.no_grad():
        net.affine.weight.copy_(weight[None])
        net.affine.bias.zero_()
    return FeatureConvexModel(Identity(), net, bias).eval()


def inwards(x: Tensor, delta: Tensor) -> Tensor:
    """``x + delta`` in the dtype of ``x``, every coordinate rounded towards ``x``."""
    point = (x.double() + delta).to(x.dtype)
    far = (point.double() - x.double()).abs() > delta.abs()
    return torch.where(far, torch.nextafter(point, x), point)


def kept(result: Any, x: Tensor, domain: Domain) -> None:
    """What was found is inside the budget and the domain, measured from outside, and is a flip."""
    point = torch.as_tensor(result.adversarial)
    price = result.threat.measure(point.double() - x.double()).numpy()
    assert (price <= result.budget).all()  # of what is no flip, too
    found = result.found
    assert np.array_equal(result.distance[found], price[found])
    assert np.array_equal(found, result.margin <= 0)
    assert domain.contains(point).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    p=st.sampled_from([1.0, 1.3, 2.0, 7.0, math.inf]),
    scale=st.sampled_from([1e-3, 1.0, 30.0, 1e4, 1e6]),
    costs=st.booleans(),
    boxed=st.booleans(),
    share=st.floats(0.05, 0.98),
)
def test_what_the_budget_pays_for_is_found(
    dtype: torch.dtype, seed: int, p: float, scale: float, costs: bool, boxed: bool, share: float
) -> None:
    """A linear model: the best move at 99.9 % of the budget, rounded inwards, is a flip that exists."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = (scale * draw(ROWS, D)).to(dtype)
    weight = draw(D).to(dtype)
    cost = None
    if costs:
        cost = 10 ** draw(D)
        cost[int(seed) % D] = math.inf
    threat = Lp(p, cost)
    domain: Domain = Unbounded()
    if boxed:
        wide = x.double()
        mask = torch.arange(D) == (seed // 7) % D
        ways = torch.arange(D) % 3 - 1
        domain = Box(wide.amin(0) - scale / 3, wide.amax(0) + scale / 3, mask, ways)
    lo, hi = (end - x.double() for end in domain.bounds(x))
    if cost is not None:
        lo, hi = (end.masked_fill(torch.isinf(cost), 0.0) for end in (lo, hi))
    budget = scale * 10 ** (1.5 * draw(ROWS) - 1.5)
    move = best_move(weight.double().expand(ROWS, D), threat, 0.999 * budget, -lo, hi)
    fall = -(weight.double() * move).sum(1)
    tau = float(share * fall.median()) - float((x.double() @ weight.double()).median())
    model = linear(weight, tau, dtype)
    witness = inwards(x, move)
    with torch.no_grad():
        margin, first = model(witness), model(x)
    noise = 8 * torch.finfo(dtype).eps * (x.double().abs() @ weight.double().abs() + abs(tau))
    exists = (margin <= -noise) & (threat.measure(witness.double() - x.double()) <= budget)
    exists &= domain.contains(witness) & (first > noise)
    result = attack(model, x, threat, domain, budget=budget, steps=30)
    kept(result, x, domain)
    assert result.found[exists.numpy()].all()


COST = torch.tensor([0.5, 2.0, math.inf, 1.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize(
    "threat",
    [*(Lp(p) for p in (1, 1.5, 2, math.inf)), *(Lp(p, COST) for p in (1, 2, math.inf))],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_the_smallest_flip_is_found_again_with_a_little_more(
    threat: Threat, dtype: torch.dtype
) -> None:
    """Inputs in the thousands: rounding moves them by much more than the roundoff of a budget."""
    x = (1000 + 300 * grid((30, 5), 2**-8, seed=61)).to(dtype)
    net = MaxAffine(5, 4)
    model = balanced(FeatureConvexModel(Identity(), net), x.float()).to(dtype).eval()
    domain = Box(0, 5000)
    least = attack(model, x, threat, domain, steps=200)
    assert least.found.sum() >= 20
    budget = np.where(least.found, least.distance * 1.05, 0.0)
    result = attack(model, x, threat, domain, budget=budget)
    kept(result, x, domain)
    assert result.found[least.found].all()


def test_a_cast_that_ignores_the_budget_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: points rounded to the nearest number, as before."""
    monkeypatch.setattr(verify, "cast_within", lambda *given: verify.cast(*given[:2]))
    # The search without a budget would make up for it.
    monkeypatch.setattr(search, "nearby", lambda target, *_: (target.x, target.first * torch.nan))
    with pytest.raises(AssertionError):
        test_the_smallest_flip_is_found_again_with_a_little_more(Lp(math.inf), torch.float64)


@pytest.mark.parametrize(
    "threat",
    [L0(), L0([0, 0, 1, 1, 2]), Patch(2), Lp(1), Lp(2), Lp(math.inf), Lp(2, COST)],
    ids=repr,
)
@pytest.mark.parametrize("maps", ["linear", "bent"])
def test_more_budget_finds_no_less(threat: Threat, maps: str) -> None:
    """Whole budgets, budgets between them, and budgets without end."""
    x = grid((9, 5), 2**-8, seed=62).abs().clamp(0, 1).double()
    features = Identity() if maps == "linear" else AbsConcat()
    net = ConvexMLP(5, ()) if maps == "linear" else ConvexMLP(10, (8,))
    model = balanced(FeatureConvexModel(features, net), x.float()).double().eval()
    domain = Box(-1, 2)
    before = np.zeros(len(x), dtype=bool)
    for budget in (0, 0.4, 1, 1.999, 2, 2.5, 3, 3.7, 100, math.inf):
        result = attack(model, x, threat, domain, budget=budget, steps=30)
        kept(result, x, domain)
        assert (result.found >= before).all(), budget
        before = result.found
    least = attack(model, x, threat, domain, steps=30)
    assert np.array_equal(before, least.found)


@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(3), Lp(math.inf), L0()], ids=repr)
def test_a_vast_budget_finds_what_a_small_one_finds(threat: Threat) -> None:
    """Columns that differ in scale by orders of magnitude, as a table's do: few steps, long ones."""
    scale = torch.tensor([1e-3, 0.1, 1.0, 30.0, 1e3], dtype=torch.float64)
    x = grid((20, 5), 2**-8, seed=63).double() * scale
    inner = balanced(FeatureConvexModel(Identity(), ConvexMLP(5, (8,))), (x / scale).float())
    model = FeatureConvexModel(Scale(1 / scale), inner.convex_net.double(), float(inner.tau)).eval()
    domain = Box(-5e3, 5e3)
    least = attack(model, x, threat, domain, steps=30)
    assert (least.distance > 0).any()
    for budget in (0.1, 1.0, 3.0, 100.0, 4e3, 1e6):
        result = attack(model, x, threat, domain, budget=budget, steps=30)
        kept(result, x, domain)
        assert (result.found >= (least.distance <= budget)).all(), budget


def test_projections_keep_a_fractional_budget() -> None:
    """Of two and a half coordinates two can change; a law that any threat has to keep."""
    delta = grid((20, 5), 2**-8, seed=63)
    free = torch.full_like(delta, torch.inf, dtype=torch.float64)
    for threat in (L0(), L0([0, 0, 1, 1, 2]), Patch(2), Lp(1), Lp(1.5), Lp(2), Lp(math.inf)):
        for budget in (0.5, 1.5, 2.5, 3.9):
            limit = torch.full((20,), budget, dtype=torch.float64)
            moved = threat.project(delta.double(), limit, -free, free)
            assert (threat.measure(moved) <= limit * (1 + 1e-12)).all(), (threat, budget)
