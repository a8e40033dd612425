"""Points as integers: every stored number is one after its column is scaled by a power of two.

Scaling a column keeps every convex combination and every separating hyperplane, so a proof about the
integers is one about the stored numbers. An integer is kept as a few *digits*, most significant first,
each so short that a product of a row of digits with an integer direction is exact in float64: every
partial sum is an integer of at most ``2**53``, whatever the order of the sum.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MANTISSA = 53
LEAST_WEIGHT_BITS = 24
BLOCK_NUMBERS = 1 << 22
"""Numbers of a block of products: 32 MiB in float64, whatever the number of points."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Points (n, d) with integer coordinates ``sum_k digits[k] * 2**(bits * (len(digits) - 1 - k))``.

    Attributes:
        digits: arrays (n, d) of small integers, most significant first; the sign is in every digit.
        bits: every digit is below ``2**bits`` in magnitude.
        unit: (d,) the stored number that 1 in the most significant digit stands for, a power of two
            (over 255 for pixels). A comparison of products needs no other unit: a common factor changes
            nothing.
    """

    digits: tuple[NDArray[Any], ...]
    bits: int
    unit: Floats

    @classmethod
    def of(cls, x: NDArray[Any]) -> "Lattice":
        """All points of a data set, both classes together, so that they share one scale per column.

        Args:
            x: (n, ...) uint8 pixels, which stand for ``x / 255``; or float32 or float64, as stored.

        Raises:
            UserError: no point, no coordinate, another dtype, or NaN or infinity in a row that is named.
        """
        if not x.size:
            raise UserError(f"expected points with coordinates, got an array of shape {x.shape}")
        flat = x.reshape(len(x), -1)
        if flat.dtype == np.uint8:
            return cls((flat,), 8, np.full(flat.shape[1], 1 / 255))
        if flat.dtype not in (np.float32, np.float64):
            raise UserError(f"points are uint8, float32 or float64, got {flat.dtype}")
        _check_finite(flat)
        return _of_floats(flat.astype(np.float64))

    def __len__(self) -> int:
        """The number of points."""
        return len(self.digits[0])

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return int(self.digits[0].shape[1])

    @property
    def shift(self) -> int:
        """Binary places after the most significant digit."""
        return self.bits * (len(self.digits) - 1)

    @property
    def weight_bits(self) -> int:
        """Bits a direction may have for its products to be exact."""
        return MANTISSA - self.bits - max(self.dimension - 1, 1).bit_length()

    def take(self, rows: NDArray[Any]) -> "Lattice":
        """Some of the points, by number or mask."""
        return Lattice(tuple(digit[rows] for digit in self.digits), self.bits, self.unit)

    def values(self) -> Floats:
        """(n, d) rounded to float64, in units of the most significant digit: for searching only."""
        total = self.digits[0].astype(np.float64)
        for place, digit in enumerate(self.digits[1:], 1):
            total += digit * 2.0 ** (-self.bits * place)
        return total

    def stored(self) -> Floats:
        """(n, d) the stored numbers; pixels divided by 255, rounded to nearest."""
        return self.values() * self.unit

    def integers(self, rows: NDArray[Any]) -> NDArray[Any]:
        """(len(rows), d) Python integers, of any size."""
        total: NDArray[Any] = self.digits[0][rows].astype(object)
        for digit in self.digits[1:]:
            total = total * (1 << self.bits) + digit[rows].astype(object)
        return total

    def rounded(self, directions: Floats) -> Floats:
        """(b, d) directions as integers (in float64) of at most :attr:`weight_bits` bits, row by row.

        A row that is zero or not finite becomes zero, which separates nothing.
        """
        largest = np.abs(directions).max(axis=1, keepdims=True)
        usable = np.isfinite(largest) & (largest > 0)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            unit = np.where(usable, directions / np.where(usable, largest, 1.0), 0.0)
        whole: Floats = np.rint(unit * float(2**self.weight_bits - 1))
        return whole

    def at(self, directions: Floats) -> "Product":
        """The products of integer directions (b, d) with as many points, row by row; exact."""
        return Product.of(
            [np.einsum("bd,bd->b", directions, digit.astype(np.float64)) for digit in self.digits],
            self.bits,
        )

    def products(self, direction: Floats) -> "Product":
        """The products of one integer direction (d,) with every point; exact."""
        return Product.of([digit @ direction for digit in self.digits], self.bits)

    def largest(self, directions: Floats) -> "Product":
        """The largest product of each integer direction (b, d) over all points; exact, in blocks."""
        best: Product | None = None
        rows = max(1, BLOCK_NUMBERS // max(self.dimension, len(directions)))
        for start in range(0, len(self), rows):
            block = [digit[start : start + rows].astype(np.float64) for digit in self.digits]
            found = Product.of([directions @ part.T for part in block], self.bits).row_maximum()
            best = found if best is None else best.maximum(found)
        assert best is not None
        return best


@dataclass(frozen=True, eq=False)
class Product:
    """Exact integers, any shape: ``sum_k parts[k] * 2**(bits * (len(parts) - 1 - k))``.

    Every part but the first lies in ``[0, 2**bits)``, so integers compare as their parts do, the first
    part that differs deciding.
    """

    parts: tuple[Integers, ...]
    bits: int

    @classmethod
    def of(cls, digits: list[Floats], bits: int) -> "Product":
        """From the products of the digits: integers of at most 2**53 in float64."""
        parts = [digit.astype(np.int64) for digit in digits]
        for place in range(len(parts) - 1, 0, -1):
            # A shift rounds down, so what is left is never negative.
            parts[place - 1] += parts[place] >> bits
            parts[place] &= (1 << bits) - 1
        return cls(tuple(parts), bits)

    def row_maximum(self) -> "Product":
        """Over the last axis."""
        among = np.ones(self.parts[0].shape, dtype=bool)
        found = []
        for part in self.parts:
            top = np.where(among, part, np.iinfo(np.int64).min).max(axis=-1)
            among &= part == top[..., None]
            found.append(top)
        return Product(tuple(found), self.bits)

    def exceeds(self, other: "Product") -> NDArray[np.bool_]:
        """Whether each integer is larger than the other's; shapes broadcast."""
        larger = np.zeros((), dtype=bool)
        equal = np.ones((), dtype=bool)
        for mine, its in zip(self.parts, other.parts, strict=True):
            larger = larger | (equal & (mine > its))
            equal = equal & (mine == its)
        return larger

    def maximum(self, other: "Product") -> "Product":
        """Elementwise."""
        mine = self.exceeds(other)
        pairs = zip(self.parts, other.parts, strict=True)
        return Product(tuple(np.where(mine, a, b) for a, b in pairs), self.bits)

    def minus(self, other: "Product") -> Floats:
        """The difference in float64, in units of the first part, rounded down (towards -inf)."""
        total = np.zeros(np.broadcast(self.parts[0], other.parts[0]).shape, dtype=object)
        for mine, its in zip(self.parts, other.parts, strict=True):
            total = total * (1 << self.bits) + (mine.astype(object) - its.astype(object))
        # A quotient of integers is rounded to nearest: one step down is below it.
        nearest = total / (1 << (self.bits * (len(self.parts) - 1)))
        return np.nextafter(nearest.astype(np.float64), -np.inf)


