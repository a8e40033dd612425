"""Shifts and scales: errors, dtypes, and standardisation."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from featureconvex import UserError
from featureconvex.features import Center, Compose, Identity, Scale, standardise


@pytest.mark.parametrize(
    ("shape", "one"),
    [
        ((3, 1), (4,)),
        ((1, 4), (4,)),
        ((5,), (1,)),
        ((2, 1, 1), (2,)),
        ((3,), (4,)),
        ((2, 3), (3, 3)),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_constants_that_do_not_fit_one_input_are_refused(
    shape: tuple[int, ...], one: tuple[int, ...], rows: int
) -> None:
    """Broadcasting over rows would give each row its own map, or widen a row, without a word."""
    x = torch.zeros(rows, *one)
    for phi in (Scale(torch.ones(shape)), Scale(1.0, torch.ones(shape)), Center(torch.ones(shape))):
        with pytest.raises(UserError, match="does not broadcast to one input"):
            phi(x)


@pytest.mark.parametrize("bad", [math.nan, math.inf, [1.0, -math.inf]])
def test_constants_must_be_finite(bad: Any) -> None:
    with pytest.raises(UserError, match="finite"):
        Scale(bad)
    with pytest.raises(UserError, match="finite"):
        Scale(1.0, bad)
    with pytest.raises(UserError, match="finite"):
        Center(bad)


def test_constants_are_copies() -> None:
    mine = torch.ones(2, dtype=torch.float64)
    phi = Scale(mine)
    mine.fill_(5.0)
    assert phi.lipschitz(2) == 1.0


def test_a_centre_cannot_be_loaded_with_another_scale() -> None:
    """Its constant would no longer be the map's."""
    with pytest.raises(RuntimeError, match="scale"):
        Center([0.0]).load_state_dict(Scale([0.5], [0.0]).state_dict())


@given(
    scale=st.lists(st.floats(-10, 10), min_size=1, max_size=4),
    p=st.floats(1, 10) | st.just(math.inf),
)
def test_the_constant_is_the_largest_scale_for_every_p(scale: list[float], p: float) -> None:
    assert Scale(scale).lipschitz(p) == max(abs(s) for s in scale)


def test_standardise_gives_mean_0_and_variance_1() -> None:
    x = torch.randn(200, 3, dtype=torch.float64) * torch.tensor([1e-6, 1.0, 1e6]) + 7
    u = standardise(x)(x)
    torch.testing.assert_close(u.mean(0), torch.zeros(3).double(), atol=1e-7, rtol=0)
    torch.testing.assert_close(u.var(0, correction=0), torch.ones(3).double())


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e6 / 3, -1e-30])
def test_a_constant_column_is_only_centred(value: float) -> None:
    phi = standardise(torch.full((7, 1), value, dtype=torch.float64))
    assert phi.lipschitz(2) == 1.0
    assert abs(float(phi(torch.full((1, 1), value, dtype=torch.float64)))) <= 1e-9 * abs(value)


def test_standardised_units_give_raw_radii() -> None:
    """A scale of 1 / s means that a unit step in raw units is 1 / s in the feature."""
    phi = Compose(Identity(), standardise(torch.tensor([[0.0], [4.0]])))
    v = torch.ones(1, 1, dtype=torch.float64)
    assert float(phi.sensitivity(v, 2)) == pytest.approx(0.5)


def test_numbers_too_large_to_standardise_name_their_coordinate() -> None:
    x = torch.tensor([[0.0, 1e308], [1.0, -1e308]], dtype=torch.float64)
    with pytest.raises(UserError, match="coordinate 1 has numbers too large"):
        standardise(x)


@pytest.mark.parametrize("phi", [Identity(), Scale(2.0)], ids=["identity", "scale"])
def test_no_constant_below_one(phi: Scale | Identity) -> None:
    with pytest.raises(UserError):
        phi.lipschitz(0.5)
