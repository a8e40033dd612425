"""The constant of ``(u, |u|)`` is attained, and a kink shows why ``phi`` is not chained through."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featureconvex.features import AbsConcat
from featureconvex.norms import vector_norm


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
def test_the_constant_is_attained(p: float) -> None:
    x, y = torch.tensor([[1.0, 3.0]]).double(), torch.tensor([[0.5, 4.0]]).double()
    ratio = vector_norm(AbsConcat()(x) - AbsConcat()(y), p) / vector_norm(x - y, p)
    assert float(ratio) == pytest.approx(AbsConcat().lipschitz(p), rel=1e-12)


@given(p=st.floats(1, 50))
def test_the_constant_is_2_to_the_1_over_p(p: float) -> None:
    assert AbsConcat().lipschitz(p) == pytest.approx(math.exp(math.log(2) / p), rel=1e-12)


def test_there_is_no_pullback() -> None:
    with pytest.raises(TypeError, match="not affine"):
        AbsConcat().pullback(torch.ones(1, 4))


def test_costs_repeat_on_both_halves() -> None:
    v = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]]).double().reshape(1, 4, 1)
    cost = torch.tensor([[2.0], [math.inf]]).double()
    found = float(AbsConcat().sensitivity(v, 2, cost))
    assert found == pytest.approx(math.sqrt(2) * math.hypot(1 / 2, 3 / 2))
