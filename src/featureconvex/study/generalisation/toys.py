"""Points in the plane whose classes are more or less convex."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from featureconvex.data import Dataset, Split, stratified_split

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]
NOISE, STREAM = 0.15, 2302


def moons(n: int, random: np.random.Generator) -> tuple[Floats, Labels]:
    """Two interleaved half circles."""
    y = _labels(n)
    angle = np.pi * random.random(n)
    x = np.where(
        y[:, None] == 1,
        np.stack([np.cos(angle), np.sin(angle)], axis=1),
        np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1),
    )
    return x + NOISE * random.normal(size=x.shape), y


def ring(n: int, random: np.random.Generator) -> tuple[Floats, Labels]:
    """The sensitive class around the other one: what convexity is made for."""
    y = _labels(n)
    angle, radius = 2 * np.pi * random.random(n), np.where(y == 1, 1.0, 0.5)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x + NOISE * random.normal(size=x.shape), y


def core(n: int, random: np.random.Generator) -> tuple[Floats, Labels]:
    """The same with the classes exchanged: the sensitive class is in the other's hull."""
    x, y = ring(n, random)
    return x, (1 - y).astype(np.int8)


def checkerboard(fields: int) -> Callable[[int, np.random.Generator], tuple[Floats, Labels]]:
    """``fields`` x ``fields`` squares of alternating class on [-1, 1]^2; 2 is the exclusive or."""

    def draw(n: int, random: np.random.Generator) -> tuple[Floats, Labels]:
        x = random.uniform(-1, 1, (n, 2))
        field = np.floor((x + 1) / 2 * fields).astype(int).clip(0, fields - 1)
        return x, (field.sum(axis=1) % 2).astype(np.int8)

    return draw


TOYS: dict[str, Callable[[int, np.random.Generator], tuple[Floats, Labels]]] = {
    "two moons": moons,
    "ring": ring,
    "core": core,
    "xor": checkerboard(2),
    **{f"checkerboard {fields}": checkerboard(fields) for fields in (3, 4, 6, 8)},
}


def toy(name: str, n: int, seed: int) -> Dataset:
    """``n`` points, a third of them for testing."""
    # The split is drawn by seed 0: from the same stream, it would depend on the points.
    random = np.random.default_rng([STREAM, seed, list(TOYS).index(name)])
    x, y = TOYS[name](n, random)
    train, test = stratified_split(y, 1 / 3)
    return Dataset(
        name=name,
        train=Split(x[train], y[train]),
        test=Split(x[test], y[test]),
        kind="table",
        sensitive_name="1",
        other_name="0",
        source="drawn at random",
        feature_names=["x", "y"],
    )


def _labels(n: int) -> Labels:
    return (np.arange(n) % 2).astype(np.int8)
