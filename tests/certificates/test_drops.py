"""Drop curves against a fine grid of perturbations."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from featureconvex.certificates import separable
from featureconvex.certificates.drops import Drops, Rise
from featureconvex.certificates.kinked import kinked_form
from featureconvex.certificates.separable import separable_drops
from featureconvex.certificates.threats.ball.dual import penalised
from featureconvex.features import (
    AbsConcat,
    Center,
    Compose,
    FeatureMap,
    Identity,
    KinkedForm,
    Scale,
)

BUDGETS = (0.0, 0.01, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9, 1.3, 3.0, 20.0)
Case = tuple[KinkedForm, tuple[Tensor, Tensor, Tensor], Tensor]
DOMAINS = ("box", "unbounded", "above", "grow only", "mixed")


def interval(x: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    lo, hi = torch.zeros_like(x), torch.ones_like(x)
    if kind == "unbounded":
        lo, hi = lo - math.inf, hi + math.inf
    elif kind == "above":
        hi += math.inf
    elif kind == "grow only":
        lo = x.clone()
    elif kind == "mixed":
        lo[:, 0] = hi[:, 0] = x[:, 0]
        hi[:, 2] = math.inf
    return lo, hi


def brute(
    form: KinkedForm, x: Tensor, lo: Tensor, hi: Tensor, cost: Tensor, budget: float
) -> Tensor:
    """(n, d): the largest drop on a grid of 2001 moves per coordinate."""
    grid = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None, None]
    move = (grid * budget / cost).expand(-1, *x.shape).clamp(lo - x, hi - x)
    drop = -form.w * move
    if form.b is not None:
        assert form.z is not None
        drop = drop - form.b * ((x + move - form.z).abs() - (x - form.z).abs())
    return drop.amax(0)


def random_case(seed: int, kind: str, affine: bool, priced: bool) -> Case:
    """A form, the inputs with their intervals, and the costs."""
    torch.manual_seed(seed)
    n, d = 16, 4
    x = torch.rand(n, d, dtype=torch.float64)
    z = x[0].clone() if seed % 3 == 0 else torch.rand(d, dtype=torch.float64)
    w, b = torch.randn(2, n, d, dtype=torch.float64)
    w[:, 3] *= seed % 2
    cost = torch.ones(d, dtype=torch.float64)
    if priced:
        cost = torch.rand(d, dtype=torch.float64) + 0.3
        cost[1] = math.inf
    form = KinkedForm(w) if affine else KinkedForm(w, b, z)
    lo, hi = interval(x, kind)
    return form, (x, lo, hi), cost


@pytest.mark.parametrize("kind", DOMAINS)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "abs"])
@pytest.mark.parametrize("priced", [False, True], ids=["plain", "costs"])
def test_curves_agree_with_a_fine_grid(kind: str, affine: bool, priced: bool) -> None:
    for seed in range(12):
        form, (x, lo, hi), cost = random_case(seed, kind, affine, priced)
        curves = separable_drops(form, x, lo, hi, cost if priced else None)
        check_pieces(curves)
        for budget in BUDGETS:
            truth = brute(form, x, lo, hi, cost, budget)
            error = curves.at(torch.full((len(x),), budget, dtype=torch.float64)) - truth
            assert error.min() >= -1e-9
            assert error.max() <= 1e-12 + 8 * 2e-3 * budget / float(cost.min())


def check_pieces(curves: Drops) -> None:
    curves = curves.dense
    assert len(curves.rises) <= 3
    before = torch.zeros_like(curves.rises[0].end)
    assert (curves.rises[0].start == 0).all()
    for rise in curves.rises:
        for numbers in (rise.start, rise.end, rise.slope):
            assert torch.isfinite(numbers).all()
        assert (rise.start >= before).all()
        assert (rise.end >= rise.start).all()
        assert (rise.slope >= 0).all()
        before = rise.end


def one_direction(w: Tensor, b: Tensor, kink: Tensor, down: Tensor, up: Tensor) -> object:
    """The tempting shortcut: follow the direction that pays first, and forget the other one."""
    side = torch.where(kink < 0, -1.0, 1.0)
    away = side * w - b
    room_away, room_toward = torch.where(kink < 0, up, down), torch.where(kink < 0, down, up)
    first = torch.where(away > 0, room_away, torch.minimum(kink.abs(), room_toward))
    beyond = torch.where(away > 0, 0.0, (-side * w - b).clamp_min(0))
    end = torch.maximum(first, torch.where(away > 0, room_away, room_toward))
    return Rise(torch.zeros_like(w), first, away.abs()), Rise(first, end, beyond)


def test_curves_of_one_direction_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separable, "_two_ways", one_direction)
    with pytest.raises(AssertionError):
        test_curves_agree_with_a_fine_grid("box", affine=False, priced=False)


@given(
    w=st.floats(-3, 3),
    b=st.floats(-3, 3),
    x=st.floats(0, 1),
    z=st.floats(-0.5, 1.5),
    lo=st.floats(-1, 0),
    hi=st.floats(1, 2),
    t=st.floats(0, 3),
)
def test_any_one_coordinate(
    w: float, b: float, x: float, z: float, lo: float, hi: float, t: float
) -> None:
    def one(value: float) -> Tensor:
        return torch.tensor([[value]], dtype=torch.float64)

    form = KinkedForm(one(w), one(b), one(z)[0])
    curves = separable_drops(form, one(x), one(lo), one(hi))
    check_pieces(curves)
    top = curves.at(one(t)[0]).item()
    # The maximum is at an end of the interval, at the kink, or at 0.
    reach = torch.tensor([0.0, max(lo - x, -t), min(hi - x, t), z - x], dtype=torch.float64)
    reach = reach[(reach >= max(lo - x, -t)) & (reach <= min(hi - x, t))]
    truth = (-w * reach - b * ((x + reach - z).abs() - abs(x - z))).max().item()
    assert top == pytest.approx(max(truth, 0.0), abs=1e-9)


def test_values_slopes_and_totals_fit_together() -> None:
    form, (x, lo, hi), _ = random_case(5, "box", affine=False, priced=False)
    curves = separable_drops(form, x, lo, hi)
    for ends in (torch.zeros(len(x)).double(), *(rise.end.amax(1) for rise in curves.rises)):
        t = ends + 0.01
        ahead = (curves.at(t + 1e-7) - curves.at(t)) / 1e-7
        assert torch.allclose(ahead, curves.slope_at(t), atol=1e-5)
    assert torch.allclose(curves.total(), curves.at(torch.full((len(x),), 9.0).double()))
    free = separable_drops(form, x, lo - math.inf, hi + math.inf)
    unlimited = torch.stack([rise.endless for rise in free.dense.rises]).any(0)
    assert (torch.isinf(free.total()) == unlimited).all()
    assert (free.tail > 0).any()


def test_a_limit_cuts_the_curves_off() -> None:
    for affine in (True, False):
        form, (x, lo, hi), _ = random_case(4, "above", affine, priced=False)
        curves = separable_drops(form, x, lo, hi)
        limit = torch.linspace(0.05, 1.5, len(x), dtype=torch.float64)
        cut = curves.within(limit)
        for t in (0.01, 0.3, 5.0):
            step = torch.full_like(limit, t)
            assert torch.allclose(cut.at(step), curves.at(torch.minimum(step, limit)))
        assert torch.allclose(cut.total(), curves.at(limit))


def test_curves_are_differentiable_in_the_slope() -> None:
    form, (x, lo, hi), _ = random_case(7, "box", affine=False, priced=False)
    assert form.b is not None
    w, b = form.w.clone().requires_grad_(), form.b.clone().requires_grad_()

    def total(w: Tensor, b: Tensor) -> Tensor:
        curves = separable_drops(KinkedForm(w, b, form.z), x, lo, hi)
        return curves.at(torch.full((len(x),), 0.4, dtype=torch.float64)).sum()

    assert torch.autograd.gradcheck(total, (w, b))
    free = separable_drops(KinkedForm(w, b, form.z), x, lo - math.inf, hi + math.inf)
    (slope,) = torch.autograd.grad(free.at(torch.full((len(x),), 0.4).double()).sum(), w)
    assert torch.isfinite(slope).all()


MAPS: dict[str, FeatureMap] = {
    "identity": Identity(),
    "center": Center([0.1, -0.2, 0.3]),
    "scale": Scale([2.0, -0.5, 0.0], [1.0, 0.2, 0.1]),
    "abs": AbsConcat(),
    "centred abs": Compose(Center([0.1, -0.2, 0.3]), AbsConcat()),
    "scaled abs": Compose(Scale([2.0, -0.5, 0.0], [1.0, 0.2, 0.1]), Center(0.3), AbsConcat()),
    "abs, scaled": Compose(AbsConcat(), Scale([1.0, 2.0, 3.0, -1.0, -2.0, 0.5])),
    "all": Compose(Identity(), Scale(-2.0), AbsConcat(), Scale(0.5, 1.0), Center(0.1)),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_separable_form_is_the_fall_of_the_minorant(name: str) -> None:
    phi = MAPS[name]
    x, y = torch.randn(2, 20, 3, dtype=torch.float64)
    v = torch.randn_like(phi(x))
    form = kinked_form(phi, v, x, x, x)
    assert form is not None
    change = form.w * (y - x)
    if form.b is not None:
        assert form.z is not None
        change = change + form.b * ((y - form.z).abs() - (x - form.z).abs())
    truth = (v * (phi(y) - phi(x))).sum(1)
    assert torch.allclose(change.sum(1), truth)


class Doubled(Scale):
    """A subclass with a forward pass of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_unknown_maps_are_not_guessed() -> None:
    twice = Compose(AbsConcat(), Center(0.5), AbsConcat())
    x = torch.ones(1, 3)
    assert kinked_form(twice, x.repeat(1, 4), x, x, x) is None
    assert kinked_form(Compose(Doubled(1.0), AbsConcat()), x.repeat(1, 2), x, x, x) is None


