"""``Edits``: never above the cheapest evasion, which small tables let us enumerate; real rows only."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certificates.threats.test_own_threat import Rotated
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates.moves import SeparableMoves
from featureconvex.certificates.threats import edits
from featureconvex.certificates.threats.edits import options, threat
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, KinkedForm
from featureconvex.nn import ConvexMLP

# Two numbers in {0, ..., 3}, a category of three levels, one of two, a boolean.
BLOCKS = [[2, 3, 4], [5, 6], [7]]
HI = [3.0, 3.0, 1, 1, 1, 1, 1, 1]
EVERY = torch.tensor(
    [
        (*numbers, *np.eye(3)[a], *np.eye(2)[b], flag)
        for numbers in itertools.product(range(4), repeat=2)
        for a, b, flag in itertools.product(range(3), range(2), range(2))
    ],
    dtype=torch.float64,
)
"""All rows of the table whose numbers are whole: (192, 8)."""


def absolute() -> FeatureMap:
    return Compose(Center(torch.tensor([1.2, 0.5, *[0.3] * 6])), AbsConcat())


MAPS: dict[str, Callable[[], FeatureMap]] = {
    "identity": Identity,
    "absolute": absolute,
    "constants": Rotated,
}
LEVELS: list[Any] = [
    "domain",
    fc.levels.Tight(iterations=4),
    "sound",
    fc.levels.Sound("domain", "float32"),
]


def a_model(phi: str, seed: int) -> fc.FeatureConvexModel:
    torch.manual_seed(seed)
    net = ConvexMLP(16 if phi == "absolute" else 8, (8, 4)).double()
    model = fc.FeatureConvexModel(MAPS[phi](), net).eval()
    with torch.no_grad():
        logits = model.logits(EVERY).sort().values
    model.tau = -logits[60:62].mean()
    return model


def a_threat(seed: int) -> fc.Edits:
    rng = np.random.default_rng(seed)
    cost = rng.choice([0.25, 0.5, 1.0, 3.0, math.inf], 8)
    square = [rng.choice([0.5, 1.0, 2.0, 4.0, math.inf], (k, k)) for k in (3, 2)]
    prices: list[Any] = [
        matrix if rng.random() < 0.5 else float(rng.choice([0.5, 1.0, 2.0])) for matrix in square
    ]
    return fc.Edits(cost, BLOCKS, [*prices, float(rng.choice([0.5, 1.5]))], whole=[0])


def a_domain(seed: int) -> fc.Box:
    rng = np.random.default_rng(seed)
    ways = {0: int(rng.choice([-1, 1])), 1: 1} if rng.random() < 0.5 else None
    fixed = [list(block) for block in BLOCKS if rng.random() < 0.3]
    return fc.Box([0.0] * 8, HI, [place for block in fixed for place in block] or None, ways)


def cheapest(
    model: fc.FeatureConvexModel, threat: fc.Edits, domain: fc.Box, x: Tensor
) -> np.ndarray:
    """(n,): the least price of a row of the table that is not flagged, inf where there is none."""
    with torch.no_grad():
        safe = model(EVERY) > 0
    lo, hi = domain.bounds(x)
    prices = []
    for row, low, high in zip(x, lo, hi, strict=True):
        inside = ((low <= EVERY) & (high >= EVERY)).all(1)
        price = threat.measure(EVERY - row)
        prices.append(float(price.masked_fill(safe | ~inside, math.inf).min()))
    return np.array(prices)


def check_against_enumeration(phi: str, seed: int, level: Any) -> fc.Certificate:
    model, threat, domain = a_model(phi, seed), a_threat(seed), a_domain(seed)
    x = EVERY[torch.randperm(192, generator=torch.Generator().manual_seed(seed))[:24]]
    certificate = fc.certify(model, x, threat, domain, level)
    truth = cheapest(model, threat, domain, x)
    flagged = certificate.margin > 0
    above = certificate.radius[flagged] > truth[flagged] * (1 + 1e-12)
    assert not above.any(), (certificate.radius[flagged][above], truth[flagged][above])
    assert (certificate.radius[~flagged] == 0).all()
    known = ~np.isnan(certificate.upper)
    assert (certificate.upper[known] >= certificate.radius[known]).all()
    return certificate


@pytest.mark.parametrize("level", LEVELS[:1] + LEVELS[2:], ids=str)
@pytest.mark.parametrize("phi", ["identity", "absolute"])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_never_above_the_cheapest_evasion(phi: str, level: Any, seed: int) -> None:
    check_against_enumeration(phi, seed, level)


@pytest.mark.parametrize("phi", MAPS)
@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_every_level_and_map(phi: str, level: Any) -> None:
    if phi == "constants" and level not in ("domain", LEVELS[1]):
        return  # without a rounding rule for the map
    found = [check_against_enumeration(phi, seed, level) for seed in range(4)]
    assert any((one.radius > 0).any() for one in found)


def test_tight_is_never_below_domain_and_sound_never_above() -> None:
    model, threat, domain = a_model("identity", 3), a_threat(5), a_domain(4)
    base = fc.certify(model, EVERY, threat, domain, "domain").radius
    tight = fc.certify(model, EVERY, threat, domain, LEVELS[1]).radius
    sound = fc.certify(model, EVERY, threat, domain, "sound").radius
    assert (tight >= base).all()
    assert (tight > base).any()
    assert (sound <= base).all()
    assert (sound[base > 0] >= base[base > 0] * (1 - 1e-6)).all()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_worst_drop_is_above_what_any_row_takes(seed: int) -> None:
    worst_drop_is_above_every_row(seed)


def worst_drop_is_above_every_row(seed: int) -> None:
    """Against every row of the table, for straight and bent minorants."""
    rng = np.random.default_rng(seed)
    threat, domain = a_threat(seed), a_domain(seed)
    x = EVERY[rng.integers(0, 192, 8)]
    w, b = (torch.from_numpy(rng.normal(size=(8, 8))) for _ in range(2))
    z = torch.tensor(rng.uniform(-1, 3, 8))
    for form in (KinkedForm(w, exact=True), KinkedForm(w, b, z, exact=True), KinkedForm(w, b, z)):
        curves = threat.curves(SeparableMoves(x, *domain.bounds(x), form))
        most = {
            budget: threat.worst_drop(curves, torch.full((8,), budget).double())
            for budget in (0.5, 1.0, 2.5, 6.0)
        }
        for row in range(8):
            lo, hi = (end[row] for end in domain.bounds(x))
            delta = EVERY - x[row]
            price = threat.measure(delta)
            inside = ((lo <= EVERY) & (hi >= EVERY)).all(1) & torch.isfinite(price)
            falls = -w[row] * delta
            if form.b is not None:
                falls = falls - b[row] * ((x[row] + delta - z).abs() - (x[row] - z).abs())
            fall = (falls if form.exact else falls.clamp_min(0)).sum(1)
            for budget, drop in most.items():
                taken = fall[inside & (price <= budget)]
                assert (taken <= drop[row] * (1 + 1e-12) + 1e-12).all()


def test_all_levels_of_a_category_count() -> None:
    """Levels at (price 1, gain 5) and (3, 9): the one of best ratio alone would say 5 at a budget of 3."""
    one = fc.Edits(blocks=[[0, 1, 2]], price=[[[0, 1, 3.0], [9, 0, 9], [9, 9, 0]]])
    form = KinkedForm(torch.tensor([[0.0, -5, -9]]).double(), exact=True)
    x = torch.tensor([[1.0, 0, 0]]).double()
    curves = one.curves(SeparableMoves(x, torch.zeros(1, 3), torch.ones(1, 3), form))
    budgets = torch.tensor([0.5, 1.0, 2.0, 3.0]).double()
    found = [float(one.worst_drop(curves, budget[None])[0]) for budget in budgets]
    # Options dearer than the budget are not to be had: 5 at a budget of 2, not 5 + 2.
    assert found == pytest.approx([0, 5, 5, 9])
    margins = torch.tensor([4.9, 5.5, 8.9, 9.5]).double()
    radii = [float(one.largest_budget(curves, margin[None])[0]) for margin in margins]
    assert radii == pytest.approx([1, 3, 3, math.inf])


def test_a_cheaper_chain_is_the_price() -> None:
    chained = fc.Edits(blocks=[[0, 1, 2]], price=[[[0, 1, 9.0], [9, 0, 1], [9, 9, 0]]])
    assert float(chained.measure(torch.tensor([[-1.0, 0, 1]]))[0]) == 2


def test_what_one_level_costs_the_attacker_counts() -> None:
    """Leaving a level that spoke against the flag helps the defender: an affine map is exact."""
    threat = fc.Edits(blocks=[[0, 1]])
    x = torch.tensor([[1.0, 0]]).double()
    w = torch.tensor([[-2.0, -3.0]]).double()
    for exact, drop in ((True, 1.0), (False, 3.0)):
        form = KinkedForm(w, exact=exact)
        curves = threat.curves(SeparableMoves(x, torch.zeros(1, 2), torch.ones(1, 2), form))
        assert float(threat.worst_drop(curves, torch.ones(1).double())[0]) == pytest.approx(drop)


@pytest.mark.parametrize("phi", MAPS)
def test_attacks_land_on_real_rows(phi: str) -> None:
    for seed in range(3):
        model, threat, domain = a_model(phi, seed), a_threat(seed), a_domain(seed)
        result = fc.attack(model, EVERY, threat, domain, steps=30)
        points = torch.from_numpy(result.adversarial)
        flagged = model(EVERY).detach().numpy() > 0
        found = result.found & flagged
        assert found.any()
        assert threat.blocks.valid(points).all()
        assert (points[:, 0] == points[:, 0].round()).all()
        lo, hi = domain.bounds(EVERY)
        assert ((lo <= points) & (points <= hi)).all()
        price = threat.measure(points - EVERY).numpy()
        assert np.allclose(price[found], result.distance[found])
        certified = fc.certify(model, EVERY, threat, domain, "domain").radius
        assert (result.distance[found] >= certified[found]).all()
        held = fc.attack(model, EVERY, threat, domain, budget=1.0, steps=30)
        assert (held.distance[held.found] <= 1).all()


def test_attacks_come_near_the_truth() -> None:
    """Where only categories change the cheapest evasion is known, and mostly found."""
    model, domain = a_model("identity", 1), fc.Box([0.0] * 8, HI)
    threat = fc.Edits(math.inf, BLOCKS, [1.0, 2.0, 1.0])
    result = fc.attack(model, EVERY, threat, domain)
    truth = cheapest(model, threat, domain, EVERY)
    flagged = model(EVERY).detach().numpy() > 0
    near = result.distance[flagged & np.isfinite(truth)] / truth[flagged & np.isfinite(truth)]
    assert np.nanmin(near) >= 1
    assert (near == 1).mean() > 0.9


def test_rows_that_are_no_table_rows_have_a_status() -> None:
    model, threat = a_model("identity", 0), a_threat(0)
    x = EVERY[:4].clone()
    x[0, 2:5] = torch.tensor([1.0, 1, 0])
    x[1, 7] = 0.5
    x[2, 5:7] = 0
    for level in ("domain", "sound"):
        certificate = fc.certify(model, x, [threat, fc.Lp(1)], level=level)
        assert [str(s) for s in certificate[0].status[:3]] == ["outside_domain"] * 3
        assert "outside_domain" not in [str(s) for s in certificate[1].status]
    assert not fc.attack(model, x, threat).found[:3].any()


def test_prices_scale_the_radius() -> None:
    model, domain = a_model("absolute", 2), fc.Box([0.0] * 8, HI)
    one = fc.Edits([1.0] * 8, BLOCKS, [1.0, 2.0, 0.5])
    twice = fc.Edits([2.0] * 8, BLOCKS, [2.0, 4.0, 1.0])
    radius = fc.certify(model, EVERY, one, domain, "domain").radius
    assert np.allclose(fc.certify(model, EVERY, twice, domain, "domain").radius, 2 * radius)
    assert (radius > 0).any()


def test_without_blocks_it_is_l1() -> None:
    torch.manual_seed(0)
    model = fc.FeatureConvexModel(Identity(), ConvexMLP(4, (8,)), tau=0.5).double()
    x, cost = torch.rand(20, 4).double(), [1.0, 2.0, 0.5, math.inf]
    ours = fc.certify(model, x, fc.Edits(cost), fc.Box(0, 1), "domain").radius
    theirs = fc.certify(model, x, fc.Lp(1, cost), fc.Box(0, 1), "domain").radius
    assert np.allclose(ours, theirs, rtol=1e-9)


def test_a_category_counts_once_in_l0() -> None:
    groups = [0, 1, 2, 2, 2, 3, 3, 4]
    one = torch.tensor([[0.0, 0, -1, 0, 1, 0, 0, 0], [1, 0, -1, 1, 0, -1, 1, 1]])
    assert fc.L0(groups).measure(one).tolist() == [1, 4]
    model, domain = a_model("identity", 1), fc.Box([0.0] * 8, HI)
    count = fc.certify(model, EVERY, fc.L0(groups), domain, "domain").radius
    # Prices of 1 for every change of a block, and numbers that cannot change.
    edits_only = fc.Box([0.0] * 8, HI, immutable=[0, 1])
    exact = cheapest(model, fc.Edits(math.inf, BLOCKS, 1.0), edits_only, EVERY)
    held = fc.certify(model, EVERY, fc.L0(groups), edits_only, "domain").radius
    assert (held >= count).all()
    assert (held <= exact)[held > 0].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": [[0, 1], [1, 2]]}, "no coordinate"),
        ({"blocks": [[]]}, "lists the coordinates"),
        ({"blocks": "ab"}, "lists of coordinates"),
        ({"blocks": [[0, 1]], "price": [1.0, 2.0]}, "one per block"),
        ({"blocks": [[0, 1]], "price": 0.0}, "> 0"),
        ({"blocks": [[0, 1]], "price": [[[0, 1.0, 2], [1, 0, 1], [1, 1, 0]]]}, r"\(2, 2\)"),
        ({"cost": [1.0, -1.0]}, "every cost"),
        ({"blocks": [[0, 1], [3]], "whole": [2, 3]}, r"\[3\]; they change by edits"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(fc.UserError, match=message):
        fc.Edits(**arguments)


def test_rows_of_another_length_are_refused() -> None:
    for wrong in (fc.Edits(blocks=[[7, 8]]), fc.Edits([1.0, 2.0]), fc.Edits(whole=[9])):
        with pytest.raises(fc.UserError, match="does not fit"):
            fc.certify(a_model("identity", 0), EVERY, wrong, level="domain")
    with pytest.raises(fc.UserError, match="closed-form"):
        fc.certify(a_model("identity", 0), EVERY, fc.Edits())


def fault(
    seeds: int, level: Any = "domain", maps: tuple[str, ...] = ("identity", "absolute")
) -> None:
    for phi, seed in itertools.product(maps, range(seeds)):
        check_against_enumeration(phi, seed, level)


def test_a_best_ratio_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = options._envelope

    def steepest_only(gain: Tensor, price: Tensor) -> tuple[Tensor, Tensor]:
        ratio = (gain / price).argmax(2, keepdim=True)
        kept = torch.zeros_like(gain).scatter(2, ratio, 1.0) > 0
        return honest(gain, price.masked_fill(~kept, torch.inf))

    monkeypatch.setattr(options, "_envelope", steepest_only)
    with pytest.raises(AssertionError):
        test_all_levels_of_a_category_count()


@pytest.mark.parametrize("factor", [0.8, 0.0])
def test_a_drop_that_is_too_small_is_caught(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = SeparableMoves.falls
    monkeypatch.setattr(SeparableMoves, "falls", lambda self, step: factor * honest(self, step))
    with pytest.raises(AssertionError):
        fault(60)


def test_a_direct_price_without_chains_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The enumeration measures by chains; a certificate that does not is above it."""
    honest = threat.Edits.curves

    def direct(self: fc.Edits, moves: Any) -> Any:
        offers = honest(self, moves)
        return options.Offers(offers.numeric, offers.gain, 1.5 * offers.price, offers.shape)

    monkeypatch.setattr(threat.Edits, "curves", direct)
    with pytest.raises(AssertionError):
        fault(60)


def test_weights_of_a_norm_above_the_prices_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = threat.Edits.norm_costs
    monkeypatch.setattr(threat.Edits, "norm_costs", lambda *given: 3 * honest(*given))
    with pytest.raises(AssertionError):
        fault(40, maps=("constants",))


def test_a_sound_check_that_trusts_its_candidate_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from featureconvex.certificates.levels.sound import moves

    honest = moves.RoundedMoves.falls
    seen: list[int] = []

    def counted(self: Any, step: float) -> Tensor:
        seen.append(1)
        return honest(self, step)

    monkeypatch.setattr(moves.RoundedMoves, "falls", counted)
    before = [check_against_enumeration("identity", seed, "sound") for seed in range(5)]
    assert seen
    monkeypatch.setattr(moves.RoundedMoves, "falls", lambda self, step: honest(self, step) + 1e6)
    after = [check_against_enumeration("identity", seed, "sound") for seed in range(5)]
    lost = [(a.radius, b.radius) for a, b in zip(after, before, strict=True)]
    assert all((a <= b).all() for a, b in lost)
    assert any((a < b).any() for a, b in lost)


def test_the_room_exports_one_name() -> None:
    assert edits.__all__ == ["Edits"]
