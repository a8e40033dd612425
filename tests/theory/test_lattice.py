"""Stored numbers as integers: nothing is rounded, and products are exact."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featureconvex.errors import UserError
from featureconvex.theory.separability.lattice import Lattice, Product

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
FLOATS = st.one_of(
    st.floats(-(2.0**40), 2.0**40, allow_subnormal=False),
    st.integers(-9, 9).map(float),
    st.sampled_from([1e-40, -1e-40, 0.1, 3e20, -0.0]),
)


def _same(x: np.ndarray) -> None:
    lattice = Lattice.of(x)
    whole = lattice.integers(np.arange(len(x)))
    for row, column in np.ndindex(x.shape):
        value, unit = float(x[row, column]), float(lattice.unit[column])
        above, below = value.as_integer_ratio()
        top, bottom = unit.as_integer_ratio()
        assert int(whole[row, column]) * top * below == above * bottom << lattice.shift


@given(hnp.arrays(np.float64, SHAPES, elements=FLOATS))
def test_every_float_is_an_integer_times_its_columns_unit(x: np.ndarray) -> None:
    _same(x)
    np.testing.assert_array_equal(Lattice.of(x).stored(), x)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)))
def test_float32_too(x: np.ndarray) -> None:
    _same(x)


@given(
    hnp.arrays(np.float64, SHAPES, elements=FLOATS),
    st.integers(0, 2**32 - 1),
)
def test_products_are_those_of_python_integers(x: np.ndarray, seed: int) -> None:
    lattice = Lattice.of(x)
    directions = lattice.rounded(np.random.default_rng(seed).normal(size=(3, x.shape[1])))
    whole = lattice.integers(np.arange(len(x)))
    exact = whole @ directions.astype(np.int64).astype(object).T  # (n, 3)
    largest = lattice.largest(directions)
    assert _python(largest) == [max(exact[:, k]) for k in range(3)]
    assert _python(lattice.products(directions[0])) == list(exact[:, 0])
    rows = np.resize(np.arange(len(x)), 3)
    paired = lattice.take(rows).at(directions)
    assert _python(paired) == [exact[row, k] for k, row in enumerate(rows)]
    wanted = [exact[row, k] > max(exact[:, k]) for k, row in enumerate(rows)]
    assert paired.exceeds(largest).tolist() == wanted
    down = paired.minus(largest)
    for value, a, b in zip(down, _python(paired), _python(largest), strict=True):
        true = Fraction(a - b, 1 << lattice.shift)
        assert true - abs(true) / 2**50 - Fraction(1, 2**1000) <= Fraction(value) <= true


def _python(product: Product) -> list[int]:
    parts, bits = product.parts, product.bits
    total = np.zeros(parts[0].shape, dtype=object)
    for part in parts:
        total = total * (1 << bits) + part.astype(object)
    return [int(v) for v in total]


@pytest.mark.parametrize("dimension", [1, 2, 57, 784, 3072, 12288])
def test_no_product_can_leave_what_float64_holds_exactly(dimension: int) -> None:
    for x in (
        np.full((1, dimension), 255, np.uint8),
        np.full((1, dimension), np.nextafter(1.0, 0)),
    ):
        lattice = Lattice.of(x)
        assert dimension * (2**lattice.bits - 1) * (2**lattice.weight_bits - 1) < 2**53
        assert lattice.weight_bits >= 24
        largest = lattice.rounded(np.ones((1, dimension)))
        assert np.abs(largest).max() == 2**lattice.weight_bits - 1
        total = sum(int(v) for v in lattice.integers(np.array([0]))[0])
        assert _python(lattice.largest(largest)) == [total * (2**lattice.weight_bits - 1)]


def test_blocks_do_not_change_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(50, 4))
    lattice = Lattice.of(x)
    directions = lattice.rounded(np.random.default_rng(1).normal(size=(7, 4)))
    whole = _python(lattice.largest(directions))
    monkeypatch.setattr("featureconvex.theory.separability.lattice.BLOCK_NUMBERS", 1)
    assert _python(lattice.largest(directions)) == whole


def test_a_direction_that_is_no_direction_becomes_zero() -> None:
    lattice = Lattice.of(np.ones((2, 2)))
    bad = np.array([[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0], [1e-310, 0.0]])
    rounded = lattice.rounded(bad)
    assert not rounded[:3].any()
    assert rounded[3, 0] > 0


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[0.0, 1.0], [2.0, np.nan]]), "point 1 has nan in coordinate 1"),
        (np.array([[np.inf]]), "point 0 has inf"),
        (np.zeros((0, 3)), "expected points"),
        (np.zeros((2, 3), np.int64), "int64"),
    ],
)
def test_what_is_no_point_is_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Lattice.of(x)
