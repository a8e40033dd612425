"""The directed bounds against exact rational arithmetic."""

import math
from fractions import Fraction

import flint
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.rounding import directed
from featureconvex.rounding.directed import (
    FLOAT32,
    FLOAT64,
    check_gradual_underflow,
    difference_down,
    dual_norm_up,
    quotient_down,
    upper,
)

numbers = st.floats(-1e300, 1e300, allow_nan=False)
positive = st.floats(5e-324, 1e300, exclude_min=False)
rows = st.lists(st.floats(0, 1e150) | st.floats(0, 1e-150) | st.just(0.0), min_size=1, max_size=12)


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


@given(numbers, numbers)
def test_differences_round_down(a: float, b: float) -> None:
    assert Fraction(difference_down(number(a), number(b)).item()) <= Fraction(a) - Fraction(b)


@given(positive, positive)
def test_quotients_round_down(a: float, b: float) -> None:
    assert Fraction(quotient_down(number(a), number(b)).item()) <= Fraction(a) / Fraction(b)


def test_a_quotient_rounded_to_nearest_is_caught() -> None:
    torch.manual_seed(0)
    a, b = torch.rand(2, 100, dtype=torch.float64)
    exact = [Fraction(p.item()) / Fraction(q.item()) for p, q in zip(a, b, strict=True)]
    near = [Fraction(v.item()) > e for v, e in zip(a / b, exact, strict=True)]
    down = [Fraction(v.item()) > e for v, e in zip(quotient_down(a, b), exact, strict=True)]
    assert any(near)
    assert not any(down)


@given(rows, rows)
def test_upper_covers_a_sum_of_products(a: list[float], b: list[float]) -> None:
    count = min(len(a), len(b))
    x, y = (torch.tensor(v[:count], dtype=torch.float64) for v in (a, b))
    got = upper((x * y).sum(), count).item()
    assume(math.isfinite(got))
    assert Fraction(got) >= sum(
        Fraction(p) * Fraction(q) for p, q in zip(a[:count], b[:count], strict=True)
    )


def test_upper_keeps_known_zeros_and_raises_the_rest() -> None:
    out = upper(torch.zeros(2, dtype=torch.float64), 3, torch.tensor([True, False]))
    assert out[0] > 0
    assert out[1] == 0


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
@given(row=rows)
def test_dual_norms_round_up(p: float, row: list[float]) -> None:
    got = Fraction(dual_norm_up(torch.tensor([row], dtype=torch.float64), p).item())
    exact = [Fraction(value) for value in row]
    if p == 1:
        assert got >= max(exact)
    elif p == 2:
        assert got**2 >= sum(value**2 for value in exact)
        assert got**2 <= sum(value**2 for value in exact) * (1 + Fraction(1, 2**30)) + Fraction(
            1e-280
        )
    else:
        assert got >= sum(exact)


@pytest.mark.parametrize("p", [1.5, 3.0, 4.0, 1.001, 50.0])
@given(row=st.lists(st.floats(1e-100, 1e100) | st.just(0.0), min_size=1, max_size=12))
def test_general_dual_norms_round_up(p: float, row: list[float]) -> None:

    with flint.ctx.workprec(300):
        one_over_q = 1 - 1 / flint.arb(p)
        exact = [flint.arb(value) for value in row if value > 0]
        total = sum((value ** (1 / one_over_q) for value in exact), flint.arb(0))
        norm = total**one_over_q if exact else flint.arb(0)
        got = dual_norm_up(torch.tensor([row], dtype=torch.float64), p).item()
        assert flint.arb(got) >= norm.lower()
        assert not exact or flint.arb(got) <= norm * (1 + 1e-9)


def test_a_planted_small_constant_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    row = torch.rand(200, 999, dtype=torch.float64)
    exact = [sum(Fraction(v) for v in part.tolist()) for part in row]

    def fails() -> bool:
        got = upper(row.sum(1), 999).tolist()
        return any(Fraction(g) < e for g, e in zip(got, exact, strict=True))

    assert not fails()
    monkeypatch.setattr(directed.Rounding, "gamma", lambda _, __: 0.0)
    monkeypatch.setattr(directed, "TINY", 0.0)
    assert fails()


@given(st.integers(1, 10**6))
def test_gamma_is_an_upper_bound(count: int) -> None:
    for arithmetic in (FLOAT32, FLOAT64):
        product = count * Fraction(arithmetic.unit)
        assert Fraction(arithmetic.gamma(count)) >= product / (1 - product)


def test_sums_too_long_for_a_bound_are_refused() -> None:
    with pytest.raises(UserError, match="float32"):
        FLOAT32.gamma(2**23)


def test_flushing_to_zero_is_refused() -> None:
    if not torch.set_flush_denormal(True):
        pytest.fail("this processor cannot flush denormals; the check cannot be exercised")
    try:
        with pytest.raises(UserError, match="set_flush_denormal"):
            check_gradual_underflow()
    finally:
        torch.set_flush_denormal(False)
    check_gradual_underflow()
