"""Falls inside a domain against exact rational arithmetic, coordinate by coordinate."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from featureconvex.certificates.levels.sound import SoundLine, fall, kinks
from featureconvex.certificates.levels.sound.fall import Fall, fall_of
from featureconvex.certificates.levels.sound.kinks import Kinked, kinked
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.rounding.graph import Graph

# Grid of moves, as shares of the largest one; the kink and the ends are added.
SHARES = [Fraction(k, 16) for k in range(17)]


def coordinate_fall(form: Kinked, x: Tensor, i: int, delta: Fraction) -> Fraction:
    """The bracket of ``kinks`` for one coordinate of row 0."""
    w, slack = (Fraction(part[0, i].item()) for part in (form.w, form.slack))
    out = -w * delta + slack * abs(delta)
    if form.b is not None and form.z is not None:
        b, z, here = (
            Fraction(part.item()) for part in (form.b[0, i], form.z.expand(x.shape)[0, i], x[0, i])
        )
        out -= b * (abs(here + delta - z) - abs(here - z))
    return out


def moves(
    form: Kinked, x: Tensor, lo: Tensor, hi: Tensor, i: int, most: Fraction
) -> list[Fraction]:
    """Moves of coordinate i inside the domain of size at most ``most``."""
    here = Fraction(x[0, i].item())
    ends = []
    for sign, end in ((-1, lo), (1, hi)):
        room = abs(Fraction(end[0, i].item()) - here) if math.isfinite(end[0, i]) else most
        ends.append(sign * min(room, most))
    points = [end * share for end in ends for share in SHARES]
    if form.z is not None:
        points.append(Fraction(form.z.expand(x.shape)[0, i].item()) - here)
    return [delta for delta in points if ends[0] <= delta <= ends[1]]


def random_case(
    seed: int, kinky: bool, scale: float, cost: bool
) -> tuple[Kinked, Tensor, Tensor, Tensor, Tensor | None]:
    torch.manual_seed(seed)
    d = 4
    x = torch.randn(1, d).double() * scale
    lo, hi = x - torch.rand(1, d) * scale, x + torch.rand(1, d) * scale
    hi = torch.where(torch.rand(1, d) < 0.2, torch.inf, hi)
    lo = torch.where(torch.rand(1, d) < 0.2, x, lo)
    form = Kinked(
        torch.randn(1, d).double(),
        torch.randn(1, d).double() if kinky else None,
        torch.randn(d).double() * scale if kinky else None,
        torch.rand(1, d).double() * 1e-3,
        torch.zeros(1).double(),
    )
    price = torch.rand(d).double() + 0.5 if cost else None
    return form, x, lo, hi, price


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    kinky=st.booleans(),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
    cost=st.booleans(),
    budget=st.sampled_from([0.1, 1.0, 3.0]),
)
def test_most_is_at_least_every_fall(
    seed: int, kinky: bool, scale: float, cost: bool, budget: float
) -> None:
    form, x, lo, hi, price = random_case(seed, kinky, scale, cost)
    curves = fall_of(form, x, lo, hi, price)
    r = budget * scale
    got = curves.most(torch.tensor([r], dtype=torch.float64))[0]
    for i in range(x.shape[1]):
        c = Fraction(1.0 if price is None else price[i].item())
        values = [
            coordinate_fall(form, x, i, m) for m in moves(form, x, lo, hi, i, Fraction(r) / c)
        ]
        assert Fraction(got[i].item()) >= max(values)
        assert got[i].item() <= float(max(values)) * (1 + 1e-9) + 1e-9 * scale


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 1.5])
@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    kinky=st.booleans(),
    cost=st.booleans(),
    lam=st.sampled_from([1e-3, 0.3, 2.0, 1e3]),
)
def test_penalised_falls_round_up(p: float, seed: int, kinky: bool, cost: bool, lam: float) -> None:
    form, x, lo, hi, price = random_case(seed, kinky, 1.0, cost)
    curves = fall_of(form, x, lo, hi, price)
    got = curves.penalised(
        torch.tensor([1.5]).double(), torch.tensor([lam], dtype=torch.float64), p
    ).item()
    total, fine = Fraction(0), 0.0
    for i in range(x.shape[1]):
        c = Fraction(1.0 if price is None else price[i].item())
        values = []
        for move in moves(form, x, lo, hi, i, Fraction(1.5) / c):
            t = c * abs(move)
            # Powers of rational numbers for whole p; for p = 1.5 the float is right to 1e-15.
            power = (
                t ** int(p) if p == int(p) else Fraction(float(t) ** p) * (1 + Fraction(1, 10**14))
            )
            values.append(coordinate_fall(form, x, i, move) - Fraction(lam) * power)
        total += max(Fraction(0), *values)
        fine += float(max(Fraction(0), *values))
    assert Fraction(got) >= total
    assert got <= fine * 1.05 + 0.05


def line_of(slope: Tensor, x: Tensor, dtype: torch.dtype) -> SoundLine:
    zero = torch.zeros(1).double()
    return SoundLine(zero, slope, torch.zeros_like(x), math.inf, Graph(dtype), [])


def form_of(phi: FeatureMap, slope: Tensor, x: Tensor, dtype: torch.dtype) -> Kinked | None:
    far = torch.full_like(x, math.inf)
    return kinked(phi, line_of(slope, x, dtype), x, -far, far)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    which=st.integers(0, 5),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_separable_form_covers_the_exact_fall(
    seed: int, which: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(seed)
    d = 4

    def scale() -> Scale:
        return Scale(torch.randn(d), torch.randn(d))

    maps: list[FeatureMap] = [
        Identity(),
        Compose(scale(), Center(torch.rand(d)), scale()),
        Compose(Center(torch.rand(d)), AbsConcat()),
        Compose(scale(), AbsConcat()),
        Compose(scale(), Center(0.1), scale(), AbsConcat()),
        Compose(scale(), AbsConcat(), Scale(torch.randn(2 * d), 0.3), Center(0.7)),
    ]
    feature_map = maps[which]
    x = torch.randn(1, d).double()
    slope = torch.randn(1, d if which < 2 else 2 * d).double()
    form = form_of(feature_map, slope, x, dtype)
    assert form is not None
    for _ in range(5):
        delta = torch.randn(1, d).double() * 10.0 ** torch.randint(-8, 2, (1, d))
        exact = _exact_fall(feature_map, slope, x, delta, dtype)
        covered = sum(
            coordinate_fall(form, x, i, Fraction(delta[0, i].item())) for i in range(d)
        ) + Fraction(form.lost.item())
        assert covered >= exact
        assert float(covered - exact) < 1e-12 * (1 + float(delta.abs().max())) * 100


def test_a_row_of_wide_slack_leaves_the_others_their_form() -> None:
    torch.manual_seed(0)
    x, slope = torch.randn(3, 4).double(), torch.randn(3, 4).double()
    slack = torch.tensor([[1e-9], [0.5], [1e-3]]).double() * slope.abs()
    far, zero = torch.full_like(x, math.inf), torch.zeros(3).double()
    line = SoundLine(zero, slope, slack, math.inf, Graph(torch.float64), [])
    form = kinked(Identity(), line, x, -far, far)
    assert form is not None
    assert form.b is not None
    for k in (0, 2):
        one = replace(line, value=zero[:1], slope=slope[k : k + 1], slack=slack[k : k + 1])
        alone = kinked(Identity(), one, x[k : k + 1], -far[:1], far[:1])
        assert alone is not None
        assert alone.b is None
        assert not form.b[k].any()
        assert torch.equal(form.slack[k], alone.slack[0])
    assert (form.b[1] <= -slack[1]).all()
    assert not form.slack[1].any()


def _exact_fall(
    feature_map: FeatureMap, slope: Tensor, x: Tensor, delta: Tensor, dtype: torch.dtype
) -> Fraction:
    def image(values: list[Fraction]) -> list[Fraction]:
        parts = feature_map.parts() if isinstance(feature_map, Compose) else [feature_map]
        for part in parts:
            if isinstance(part, AbsConcat):
                values = values + [abs(value) for value in values]
            elif isinstance(part, Scale):
                s, t = (
                    [Fraction(v) for v in c.to(dtype).double().expand(len(values)).tolist()]
                    for c in (part.scale, part.shift)
                )
                values = [a * v + b for a, v, b in zip(s, values, t, strict=True)]
        return values

    here = [Fraction(v) for v in x[0].tolist()]
    there = [a + Fraction(b) for a, b in zip(here, delta[0].tolist(), strict=True)]
    v = [Fraction(value) for value in slope[0].tolist()]
    return sum(
        (s * (a - b) for s, a, b in zip(v, image(here), image(there), strict=True)), Fraction(0)
    )


def test_other_maps_have_no_separable_form() -> None:
    class Mine(Identity):
        def forward(self, x: Tensor) -> Tensor:
            return x.sin()

    x = torch.zeros(1, 2).double()
    assert form_of(Mine(), x, x, torch.float64) is None
    assert form_of(Compose(AbsConcat(), AbsConcat()), x, x, torch.float64) is None


def test_totals_beyond_the_reach_are_infinite() -> None:
    form, x, lo, _, _ = random_case(0, False, 1.0, False)
    curves = fall_of(form, x, lo, x + 1.0, None)
    assert torch.isfinite(curves.totals(10.0)).all()
    assert torch.isinf(curves.totals(0.5)).all()


def test_a_coordinate_that_cannot_move_cannot_fall() -> None:
    form, x, _, _, _ = random_case(0, True, 1.0, False)
    assert (fall_of(form, x, x, x, None).most() == 0).all()
    still = torch.full((4,), math.inf).double()
    assert (fall_of(form, x, x - 1, x + 1, still).most() == 0).all()


def test_planted_faults_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgetting the slack, or rounding slopes and rooms to nearest."""

    def violations() -> int:
        count = 0
        for seed in range(40):
            form, x, lo, hi, price = random_case(seed, True, 1.0, True)
            assert price is not None
            got = fall_of(form, x, lo, hi, price).most(torch.tensor([1.0]).double())[0]
            for i in range(4):
                most = Fraction(1) / Fraction(price[i].item())
                exact = max(coordinate_fall(form, x, i, m) for m in moves(form, x, lo, hi, i, most))
                count += Fraction(got[i].item()) < exact
        return count

    assert violations() == 0
    with monkeypatch.context() as patch:
        patch.setattr(fall, "U", 0.0)
        patch.setattr(fall, "upper", lambda value, *_: value)
        assert violations() > 0
    with monkeypatch.context() as patch:
        original = fall.fall_of
        patch.setitem(
            globals(),
            "fall_of",
            lambda form, *rest: original(
                Kinked(form.w, form.b, form.z, form.slack * 0, form.lost), *rest
            ),
        )
        assert violations() > 0
    assert isinstance(fall_of(*random_case(0, True, 1.0, True)), Fall)
    assert kinks.Kinked is Kinked
