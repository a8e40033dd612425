"""Threat models: measures, projections, worst cases of given curves, refusals."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from featureconvex import L0, Box, Lp, Patch, UserError
from featureconvex.certificates import Threat, parse_threat
from featureconvex.certificates.drops import Drops, Rise
from featureconvex.certificates.separable import separable_drops
from featureconvex.certificates.threats.ball import dual
from featureconvex.features import KinkedForm
from featureconvex.testing import ThreatCase, check_threat

COST = torch.tensor([0.5, 2.0, math.inf, 1.0, 1.5], dtype=torch.float64)
CASES = {
    "l1": ThreatCase(lambda: Lp(1), (5,)),
    "l1.5": ThreatCase(lambda: Lp(1.5), (5,)),
    "l2 in a box": ThreatCase(lambda: Lp(2), (5,), domain=Box(0, 1)),
    "linf in a box": ThreatCase(lambda: Lp(math.inf), (2, 3), (0.1, 1.0), domain=Box(0, 1)),
    "l1 with costs": ThreatCase(lambda: Lp(1, COST), (5,), domain=Box(0, 1)),
    "l2 with costs": ThreatCase(lambda: Lp(2, COST), (5,)),
    "linf with costs": ThreatCase(lambda: Lp(math.inf, COST), (5,)),
    "l0": ThreatCase(L0, (5,), truth=lambda delta: float((delta != 0).sum())),
    "l0 of pixels": ThreatCase(
        lambda: L0("pixels"), (2, 3, 3), truth=lambda delta: float((delta != 0).any(0).sum())
    ),
    "l0 of groups": ThreatCase(lambda: L0([7, 7, 3, -1, 3]), (5,)),
    "patch": ThreatCase(lambda: Patch(2), (2, 4, 5), (2.0, 3.0), domain=Box(0, 1)),
    "patch of a vector": ThreatCase(lambda: Patch(3), (6,), (3.0, 4.0)),
    "patch of a flat image": ThreatCase(lambda: Patch(2, (1, 3, 3)), (9,), (2.0,)),
}


@pytest.mark.parametrize("name", CASES)
def test_laws(name: str) -> None:
    check_threat(CASES[name])


def test_names_and_parsing() -> None:
    for text, name in (
        ("1", "l1"),
        ("L2", "l2"),
        ("inf", "linf"),
        ("1.5", "l1.5"),
        ("l0", "l0"),
        ("patch:5", "patch-5"),
        ("patch-7", "patch-7"),
    ):
        assert parse_threat(text).name == name
    for text in ("patch", "patch:x", "zero", "0.5", ""):
        with pytest.raises(UserError):
            parse_threat(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: L0("channels"),
        lambda: L0([0.5, 1.0]),
        lambda: Patch(0),
        lambda: Patch(2.5),  # type: ignore[arg-type]
        lambda: Patch(2, (1, 2, 3, 4)),
        lambda: Lp(0.5),
        lambda: Lp(2, cost=[1.0, -1.0]),
        lambda: Lp(2, cost=[math.inf, math.inf]),
        lambda: L0("pixels").members((4,)),
        lambda: L0([0, 1, 2]).members((4,)),
        lambda: Patch(3).grid((1, 2, 5)),
        lambda: Patch(3).grid((2,)),
        lambda: Patch(2, (1, 3, 3)).grid((8,)),
    ],
)
def test_refusals(make: Callable[[], object]) -> None:
    with pytest.raises(UserError):
        make()


def curves(seed: int, n: int = 6, d: int = 5, affine: bool = False, endless: bool = False) -> Drops:
    torch.manual_seed(seed)
    x, z = torch.rand(n, d, dtype=torch.float64), torch.rand(d, dtype=torch.float64)
    w, b = torch.randn(2, n, d, dtype=torch.float64)
    hi = torch.full_like(x, math.inf) if endless else torch.ones_like(x)
    form = KinkedForm(w) if affine else KinkedForm(w, b, z)
    return separable_drops(form, x, torch.zeros_like(x), hi)


def by_enumeration(total: Tensor, margin: float, sets: list[list[int]], sizes: list[int]) -> float:
    """The largest size such that no listed set of that size or less reaches the margin."""
    if float(total.sum()) < margin:
        return math.inf
    failing = [
        s for s, chosen in zip(sizes, sets, strict=True) if float(total[chosen].sum()) >= margin
    ]
    return min(failing) - 1 if failing else max(sizes)


@pytest.mark.parametrize("endless", [False, True])
def test_l0_by_enumeration(endless: bool) -> None:
    for seed in range(20):
        drops = curves(seed, endless=endless)
        margin = torch.rand(6, dtype=torch.float64) * 3
        sets = [list(s) for k in range(6) for s in itertools.combinations(range(5), k)]
        found = L0().largest_budget(drops, margin)
        groups = [[0, 3], [1], [2, 4]]
        by_group = [list(s) for k in range(4) for s in itertools.combinations(range(3), k)]
        grouped = L0([0, 1, 2, 0, 2]).largest_budget(drops, margin)
        for i, total in enumerate(drops.total()):
            expected = by_enumeration(total, float(margin[i]), sets, [len(s) for s in sets])
            assert float(found[i]) == expected
            unions = [[c for g in s for c in groups[g]] for s in by_group]
            expected = by_enumeration(total, float(margin[i]), unions, [len(s) for s in by_group])
            assert float(grouped[i]) == expected


def test_patches_by_enumeration() -> None:
    for seed in range(20):
        drops = curves(seed, d=2 * 3 * 4)
        drops = Drops(drops.rises, (2, 3, 4))
        margin = torch.rand(6, dtype=torch.float64) * 6
        found = Patch(2).largest_budget(drops, margin)
        image = drops.total().reshape(6, 2, 3, 4)
        for i in range(6):
            worst = max(
                float(image[i, :, r : r + 2, c : c + 2].sum()) for r in range(2) for c in range(3)
            )
            expected = math.inf if float(image[i].sum()) < margin[i] else 2.0 * (worst < margin[i])
            assert float(found[i]) == expected
        budget = torch.full((6,), 2.0, dtype=torch.float64)
        flips = Patch(2).worst_drop(drops, budget) >= margin
        assert (flips == (found == 0)).all()
        assert found.dtype == torch.float64


def test_nothing_is_certified_without_a_margin() -> None:
    drops = curves(0, d=4)
    for threat in (Lp(1), Lp(2), Lp(3), Lp(math.inf), L0(), Patch(2)):
        for value in (0.0, -1.0):
            margin = torch.full((6,), value, dtype=torch.float64)
            assert (threat.largest_budget(drops, margin) == 0).all()


NORMS = (1.0, 1.5, 2.0, 4.0, math.inf)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("endless", [False, True], ids=["box", "endless"])
@pytest.mark.parametrize("affine", [True, False], ids=["concave", "bent"])
def test_budget_and_worst_drop_are_inverse(p: float, affine: bool, endless: bool) -> None:
    # Rows of one batch cost as much as one row; a seed has its own kinks.
    for seed in range(5):
        drops = curves(seed, n=30, affine=affine, endless=endless)
        margin = torch.rand(30, dtype=torch.float64) * 3 + 0.01
        budget = Lp(p).largest_budget(drops, margin)
        stuck = drops.total().sum(1) < margin
        assert (torch.isinf(budget) == stuck).all()
        fall = Lp(p).worst_drop(drops, budget)
        assert (fall[~stuck] <= margin[~stuck] * (1 + 3e-5)).all()  # a bound, searched for
        # As far as the bound reaches: a little more would be too much.
        rough = 1e-5 if affine or math.isinf(p) else 3e-3
        assert (
            Lp(p).worst_drop(drops, budget * (1 + rough))[~stuck] >= margin[~stuck] * (1 - rough)
        ).all()


@pytest.mark.parametrize("endless", [False, True], ids=["box", "endless"])
@pytest.mark.parametrize("few", [1, 4])
def test_a_few_curves_decide_as_all_do(
    few: int, endless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """p = 1 with more curves than are looked at first: left-out curves must neither help nor harm."""
    drops = curves(4, n=12, d=40, endless=endless)
    steep = drops.chord.sum(1)
    for share in (0.01, 0.1, 0.5, 2.0):
        margin = share * steep
        monkeypatch.setattr(dual, "FEW", 40)
        expected = Lp(1).largest_budget(drops, margin)
        monkeypatch.setattr(dual, "FEW", few)
        found = Lp(1).largest_budget(drops, margin)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-12)
        budget = expected.where(torch.isfinite(expected), 1.0)
        worst = Lp(1).worst_drop(drops, budget)
        monkeypatch.setattr(dual, "FEW", 40)
        torch.testing.assert_close(worst, Lp(1).worst_drop(drops, budget), rtol=1e-5, atol=1e-12)


def spread(p: float, budget: float, drops: Drops) -> Tensor:
    """The largest total drop over 20,000 ways to spend the budget, per row."""
    torch.manual_seed(1)
    d = drops.count
    way = torch.rand(20000, d, dtype=torch.float64) ** torch.randint(1, 12, (20000, 1))
    way = way * budget / torch.linalg.vector_norm(way, p, dim=1, keepdim=True)
    best = []
    for i in range(len(drops)):
        row = drops.rows(slice(i, i + 1))
        total = torch.zeros(len(way), dtype=torch.float64)
        for j in range(d):
            one = row.columns(torch.tensor([[j]])).rows(torch.zeros(len(way), dtype=torch.long))
            total += one.at(way[:, j])[:, 0]
        best.append(total.max())
    return torch.stack(best)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("affine", [True, False], ids=["concave", "bent"])
def test_no_way_to_spend_a_budget_beats_the_worst_drop(p: float, affine: bool) -> None:
    for seed in range(3):
        drops = curves(seed, d=3, affine=affine)
        for budget in (0.1, 0.5, 1.2):
            bound = Lp(p).worst_drop(drops, torch.full((6,), budget, dtype=torch.float64))
            best = spread(p, budget, drops)
            assert (best <= bound * (1 + 1e-12)).all()
            if affine or math.isinf(p):
                assert (best >= 0.9 * bound).all()


@given(st.integers(0, 10**6), st.sampled_from(NORMS), st.floats(0.5, 20))
def test_budgets_scale_with_the_curves(seed: int, p: float, c: float) -> None:
    drops = curves(seed, affine=bool(seed % 2))
    margin = torch.rand(6, dtype=torch.float64) * 2
    wider = (Rise(rise.start * c, rise.end * c, rise.slope / c) for rise in drops.dense.rises)
    far = Drops(tuple(wider), drops.shape)
    near, wide = Lp(p).largest_budget(drops, margin), Lp(p).largest_budget(far, margin)
    assert torch.allclose(wide, c * near, rtol=1e-4)


@pytest.mark.parametrize("p", NORMS)
def test_batch_equals_single(p: float) -> None:
    drops = curves(3, n=40)
    margin = torch.rand(40, dtype=torch.float64) * 3
    together = Lp(p).largest_budget(drops, margin)
    alone = [
        Lp(p).largest_budget(drops.rows(slice(i, i + 1)), margin[i : i + 1]) for i in range(40)
    ]
    assert torch.allclose(together, torch.cat(alone), rtol=1e-6)


@pytest.mark.parametrize("threat", [Lp(1), Lp(2), Lp(math.inf), Lp(1, COST), Lp(2, COST)])
def test_projections_are_nearest_points(threat: Threat) -> None:
    torch.manual_seed(0)
    delta, budget = torch.randn(50, 5, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    lo, hi = -torch.rand(50, 5, dtype=torch.float64), torch.rand(50, 5, dtype=torch.float64)
    near = threat.project(delta, budget, lo, hi)
    assert (threat.measure(near) <= budget * (1 + 1e-9)).all()
    assert ((near >= lo) & (near <= hi)).all()
    # Projection onto a convex set: no member z has <delta - near, z - near> > 0.
    for _ in range(50):
        other = threat.project(torch.randn_like(delta), budget * torch.rand(50), lo, hi)
        assert (((delta - near) * (other - near)).sum(1) <= 1e-7).all()
    assert torch.allclose(threat.project(near, budget, lo, hi), near, atol=1e-7)
