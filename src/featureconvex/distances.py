"""Distances between rows, with every digit that their difference has."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Of one piece of the linf distances: rows and coordinates whose differences stay in a core's cache.
ROWS, COORDINATES = 64, 8
# Below so many rows on either side the pieces cost more than they save.
FEW = 16


def distances(x: Tensor, points: Tensor, p: float) -> Tensor:
    """``||x_i - w_j||_p``, (n, d), (k, d) -> (n, k), from differences of coordinates.

    Never through products, which lose half of the digits where points are close.

    For p = inf and many rows, where nobody asks for a gradient, the largest of all ``|x_i - w_j|`` is
    taken over a few coordinates at a time: the same numbers, bit for bit, since each is one rounded
    difference and a maximum rounds nothing, in half of the time.

    >>> distances(torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 5.0], [0.0, 1.0]]), 2.0)
    tensor([[5., 0.]])
    """
    plain = x.device.type == "cpu" and x.dtype == points.dtype in (torch.float32, torch.float64)
    graded = torch.is_grad_enabled() and (x.requires_grad or points.requires_grad)
    if math.isinf(p) and plain and not graded and min(len(x), len(points)) >= FEW:
        return torch.from_numpy(_largest_differences(x.detach().numpy(), points.detach().numpy()))
    found = torch.cdist(x, points, p=p, compute_mode="donot_use_mm_for_euclid_dist")
    if math.isinf(p):
        # Its largest of numbers passes over what is none.
        none = torch.isnan(x).any(1)[:, None] | torch.isnan(points).any(1)
        found = found.masked_fill(none, torch.nan)
    return found


Numbers = NDArray[np.floating]


def _largest_differences(x: Numbers, points: Numbers) -> Numbers:
    """``max_i |x_i - w_i|`` of every pair: (n, d), (k, d) -> (n, k).

    One thread for each of torch's takes pieces of rows, and no operation is shared among threads: torch
    would wait for all of them after each of thousands, on a busy machine for a long time.
    """
    columns = np.ascontiguousarray(points.T)
    # Zeros are the distances over no coordinate at all.
    found = np.zeros((len(x), len(points)), x.dtype)

    def piece(start: int) -> None:
        _take_largest(x[start : start + ROWS], columns, found[start : start + ROWS])

    starts, threads = range(0, len(x), ROWS), torch.get_num_threads()
    if threads == 1:
        for start in starts:
            piece(start)
        return found
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(piece, starts):
            pass
    return found


def _take_largest(rows: Numbers, columns: Numbers, out: Numbers) -> None:
    """Raise ``out`` (m, k) to the distances of ``rows`` (m, d) to the columns (d, k)."""
    own = np.ascontiguousarray(rows.T)
    apart = np.empty((COORDINATES, *out.shape), out.dtype)
    largest = np.empty_like(out)
    # What is not a number, or overflows, stays so; nobody need be warned of it here.
    with np.errstate(all="ignore"):
        for start in range(0, len(own), COORDINATES):
            part = slice(start, start + COORDINATES)
            some = apart[: len(own[part])]
            np.subtract(own[part, :, None], columns[part, None, :], out=some)
            np.abs(some, out=some)
            np.maximum.reduce(some, axis=0, out=largest)
            np.maximum(out, largest, out=out)
