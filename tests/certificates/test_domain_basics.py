"""Where the attacker may move: bounds, membership, refusals."""

import math
from typing import Any

import pytest
import torch

from featureconvex import Box, FeatureConvexModel, Unbounded, UserError, certify
from featureconvex.features import Identity
from featureconvex.nn import MaxAffine

X = torch.tensor([[0.25, 0.5, 0.75]]).double()


def test_unbounded() -> None:
    lo, hi = Unbounded().bounds(X)
    assert (lo == -math.inf).all()
    assert (hi == math.inf).all()
    assert Unbounded().contains(torch.full((2, 3), math.nan)).all()


def test_box_with_numbers_and_arrays() -> None:
    lo, hi = Box(0, [1.0, 2.0, math.inf]).bounds(X)
    assert lo.tolist() == [[0, 0, 0]]
    assert hi.tolist() == [[1, 2, math.inf]]


def test_immutable_coordinates_stay_where_they_are() -> None:
    lo, hi = Box(0, 1, immutable=[False, True, False]).bounds(X)
    assert lo.tolist() == [[0, 0.5, 0]]
    assert hi.tolist() == [[1, 0.5, 1]]


def test_one_sided_coordinates() -> None:
    lo, hi = Box(0, 1, direction=[1, -1, 0]).bounds(X)
    assert lo.tolist() == [[0.25, 0, 0]]
    assert hi.tolist() == [[1, 0.5, 1]]


def test_both_together() -> None:
    lo, hi = Box(0, 1, immutable=[True, False, False], direction=[1, 1, -1]).bounds(X)
    assert lo.tolist() == [[0.25, 0.5, 0]]
    assert hi.tolist() == [[0.25, 1, 0.75]]


def test_every_input_inside_lies_between_its_bounds() -> None:
    x = torch.rand(20, 3).double()
    for box in (
        Box(0, 1),
        Box(-math.inf, 1, direction=[1, 0, -1]),
        Box(0, 1, immutable=[True, True, False]),
    ):
        lo, hi = box.bounds(x)
        assert ((lo <= x) & (x <= hi)).all()
        assert box.contains(x).all()


@pytest.mark.parametrize("bad", [-1e-9, 1 + 1e-9, math.nan, math.inf])
def test_outside_is_outside(bad: float) -> None:
    x = X.clone()
    x[0, 1] = bad
    for box in (Box(0, 1), Box(0, 1, immutable=[False, True, False])):
        assert not box.contains(x).any()


def test_ends_belong_to_the_box() -> None:
    assert Box(0, 1).contains(torch.tensor([[0.0, 1.0]])).all()


def test_a_float32_input_is_compared_with_the_ends_as_given() -> None:
    """float32(0.1) is above 0.1."""
    assert not Box(0, 0.1).contains(torch.tensor([[0.1]])).any()
    assert Box(0, 0.1).contains(torch.tensor([[0.1]]).double() - 2e-9).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((1, 0), "lo <= hi"),
        ((math.nan, 1), "lo <= hi"),
        ((0, [1.0, -1.0, 1.0]), "lo <= hi"),
        ((0, 1, None, [2, 0, 0]), "direction"),
        ((0, 1, None, [0.5, 0, 0]), "direction"),
    ],
)
def test_bad_boxes_are_refused(arguments: tuple[Any, ...], word: str) -> None:
    with pytest.raises(UserError, match=word):
        Box(*arguments)


def test_a_box_of_another_shape_is_refused() -> None:
    with pytest.raises(UserError, match="does not broadcast"):
        Box(torch.zeros(4), torch.ones(4)).bounds(X)


def test_the_domain_decides_the_status() -> None:
    m = FeatureConvexModel(Identity(), MaxAffine(3, 2), tau=10.0)
    x = torch.tensor([[0.5, 0.5, 0.5], [0.5, 0.5, 1.5]])
    cert = certify(m, x, domain=Box(0, 1))
    assert cert.status.tolist() == ["certified", "outside_domain"]
    assert cert.radius[1] == 0
    assert certify(m, x).status.tolist() == ["certified", "certified"]