def _check_finite(x: NDArray[Any]) -> None:
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        column = int(np.flatnonzero(~np.isfinite(x[row]))[0])
        raise UserError(
            f"point {row} has {x[row, column]} in coordinate {column}; {int(bad.sum())} of {len(x)} points "
            "are not finite: drop them, or fill the gaps"
        )


def _of_floats(x: Floats) -> Lattice:
    mantissa, exponent = np.frexp(x)
    whole = np.ldexp(mantissa, MANTISSA).astype(np.int64)  # x = whole * 2**(exponent - 53)
    zero = whole == 0
    # The place of the last bit that is set, and one above the first.
    last_set = np.log2(np.where(zero, 1, whole & -whole)).astype(np.int64)
    low = np.where(zero, np.iinfo(np.int32).max, exponent - MANTISSA + last_set).min(axis=0)
    high = np.where(zero, np.iinfo(np.int32).min, exponent).max(axis=0)
    empty = zero.all(axis=0)
    low, high = np.where(empty, 0, low), np.where(empty, 1, high)
    length = int((high - low).max())
    room = MANTISSA - LEAST_WEIGHT_BITS - max(x.shape[1] - 1, 1).bit_length()
    if room < 1:
        raise UserError(
            f"{x.shape[1]} coordinates are too many for exact float64 products; at most 2**28"
        )
    bits = min(length, room)
    count = -(-length // bits)
    digits = []
    for place in range(count):
        # This digit has the bits from `end` on of a column whose numbers stay below 2**high.
        end = high - bits * (place + 1)
        shift = end - (exponent.astype(np.int64) - MANTISSA)
        magnitude = np.abs(whole)
        right = np.where(shift >= 0, magnitude >> np.clip(shift, 0, 63), 0)
        mask = np.int64((1 << bits) - 1)
        left = np.where(
            (shift < 0) & (shift > -bits), (magnitude & mask) << np.clip(-shift, 0, bits), 0
        )
        digits.append((np.sign(whole) * ((right | left) & mask)).astype(np.int32))
    return Lattice(tuple(digits), bits, np.ldexp(1.0, high - bits))
