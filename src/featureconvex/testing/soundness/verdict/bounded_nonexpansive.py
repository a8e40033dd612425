"""Learned nonexpansive maps as a running error analysis, from their definitions.

Maxima, minima and moved numbers round nothing. A distance in l2 from coordinates that err by at most
``((1 + u)^k - 1) a_i`` errs by at most ``((1 + u)^k - 1) ||a||_2`` (triangle inequality), and by as many
roundings as a sum of squares has terms.
"""

import math
from typing import Any

import numpy as np

from featureconvex.errors import UserError
from featureconvex.testing.soundness.verdict.sized import Array, Sized


def linear(run: Any, phi: Any, z: Sized) -> Sized:
    """``W x + b`` with the weights in use."""
    out: Sized = run.run(phi.linear, z)
    return out


def sort_pairs(_: Any, __: Any, z: Sized) -> Sized:
    """The larger of each pair, then the smaller: each may err as either of the two."""
    (a, b), (high, low) = (np.split(part, 2, axis=1) for part in (z.value, z.size))
    size = np.maximum(high, low)
    value = np.concatenate((np.maximum(a, b), np.minimum(a, b)), axis=1)
    return Sized(value, np.concatenate((size, size), axis=1), z.count)


def distances(run: Any, phi: Any, z: Sized) -> Sized:
    """``||x - w_j||_p - m_j`` for p = 1, 2 and inf."""
    values, sizes, terms = [], [], z.value.shape[1]
    for row in run.numbers(phi.weight):
        apart = z.plus(-row)
        norms = [_norm(phi.p, part) for part in (np.abs(apart.value), apart.size)]
        values.append(norms[0])
        sizes.append(norms[1])
    count = z.count + 1 + (0 if math.isinf(phi.p) else terms + 2)
    out = Sized(np.stack(values, axis=1), np.stack(sizes, axis=1), count)
    return out.plus(-run.numbers(phi.mean))


def _norm(p: float, a: Array) -> Array:
    """Of nonnegative rows: (n, d) -> (n,)."""
    if math.isinf(p):
        out: Array = a.max(axis=1)
    elif p == 1:
        out = a.sum(axis=1)
    elif p == 2:
        out = np.sqrt((a * a).sum(axis=1))
    else:
        raise UserError(
            f"no bounded margin for distances with p = {p}; those with 1, 2, inf have one"
        )
    return out


def residual(run: Any, phi: Any, z: Sized) -> Sized:
    """``x - 2 V^T relu(V x + b)``."""
    hidden = _positive(run.run(phi.linear, z))
    return z.plus(hidden.times(-2 * run.weight(phi.linear).T))


def periodic(run: Any, phi: Any, z: Sized) -> Sized:
    """``sum_(i, s, t) K_(o, i, s, t) x_(i, a - s, b - t) + b_o`` on the torus: windows as rows."""
    channels, height, width = z.value.shape[1:]
    places = np.arange(channels * height * width).reshape(channels, height, width)
    # Of pixel (a, b): the places of x_(i, a - s, b - t).
    down = (np.arange(height)[:, None] - np.arange(height)) % height
    across = (np.arange(width)[:, None] - np.arange(width)) % width
    seen = places[:, down[:, None, :, None], across[None, :, None, :]]
    window = np.moveaxis(seen, 0, 2).reshape(height * width, -1)
    out = _products(z, window, run.weight(phi.conv), (height, width))
    return out.plus(run.numbers(phi.conv.bias)[:, None, None])


def residual_images(run: Any, phi: Any, z: Sized) -> Sized:
    """``x - 2 V^T relu(V x + b)``; ``V^T`` convolves with the turned kernel."""
    hidden = _positive(run.run(phi.conv, z))
    kernel, middle = run.numbers(phi.conv.weight), phi.kernel // 2
    _, height, width = z.value.shape[1:]
    turned = np.moveaxis(kernel[:, :, ::-1, ::-1], 1, 3)  # (hidden, k, k, channels)
    frame = ((0, 0), (0, 0), (middle, middle), (middle, middle))
    framed = hidden.moved(lambda a: np.pad(a, frame))
    places = np.arange(math.prod(framed.value.shape[1:])).reshape(framed.value.shape[1:])
    view = np.lib.stride_tricks.sliding_window_view(places, (phi.kernel,) * 2, axis=(1, 2))
    window = np.moveaxis(view, 0, 2).reshape(height * width, -1)
    weight = -2 * turned.reshape(-1, turned.shape[3])
    return z.plus(_products(framed, window, weight, (height, width)))


def max_pool(_: Any, phi: Any, z: Sized) -> Sized:
    """The largest number of every window."""
    return z.moved(lambda a: _windows(phi, a).max(axis=-1))


def average_pool(_: Any, phi: Any, z: Sized) -> Sized:
    """The sum of every window over the divisor."""
    out = z.moved(lambda a: _windows(phi, a).sum(axis=-1) / phi.divisor)
    return Sized(out.value, out.size, out.count + phi.window**2 + 1)


def fold(_: Any, phi: Any, z: Sized) -> Sized:
    """Pixel (a, b) of a block of channel i becomes channel ``i k^2 + a k + b``; zeros fill the last."""
    k = phi.factor

    def folded(a: Array) -> Array:
        rows, channels, height, width = a.shape
        a = np.pad(a, ((0, 0), (0, 0), (0, -height % k), (0, -width % k)))
        a = a.reshape(rows, channels, a.shape[2] // k, k, a.shape[3] // k, k)
        return a.transpose(0, 1, 3, 5, 2, 4).reshape(rows, -1, a.shape[2], a.shape[4])

    return z.moved(folded)


def _positive(z: Sized) -> Sized:
    return Sized(np.maximum(z.value, 0), z.size, z.count)


def _products(z: Sized, window: Array, weight: Array, side: tuple[int, int]) -> Sized:
    """Sums over the places of each window: (n, ...) -> (n, outputs, h, w)."""
    rows = z.moved(lambda a: a.reshape(len(a), -1)[:, window])
    return rows.times(weight).moved(lambda a: a.swapaxes(1, 2).reshape(len(a), -1, *side))


def _windows(phi: Any, a: Array) -> Array:
    """(n, c, h, w) -> (n, c, h', w', k k)."""
    view = np.lib.stride_tricks.sliding_window_view(a, (phi.window,) * 2, axis=(2, 3))
    kept = view[:, :, :: phi.stride, :: phi.stride]
    return kept.reshape(*kept.shape[:4], -1)
