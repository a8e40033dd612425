"""Vector norms, their duals and their names."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.given import real_number

NORMS = (1.0, 2.0, math.inf)
"""The exponents of the norms that every table, figure and file shows."""
# Covers the rounding of one product of two constants.
ROUND_UP = 1 + 2.0**-51


def check_exponent(p: float | str) -> float:
    """Return ``p`` as a float.

    Raises:
        UserError: ``p`` is not a number in [1, inf].

    >>> check_exponent(2)
    2.0
    """
    try:
        value = float(p) if isinstance(p, str) else real_number("p", p)
    except ValueError:  # a UserError is one, too
        value = math.nan
    if not value >= 1:
        raise UserError(
            f"a norm's exponent p must be in [1, inf], got {p!r}; use 1, 2, inf or one between"
        )
    return value


def dual_exponent(p: float) -> float:
    """The exponent ``q`` with ``1/p + 1/q = 1`` (Hoelder's inequality).

    >>> dual_exponent(1), dual_exponent(2), dual_exponent(math.inf)
    (inf, 2.0, 1.0)
    """
    p = check_exponent(p)
    if p == 1:
        return math.inf
    return 1.0 if p == math.inf else p / (p - 1)


def parse_norm(text: str | float) -> float:
    """The exponent a user typed: ``1``, ``2``, ``inf``, ``l1``, ``linf``, ``1.5`` ...

    >>> parse_norm("inf"), parse_norm("l2"), parse_norm(1)
    (inf, 2.0, 1.0)
    """
    return check_exponent(text.lower().removeprefix("l") if isinstance(text, str) else text)


def norm_name(p: float) -> str:
    """The name used in tables and files.

    >>> norm_name(1), norm_name(2.0), norm_name(math.inf), norm_name(1.5)
    ('l1', 'l2', 'linf', 'l1.5')
    """
    # repr, not :g, so that two exponents never share a name (and a column).
    return f"l{check_exponent(p)!r}".removesuffix(".0")


NORM_NAMES = tuple(map(norm_name, NORMS))


def vector_norm(v: Tensor, p: float) -> Tensor:
    """``||v_i||_p`` of every row over all other dimensions: (n, ...) -> (n,), in float64.

    Accumulated in float64 whatever the dtype of ``v``, so that a long float32 row loses nothing, and
    relative to the row's largest entry, so that no power underflows: a norm of 0 means a row of
    zeros (it makes a radius infinite), whatever the exponent.

    >>> vector_norm(torch.full((1, 2), 1e-4), 101.0)
    tensor([0.0001], dtype=torch.float64)
    """
    p = check_exponent(p)
    rows = v.flatten(1)
    if rows.shape[1] == 0:
        return rows.new_zeros(len(rows), dtype=torch.float64)
    if p in (1, math.inf) or (p == 2 and v.dtype != torch.float64):
        # No power can underflow: the square of the smallest float32 is a float64.
        return _norm(rows, p)
    rows = rows.double()
    largest = _norm(rows.detach(), math.inf)
    # Zero, infinite and NaN rows have no scale of their own; the plain formula answers for them.
    scale = largest.where((largest > 0) & torch.isfinite(largest), 1.0)
    return scale * _norm(rows / scale[:, None], p)


# Numbers per chunk of a norm.
CHUNK = 2**17


def _norm(rows: Tensor, p: float) -> Tensor:
    if p == math.inf:
        # Many times faster than vector_norm, exact in any dtype, and NaN stays NaN.
        if rows.requires_grad:
            return rows.abs().amax(dim=1).double()
        return torch.maximum(rows.amax(dim=1), -rows.amin(dim=1)).double()
    # A few rows at a time: what is converted to float64 on the way stays in a core's cache.
    size = max(1, CHUNK // max(1, rows.shape[1]))
    norms = [
        torch.linalg.vector_norm(part, p, dim=1, dtype=torch.float64)
        for part in torch.split(rows, size)
    ]
    return norms[0] if len(norms) == 1 else torch.cat(norms)


def widening(dimension: int, p: float, s: float) -> float:
    """``max ||x||_p / ||x||_s`` over ``dimension`` coordinates: ``n^max(0, 1/p - 1/s)``.

    >>> widening(4, 1, 2), widening(4, 2, 1)
    (2.0, 1.0)
    """
    return float(dimension ** max(0.0, 1 / p - 1 / s))


def path_norms(p: float, *more: float) -> list[float]:
    """The norms that a path of Lipschitz constants may pass through.

    >>> path_norms(2.0, 3.0)
    [1.0, 2.0, 3.0, inf]
    """
    return sorted({1.0, 2.0, math.inf, float(p), *map(float, more)})


def best_path(
    steps: Sequence[Callable[[float, float], float]], p: float, *more: float
) -> dict[float, float]:
    """For every norm s that a path may end in, the smallest product of constants from p to s.

    Args:
        steps: in order of application, each with its constant from one norm to another (inf: unknown).
        p: the norm of the input.
        more: further norms to pass through and end in.

    Each product is rounded up.

    >>> found = best_path([lambda a, b: 1.0 if a == b == 2 else 9.0, lambda a, b: 2.0], 2.0)
    >>> 2.0 <= found[2.0] < 2.0 + 1e-14
    True
    """
    norms = path_norms(p, *more)
    best = dict.fromkeys(norms, math.inf)
    best[float(p)] = 1.0
    for constant in steps:
        best = {
            b: min(
                (best[a] * constant(a, b) * ROUND_UP for a in norms if best[a] < math.inf),
                default=math.inf,
            )
            for b in norms
        }
    return best
