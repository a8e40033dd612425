"""Norms against numpy and exact arithmetic, down to the smallest numbers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featureconvex import UserError
from featureconvex.norms import check_exponent, dual_exponent, norm_name, parse_norm, vector_norm

EXPONENTS = (1.0, 1.01, 1.5, 2.0, 3.0, 101.0, 1e6, math.inf)
finite = st.floats(-1e3, 1e3, allow_subnormal=False)


@settings(max_examples=40)
@given(rows=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=4))
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, math.inf])
def test_equals_numpy(rows: list[tuple[float, ...]], p: float) -> None:
    v = torch.tensor(rows, dtype=torch.float64)
    found = vector_norm(v, p).numpy()
    scale = np.abs(rows).max(axis=1, keepdims=True).clip(1e-300)
    expected = scale[:, 0] * np.linalg.norm(np.array(rows) / scale, ord=p, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("p", EXPONENTS)
@pytest.mark.parametrize("size", [5e-324, 1e-200, 1e-45, 1e-4, 1.0, 1e4, 1e200])
def test_neither_underflows_nor_overflows(p: float, size: float) -> None:
    """A norm of 0 makes a radius infinite: (1e-4)^101 must not become 0."""
    v = torch.full((2, 3), size, dtype=torch.float64)
    expected = size * 3 ** (1 / p)
    assert vector_norm(v, p).tolist() == pytest.approx([expected] * 2, rel=1e-9, abs=5e-324)
    if 1e-30 < size < 1e30:
        assert vector_norm(v.float(), p).tolist() == pytest.approx([expected] * 2, rel=1e-6)


@pytest.mark.parametrize("p", EXPONENTS)
def test_special_rows(p: float) -> None:
    v = torch.tensor([[0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0], [3.0, 0.0]])
    found = vector_norm(v, p)
    assert found.dtype == torch.float64
    assert found[:2].tolist() == [0.0, math.inf]
    assert math.isnan(found[2])
    assert float(found[3]) == pytest.approx(3.0)
    assert vector_norm(torch.zeros(2, 0), p).tolist() == [0.0, 0.0]
    assert vector_norm(torch.zeros(0, 3), p).shape == (0,)


def test_is_over_all_other_dimensions() -> None:
    assert vector_norm(torch.ones(2, 3, 4), 1).tolist() == [12.0, 12.0]


@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
def test_is_differentiable(p: float) -> None:
    v = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rows: vector_norm(rows, p), (v,))


@given(p=st.floats(1, 1e6) | st.just(math.inf))
def test_duality(p: float) -> None:
    q = dual_exponent(p)
    assert q >= 1
    assert 1 / p + 1 / q == pytest.approx(1.0, abs=1e-12)
    if 1.001 < p < 1e3:
        assert dual_exponent(q) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, math.inf])
def test_the_dual_norm_is_attained(p: float) -> None:
    """Hoelder's inequality, with equality for the aligned vector."""
    v = torch.tensor([[3.0, -1.0, 0.5]]).double()
    q = dual_exponent(p)
    first = torch.tensor([[1.0, 0.0, 0.0]]).double()
    aligned = first if q == math.inf else v.sign() * v.abs() ** (q - 1)
    aligned = aligned / vector_norm(aligned, p)
    assert float((v * aligned).sum()) == pytest.approx(float(vector_norm(v, q)), rel=1e-12)


@pytest.mark.parametrize("bad", [0.5, 0, -1, math.nan, "two", None, -math.inf])
def test_bad_exponents_are_refused(bad: Any) -> None:
    with pytest.raises(UserError, match=r"\[1, inf\]"):
        check_exponent(bad)


@pytest.mark.parametrize(
    ("text", "p"),
    [("1", 1), ("L2", 2), ("inf", math.inf), ("linf", math.inf), ("1.5", 1.5), (2, 2)],
)
def test_norms_as_typed(text: str | float, p: float) -> None:
    assert parse_norm(text) == p


@pytest.mark.parametrize("bad", ["", "l", "l0", "max", "l-1"])
def test_bad_norms_are_refused(bad: str) -> None:
    with pytest.raises(UserError):
        parse_norm(bad)


@given(p=st.floats(1, 1e9) | st.just(math.inf))
def test_names_come_back_and_are_never_shared(p: float) -> None:
    assert parse_norm(norm_name(p)) == p


def test_names_of_the_common_norms() -> None:
    assert [norm_name(p) for p in (1, 2.0, math.inf, 1.5)] == ["l1", "l2", "linf", "l1.5"]
