"""The attack that the laws trust: feasible always, optimal where optimality is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from featureconvex import Box, FeatureConvexModel, Lp, Unbounded
from featureconvex.certificates import Domain, Threat
from featureconvex.certificates.threats import L0, Patch
from featureconvex.features import Identity
from featureconvex.nn import ConvexMLP, MaxAffine
from featureconvex.testing import (
    best_move,
    build,
    grid,
    max_affine_radius,
    reference_attack,
)

COST = torch.tensor([0.5, 2.0, math.inf, 1.0, 1.0], dtype=torch.float64)
EXPONENTS = (1.0, 1.5, 2.0, 3.0, math.inf)
X = grid((20, 5), 2**-8, seed=80).abs().clamp(0, 1)


def spent(delta: Tensor, p: float, cost: Tensor | None) -> Tensor:
    weighted = delta if cost is None else torch.where(delta == 0, 0.0, delta * cost)
    norm: Tensor = torch.linalg.vector_norm(weighted, p, dim=1)
    return norm


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("cost", [None, COST], ids=["free", "cost"])
@pytest.mark.parametrize("domain", [Unbounded(), Box(0, 1)], ids=str)
def test_never_leaves_the_budget_or_the_domain(
    p: float, cost: Tensor | None, domain: Domain
) -> None:
    model = build(lambda: FeatureConvexModel(Identity(), ConvexMLP(5, (8, 5))))
    budget = torch.linspace(0.01, 3, len(X), dtype=torch.float64)
    found = reference_attack(model, X, Lp(p, cost), budget, domain, steps=15)
    assert (spent(found.points - X, p, cost) <= budget * (1 + 1e-9)).all()
    lo, hi = domain.bounds(X)
    assert ((lo <= found.points) & (found.points <= hi)).all()
    torch.testing.assert_close(model.double()(found.points), found.margin)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("cost", [None, COST], ids=["free", "cost"])
@pytest.mark.parametrize("boxed", [False, True])
def test_the_best_move_is_optimal(p: float, cost: Tensor | None, boxed: bool) -> None:
    """No random feasible move of any kind is better; without a box it is Hoelder's equality."""
    g = grid((20, 5), 2**-8, seed=81)
    budget = torch.full((20,), 0.7, dtype=torch.float64)
    room = torch.rand(20, 5).double() if boxed else torch.full((20, 5), math.inf).double()
    move = best_move(g, Lp(p, cost), budget, room, room)
    value = (g * move).sum(1)
    if not boxed:
        q = math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)
        weighted = g if cost is None else g / cost
        expected = -budget * torch.linalg.vector_norm(weighted, q, dim=1)
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
    for seed in range(50):
        other = -g.sign() * grid((20, 5), 2**-8, seed=seed).abs()
        if cost is not None:
            other = other.masked_fill(torch.isinf(cost), 0.0)
        other = other * (budget / spent(other, p, cost))[:, None]
        for _ in range(20):  # fill what the box left over
            other = other.clamp(-room, room)
            other = other * (budget / spent(other, p, cost)).clamp_min(1)[:, None]
        other = other.clamp(-room, room)
        assert (value <= (g * other).sum(1) + 1e-9).all()


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_nearly_reaches_the_truth_of_max_affine_models(p: float) -> None:
    """Just outside the true radius it finds the flip; just inside there is none to find."""
    model = build(lambda: FeatureConvexModel(Identity(), MaxAffine(5, 4), tau=1.0)).double()
    net = model.convex_net
    assert isinstance(net, MaxAffine)
    weight = net.affine.weight.detach().numpy()
    margins = (net.affine(X).detach() + 1.0).numpy()
    true = torch.tensor(np.array([max_affine_radius(weight, row, p) for row in margins]))
    reachable = torch.isfinite(true) & (true > 0)
    assert reachable.any()
    x, true = X[reachable], true[reachable]
    outside = reference_attack(model, x, Lp(p), true * 1.05, steps=200)
    inside = reference_attack(model, x, Lp(p), true * (1 - 1e-6), steps=200)
    assert (outside.margin <= 0).double().mean() > 0.9
    assert (inside.margin > 0).all()


@pytest.mark.parametrize("threat", [L0(), L0(groups=[0, 0, 1, 1, 2]), Patch(2)], ids=str)
def test_other_threats_change_what_they_may(threat: Threat) -> None:
    model = build(lambda: FeatureConvexModel(Identity(), ConvexMLP(5, (8, 5))))
    budget = torch.full((len(X),), 2.0, dtype=torch.float64)
    found = reference_attack(model, X, threat, budget, Box(0, 1), steps=10)
    assert (threat.measure(found.points - X) <= budget).all()
    assert (found.margin <= model.double()(X)).all()
    assert (found.margin < model(X)).double().mean() > 0.8
