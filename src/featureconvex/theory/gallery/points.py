"""Two-dimensional tasks: (n, 2) points, and whether each is sensitive."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Points = tuple[Floats, NDArray[np.bool_]]

COUNT = 240
"""Points of a task."""


def disc_inside(seed: int = 0) -> Points:
    """The other class is a disc, the sensitive class a ring around it."""
    random = np.random.default_rng(seed)
    sensitive = np.arange(COUNT) % 2 == 0
    radius = np.where(
        sensitive, random.uniform(1.1, 1.6, COUNT), 0.75 * random.random(COUNT) ** 0.5
    )
    angle = random.uniform(0, 2 * np.pi, COUNT)
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), sensitive


def disc_reversed(seed: int = 0) -> Points:
    """The same points with the disc as the sensitive class."""
    x, sensitive = disc_inside(seed)
    return x, ~sensitive


def arch(seed: int = 0) -> Points:
    """The sensitive class is an arch over a disc of the other."""
    random = np.random.default_rng(seed)
    sensitive = np.arange(COUNT) % 2 == 0
    angle = np.where(
        sensitive, random.uniform(0, np.pi, COUNT), random.uniform(0, 2 * np.pi, COUNT)
    )
    radius = np.where(
        sensitive, random.uniform(1.05, 1.3, COUNT), 0.5 * random.random(COUNT) ** 0.5
    )
    x = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return x - [0.0, 0.35], sensitive


def moons(seed: int = 0) -> Points:
    """Two half circles that reach into each other."""
    random = np.random.default_rng(seed)
    angle, first = random.uniform(0, np.pi, COUNT), np.arange(COUNT) % 2 == 0
    upper = np.column_stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25])
    x = np.where(first[:, None], upper, -upper) + random.normal(0, 0.06, (COUNT, 2))
    return x, first


def xor(seed: int = 0) -> Points:
    """Sensitive where both coordinates have one sign."""
    random = np.random.default_rng(seed)
    x = random.uniform(0.1, 1.2, (COUNT, 2)) * random.choice([-1, 1], (COUNT, 2))
    return x, x[:, 0] * x[:, 1] > 0


def spirals(seed: int = 0) -> Points:
    """Two arms around each other."""
    random = np.random.default_rng(seed)
    along, first = random.uniform(0.15, 1, COUNT), np.arange(COUNT) % 2 == 0
    angle = 3.2 * np.pi * along
    arm = 1.5 * along[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.where(first[:, None], arm, -arm) + random.normal(0, 0.025, (COUNT, 2)), first


TASKS: dict[str, Callable[[], Points]] = {
    "disc, ring sensitive": disc_inside,
    "disc sensitive": disc_reversed,
    "moons": moons,
    "XOR": xor,
    "spirals": spirals,
}
