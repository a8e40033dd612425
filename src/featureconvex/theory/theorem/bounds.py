"""Lower bounds of the probability that no point of M lies in the convex hull of N others.

All ``M + N`` points have independent coordinates, uniform on [-1, 1], in d dimensions. Every bound is
rounded so that it stays one: computed with a margin for rounding that is subtracted.
"""

import math
from dataclasses import dataclass

from scipy import stats
from scipy.special import gammaln

from featureconvex.errors import UserError
from featureconvex.given import whole_number

SLACK = 1e-12
"""Relative error allowed to log-gamma, exponentials and binomial tails, many times what they have."""
# The least number of float64 is 2^-1074.
GUARD_BITS = 1200


@dataclass(frozen=True)
class Bounds:
    """Lower bounds of the probability of separability, all in [0, 1].

    Attributes:
        paper: Theorem 3.9, all class-0 points on one side in some coordinate.
        block: the class-0 points contiguous in some coordinate.
        box: no point in the bounding box of class 0, by Jensen's inequality.
        box_exact: the probability of just that, as exact as float64 holds it: at least ``block`` and
            ``box``, but for rounding.
        wendel: by the largest probability that a hull holds a given point.
    """

    paper: float
    block: float
    box: float
    box_exact: float
    wendel: float

    @property
    def sharper(self) -> float:
        """The best of them."""
        return max(self.paper, self.block, self.box, self.box_exact, self.wendel)


def bounds(m: int, n: int, d: int) -> Bounds:
    """All bounds for ``m`` sensitive points and ``n`` others in ``d`` dimensions.

    >>> found = bounds(50, 50, 784)
    >>> found.paper < 1e-26, 1 - found.box < 1e-11, found.sharper
    (True, True, 1.0)
    """
    check(m, n, d)
    return Bounds(
        paper_bound(m, n, d),
        block_bound(m, n, d),
        box_bound(m, n, d),
        box_probability(m, n, d),
        cover_wendel_bound(m, n, d),
    )


def check(m: int, n: int, d: int) -> None:
    """Refuse what is no number of points or of dimensions."""
    for name, value in (("M", m), ("N", n), ("d", d)):
        whole_number(name, value, 1)
    if max(m, n, d) > 10**7:
        raise UserError(f"M, N and d go up to ten million, got {m}, {n}, {d}")


def paper_bound(m: int, n: int, d: int) -> float:
    """``1 - (1 - M! N! / (M + N)!)^d`` (Theorem 3.9; its second part, 1 once ``d >= M + N``, is in
    ``wendel``).
    """
    return _some_coordinate(_log_orders(m, n), d)


def block_bound(m: int, n: int, d: int) -> float:
    """``1 - (1 - (M + 1)! N! / (M + N)!)^d``: the class-0 points as one block, at any of M + 1 places."""
    return _some_coordinate(_log_orders(m, n) + math.log(m + 1), d)


def box_bound(m: int, n: int, d: int) -> float:
    """``(1 - ((N - 1) / (N + 1))^d)^M``."""
    return _none_of(m, d * math.log((n - 1) / (n + 1)) if n > 1 else -math.inf)


def box_probability(m: int, n: int, d: int) -> float:
    """The probability that no sensitive point lies in the bounding box of the others, rounded down.

    The share of an axis that the others span is Beta(N - 1, 2) with moments
    ``E R^k = N (N - 1) / ((N + k) (N + k - 1))``, so with independent axes

    ``E (1 - R_1 ... R_d)^M = sum_k (-1)^k C(M, k) (N (N - 1) / ((N + k) (N + k - 1)))^d``.

    The terms cancel to M bits, so they are integers over ``2**(M + 1200 + ...)``, each with a known error.
    """
    if n == 1:
        return 1.0
    bits = m + GUARD_BITS + 2 * d.bit_length()
    one, total, error, choose = 1 << bits, 0, 0, 1
    for k in range(m + 1):
        base = (n * (n - 1) << bits) // ((n + k) * (n + k - 1))
        power, wrong = _power(base, d, bits)
        total += -choose * power if k % 2 else choose * power
        error += choose * wrong
        choose = choose * (m - k) // (k + 1)
    return max(0.0, math.nextafter(max(total - error, 0) / one, 0.0))


def cover_wendel_bound(m: int, n: int, d: int) -> float:
    """``(1 - P(Bin(N - 1, 1/2) >= d))^M``, which is 1 once ``d >= N``.

    Of all distributions with a density, those that are symmetric about a point put it most often into
    the hull of N independent draws (Wagner and Welzl 2001), and for those Wendel (1962) has the
    probability.
    """
    if d >= n:
        return 1.0
    # Where the tail underflows, its last term is left.
    return _none_of(m, max(float(stats.binom.logsf(d - 1, n - 1, 0.5)), -(n - 1) * math.log(2)))


def _log_orders(m: int, n: int) -> float:
    """``log(M! N! / (M + N)!)``, not above the truth."""
    parts = (float(gammaln(m + 1)), float(gammaln(n + 1)), float(gammaln(m + n + 1)))
    return parts[0] + parts[1] - parts[2] - SLACK * sum(map(abs, parts))


def _some_coordinate(log_one: float, d: int) -> float:
    """``1 - (1 - q)^d`` from ``log q``, rounded down."""
    one = math.exp(min(log_one, 0.0))
    if one == 1.0:
        return 1.0
    return -math.expm1(d * math.log1p(-one)) * (1 - SLACK)


def _none_of(m: int, log_inside: float) -> float:
    """``(1 - v)^M`` from ``log v``, rounded down."""
    inside = math.exp(min(log_inside * (1 - SLACK) if log_inside < 0 else 0.0, 0.0))
    if inside == 0.0 and log_inside == -math.inf:
        return 1.0
    if inside >= 1.0:
        return 0.0
    inside = min(inside * (1 + SLACK), 1 - 2.0**-53)
    return math.exp(m * math.log1p(-inside)) * (1 - 2.0**-50)


def _power(base: int, d: int, bits: int) -> tuple[int, int]:
    """``base^d`` for a fixed-point number in [0, 1], and how much it can be wrong.

    ``base`` is off by one unit, and every product is cut: of numbers at most 1 that are off by ``a`` and
    ``b`` units it is off by at most ``a + b + 1`` and the second order ``a b / 2^bits``, which is below 1.
    """
    result, wrong = 1 << bits, 0
    square, square_wrong = base, 1
    while d:
        if d & 1:
            result, wrong = (result * square) >> bits, wrong + square_wrong + 2
        square, square_wrong = (square * square) >> bits, 2 * square_wrong + 2
        d >>= 1
    return result, wrong
