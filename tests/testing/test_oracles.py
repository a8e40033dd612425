"""The oracles against each other, against duality, and against what is obvious."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featureconvex import UserError
from featureconvex.testing import grid_radius, linear_radius, max_affine_radius

number = st.floats(-4, 4).map(lambda v: round(v * 16) / 16)


@settings(max_examples=60)
@given(
    w=st.lists(number, min_size=3, max_size=3).filter(lambda w: any(w)),
    margin=st.floats(0.1, 5),
    p=st.sampled_from([1.0, 2.0, math.inf]),
    cost=st.sampled_from([[1.0, 1.0, 1.0], [0.5, 2.0, 4.0]]),
)
def test_one_piece_is_a_hyperplane(
    w: list[float], margin: float, p: float, cost: list[float]
) -> None:
    weight, c = np.array([w]), np.array(cost)
    expected = linear_radius(weight[0], np.array([margin]), p, c)[0]
    assert max_affine_radius(weight, np.array([margin]), p, c) == pytest.approx(expected, rel=1e-6)


def test_a_corner() -> None:
    """Both pieces must fall to 0: (1, 1) is the nearest such point."""
    weight, margins = np.array([[-1.0, 0.0], [0.0, -1.0]]), np.array([1.0, 1.0])
    for p, expected in ((1, 2.0), (2, math.sqrt(2)), (math.inf, 1.0)):
        assert max_affine_radius(weight, margins, p) == pytest.approx(expected)


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_contradicting_pieces_have_no_answer(p: float) -> None:
    weight, margins = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 1.0])
    assert max_affine_radius(weight, margins, p) == math.inf
    # A box, or an immutable coordinate, can be in the way as well.
    one = np.array([[-1.0, 0.0]]), np.array([2.0])
    assert max_affine_radius(*one, p, hi=np.array([1.0, 1.0])) == math.inf
    assert max_affine_radius(*one, p, cost=np.array([math.inf, 1.0])) == math.inf
    assert max_affine_radius(*one, p, hi=np.array([3.0, 1.0])) == pytest.approx(2.0)


def test_nothing_to_do_where_the_input_is_flipped_already() -> None:
    assert max_affine_radius(np.eye(2), np.array([-1.0, 0.0]), 2) == 0.0
    assert linear_radius(np.ones(2), np.array([-1.0, 0.0]), 2).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("seed", range(4))
def test_a_grid_agrees_with_the_programs(p: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight, offset = rng.normal(size=(3, 2)), rng.normal(size=3) - 1.0
    x = torch.tensor(rng.uniform(-1, 1, 2))
    cost = torch.tensor([1.0, 2.0], dtype=torch.float64)

    def margin(points: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = (points @ torch.tensor(weight).T + torch.tensor(offset) + 2.0).amax(
            1
        )
        return values

    exact = max_affine_radius(weight, weight @ x.numpy() + offset + 2.0, p, cost.numpy())
    found = grid_radius(margin, x, p, reach=6.0, points=601, cost=cost)
    assert exact <= found * (1 + 1e-9)
    if math.isfinite(found) and found < 6:
        assert found <= exact + 0.2


def test_other_norms_are_refused() -> None:
    with pytest.raises(UserError, match="1, 2 and inf"):
        max_affine_radius(np.eye(2), np.ones(2), 3)
