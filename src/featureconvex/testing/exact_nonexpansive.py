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


def periodic(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """``sum_(i, s, t) K_(o, i, s, t) x_(i, a - s, b - t) + b_o`` on the torus."""
    kernel, bias = judge.weight(phi.conv), judge.numbers(phi.conv.bias)
    _, height, width = z.shape
    out = np.empty((phi.outputs, height, width), dtype=object)
    for o, a, b in np.ndindex(out.shape):
        rows, columns = (a - np.arange(height)) % height, (b - np.arange(width)) % width
        out[o, a, b] = (kernel[o] * z[:, rows][:, :, columns]).sum() + bias[o]
    return out


def residual_images(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """``x - 2 V^T relu(V x + b)`` with the matrix of ``V`` entry by entry, zeros around the image."""
    zero, two = judge.number(0), judge.number(2)
    kernel, bias = judge.weight(phi.conv), judge.numbers(phi.conv.bias)
    channels, height, width = z.shape
    middle = phi.kernel // 2
    out = z.copy()
    for o, a, b in np.ndindex(phi.hidden, height, width):
        seen = [
            (i, a + s - middle, b + t - middle, kernel[o, i, s, t])
            for i, s, t in np.ndindex(channels, phi.kernel, phi.kernel)
            if 0 <= a + s - middle < height and 0 <= b + t - middle < width
        ]
        value = bias[o]
        for i, row, column, weight in seen:
            value = value + weight * z[i, row, column]
        kept = two * _larger(value, zero)
        for i, row, column, weight in seen:
            out[i, row, column] = out[i, row, column] - kept * weight
    return out


def _windows(phi: Any, z: np.ndarray) -> np.ndarray:
    """(c, h', w', k k)."""
    rows, columns = (range(0, side - phi.window + 1, phi.stride) for side in z.shape[1:])
    cut = [
        z[c, a : a + phi.window, b : b + phi.window].ravel()
        for c in range(len(z))
        for a in rows
        for b in columns
    ]
    return np.array(cut, dtype=object).reshape(len(z), len(rows), len(columns), -1)


def max_pool(_: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """The largest number of every window."""
    windows = _windows(phi, z)
    out = windows[..., 0]
    for k in range(1, windows.shape[-1]):
        pairs = zip(out.ravel(), windows[..., k].ravel(), strict=True)
        out = np.array([_larger(a, b) for a, b in pairs], dtype=object).reshape(out.shape)
    return out


def average_pool(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """The sum of every window over the divisor."""
    out: np.ndarray = _windows(phi, z).sum(axis=-1) / judge.number(phi.divisor)
    return out


def fold(judge: Any, phi: Any, z: np.ndarray) -> np.ndarray:
    """Pixel (a, b) of a block of channel i becomes channel ``i k^2 + a k + b``."""
    k = phi.factor
    channels, height, width = z.shape
    out = np.full((channels * k * k, -(-height // k), -(-width // k)), judge.number(0))
    for i, a, b in np.ndindex(z.shape):
        out[i * k * k + (a % k) * k + b % k, a // k, b // k] = z[i, a, b]
    return out
