"""Learned nonexpansive maps in exact arithmetic, entry by entry from their definitions."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from featureconvex.errors import UserError


def _larger(a: Any, b: Any) -> Any:
    return max(a, b) if isinstance(a, Fraction) else a.max(b)


def linear(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """``W x + b`` with the weights in use."""
    out: np.ndarray = judge.evaluate(phi.linear, z)
    return out


def sort_pairs(_: Any, __: Any, z: np.ndarray) -> np.ndarray:
    """The larger of each pair, then the smaller."""
    half = len(z) // 2
    pairs = list(zip(z[:half].ravel(), z[half:].ravel(), strict=True))
    out = np.empty(z.size, dtype=object)
    out[:] = [_larger(a, b) for a, b in pairs] + [-_larger(-a, -b) for a, b in pairs]
    return out.reshape(z.shape)


def distances(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """``||x - w_j||_p - m_j``; with a square root only in balls."""
    out = np.empty(phi.neurons, dtype=object)
    for j, row in enumerate(judge.numbers(phi.weight)):
        sizes = [abs(value) for value in z - row]
        if phi.p == 1:
            out[j] = sum(sizes[1:], sizes[0])
        elif math.isinf(phi.p):
            out[j] = sizes[0]
            for size in sizes[1:]:
                out[j] = _larger(out[j], size)
        elif phi.p == 2 and not isinstance(sizes[0], Fraction):
            out[j] = sum((size * size for size in sizes[1:]), sizes[0] * sizes[0]).sqrt()
        else:
            raise UserError(
                f"the exact judge knows distances with p = 1, inf, and 2 in balls, got {phi.p}"
            )
    moved: np.ndarray = out - judge.numbers(phi.mean)
    return moved


def residual(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """``x - 2 V^T relu(V x + b)``."""
    zero, two = judge.number(0), judge.number(2)
    hidden = np.array(
        [_larger(value, zero) for value in judge.evaluate(phi.linear, z)], dtype=object
    )
    out: np.ndarray = z - two * judge.weight(phi.linear).T.dot(hidden)
    return out