def rare_third_stretch(seed: int) -> Drops:
    """40 curves a row; a third stretch in few of them, and not in the same ones."""
    generator = torch.Generator().manual_seed(seed)
    first, second, third = torch.rand(3, 5, 40, dtype=torch.float64, generator=generator)
    slopes = torch.rand(3, 5, 40, dtype=torch.float64, generator=generator)
    columns = torch.tensor([3, 17, 39])
    start, end = (first + second)[:, columns], (first + second + third)[:, columns]
    narrow = slopes[2][:, columns] * torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    rises = (
        Rise(torch.zeros_like(first), first, slopes[0]),
        Rise(first, first + second, slopes[1]),
        Rise(start, end, narrow, columns),
    )
    return Drops(rises, (40,))


@pytest.mark.parametrize("seed", range(3))
def test_a_stretch_of_some_columns_is_the_same_as_a_dense_one(seed: int) -> None:
    curves = rare_third_stretch(seed)
    dense = curves.dense
    assert all(rise.columns is None for rise in dense.rises)
    t = torch.tensor([0.0, 0.5, 1.2, 2.0, 9.0], dtype=torch.float64)
    for name in ("top", "chord", "steepest", "last", "reach", "tail"):
        assert torch.equal(getattr(curves, name), getattr(dense, name)), name
    for one, other in ((curves, dense), (curves.within(t), dense.within(t))):
        assert torch.allclose(one.at(t), other.at(t), rtol=1e-15)
        assert torch.allclose(one.slope_at(t), other.slope_at(t), rtol=1e-15)
        assert torch.equal(one.total(), other.total())
    assert torch.equal(curves.rows(t > 1).top, dense.rows(t > 1).top)
    order = curves.chord.topk(7, dim=1).indices
    assert torch.equal(curves.columns(order).top, dense.columns(order).top)
    for p in (1, 1.5, 2):
        some, all_ = penalised(curves, t + 0.1, p), penalised(dense, t + 0.1, p)
        assert torch.allclose(some.best, all_.best, rtol=1e-14)
        assert torch.allclose(some.spent, all_.spent, rtol=1e-14)


def test_a_stretch_that_few_columns_have_is_kept_in_these_only() -> None:
    form, (x, lo, hi), _ = random_case(3, "box", affine=False, priced=False)
    assert form.b is not None
    assert form.z is not None
    count = x.shape[1]

    def padded(part: Tensor, factor: float) -> Tensor:
        return torch.cat([part, *[factor * part] * 4], -1)

    wide = KinkedForm(padded(form.w, 0), padded(form.b, 0), padded(form.z, 1))
    curves = separable_drops(wide, *(padded(part, 1) for part in (x, lo, hi)))
    columns = curves.rises[-1].columns
    assert columns is not None
    assert (columns < count).all()
    assert torch.equal(curves.total()[:, :count], separable_drops(form, x, lo, hi).total())
