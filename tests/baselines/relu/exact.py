"""Exact robust radii of tiny ReLU networks, by other people's solvers: nothing shared with the library."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp, nnls

from featureconvex.baselines.relu.network import Affine

Array = NDArray[np.float64]
Layers = list[tuple[Array, Array]]


def random_layers(widths: Sequence[int], seed: int) -> list[Affine]:
    """Normal weights of a ReLU network with one score: widths (d, hidden ...)."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for before, after in itertools.pairwise([*widths, 1]):
        weight = torch.randn(after, before, generator=generator, dtype=torch.float64)
        bias = torch.randn(after, generator=generator, dtype=torch.float64)
        layers.append((weight * (2 / before) ** 0.5, bias * 0.3))
    return layers


def flagged_points(layers: list[Affine], count: int, seed: int) -> torch.Tensor:
    """Normal points (count, d) with a score above 0.05."""
    generator = torch.Generator().manual_seed(seed)
    dimension = layers[0][0].shape[1]
    drawn = torch.randn(1000, dimension, generator=generator, dtype=torch.float64)
    found = drawn[torch.from_numpy(score(plain(layers), drawn.numpy()) > 0.05)]
    assert len(found) >= count, "choose another seed: this network flags almost nothing"
    return found[:count]


def plain(layers: Sequence[Affine]) -> Layers:
    """As numpy arrays."""
    return [(weight.numpy(), bias.numpy()) for weight, bias in layers]


def score(layers: Layers, x: Array) -> Array:
    """The network's values at points (n, d), (n,)."""
    for weight, bias in layers[:-1]:
        x = np.maximum(x @ weight.T + bias, 0)
    weight, bias = layers[-1]
    values: Array = (x @ weight.T + bias)[:, 0]
    return values


def exact_radius(layers: Sequence[Affine], x: torch.Tensor, p: float) -> float:
    """The distance from ``x`` (d,) to the nearest point with a score <= 0; inf where there is none."""
    point = x.numpy()
    return _by_patterns(plain(layers), point) if p == 2 else _by_milp(plain(layers), point, p)


def _by_milp(layers: Layers, x: Array, p: float, most: float = 20.0) -> float:
    """Tjeng et al. 2019: a binary per neuron, big-M from intervals within ``most`` of ``x``."""
    d = len(x)
    hidden = [len(bias) for _, bias in layers[:-1]]
    h = sum(hidden)
    # Columns: delta+ (d), delta- (d), activations (h), binaries (h), radius.
    columns = 2 * d + 2 * h + 1
    rows: list[Array] = []
    lower: list[float] = []
    upper: list[float] = []

    def add(row: Array, low: float, high: float) -> None:
        rows.append(row)
        lower.append(low)
        upper.append(high)

    low, high = x - most, x + most
    before: list[int] = []
    start = 0
    for index, (weight, bias) in enumerate(layers):
        middle, width = (low + high) / 2, (high - low) / 2
        z_low = weight @ middle + bias - np.abs(weight) @ width
        z_high = weight @ middle + bias + np.abs(weight) @ width
        for j in range(len(bias)):
            z = np.zeros(columns)
            constant = bias[j]
            if index == 0:
                z[:d], z[d : 2 * d] = weight[j], -weight[j]
                constant += weight[j] @ x
            else:
                z[before] = weight[j]
            if index == len(layers) - 1:
                add(z, -np.inf, -constant)
                continue
            a, b = 2 * d + start + j, 2 * d + h + start + j
            row = -z
            row[a] += 1
            add(row, constant, np.inf)  # a >= z
            row = -z
            row[a] += 1
            row[b] = -min(z_low[j], 0)
            add(row, -np.inf, constant - min(z_low[j], 0))  # a <= z - l (1 - b)
            row = np.zeros(columns)
            row[a], row[b] = 1, -max(z_high[j], 0)
            add(row, -np.inf, 0.0)  # a <= u b
        if index < len(layers) - 1:
            before = list(range(2 * d + start, 2 * d + start + len(bias)))
            start += len(bias)
        low, high = np.maximum(z_low, 0), np.maximum(z_high, 0)
    norm_rows = [list(range(2 * d))] if p == 1 else [[i, d + i] for i in range(d)]
    for entries in norm_rows:
        row = np.zeros(columns)
        row[entries], row[-1] = 1, -1
        add(row, -np.inf, 0.0)
    integral = np.zeros(columns)
    integral[2 * d + h : 2 * d + 2 * h] = 1
    top = np.full(columns, np.inf)
    top[: 2 * d], top[-1] = most, most
    top[2 * d + h : 2 * d + 2 * h] = 1
    cost = np.zeros(columns)
    cost[-1] = 1
    found = milp(
        cost,
        integrality=integral,
        bounds=Bounds(np.zeros(columns), top),
        constraints=LinearConstraint(np.array(rows), lower, upper),
        options={"mip_rel_gap": 1e-9},
    )
    if found.status == 2:
        return math.inf
    assert found.status == 0, found.message
    return float(found.fun)


def _by_patterns(layers: Layers, x: Array) -> float:
    """Every activation pattern is a polyhedron; the nearest point of each by Lawson and Hanson's LDP."""
    best = math.inf
    hidden = [len(bias) for _, bias in layers[:-1]]
    for pattern in itertools.product((0.0, 1.0), repeat=sum(hidden)):
        best = min(best, _nearest(layers, x, np.array(pattern)))
    return best


def _nearest(layers: Layers, x: Array, pattern: Array) -> float:
    """The least ``||delta||_2`` with this activation pattern and a score <= 0."""
    slope, offset = np.eye(len(x)), x.copy()
    faces: list[Array] = []
    levels: list[Array] = []
    start = 0
    for weight, bias in layers[:-1]:
        slope, offset = weight @ slope, weight @ offset + bias
        on = pattern[start : start + len(bias)]
        start += len(bias)
        sign = 2 * on - 1
        faces.append(sign[:, None] * slope)
        levels.append(-sign * offset)
        slope, offset = on[:, None] * slope, on * offset
    weight, bias = layers[-1]
    faces.append(-(weight @ slope))
    levels.append(weight @ offset + bias)
    g, h = np.concatenate(faces), np.concatenate(levels)
    # min ||delta|| with g delta >= h, from nonnegative least squares (Lawson and Hanson 1974, ch. 23).
    target = np.zeros(len(x) + 1)
    target[-1] = 1
    multipliers, residual = nnls(np.vstack((g.T, h)), target)
    if residual < 1e-9:
        return math.inf
    rest = np.vstack((g.T, h)) @ multipliers - target
    return float(np.linalg.norm(rest[:-1] / rest[-1]))
