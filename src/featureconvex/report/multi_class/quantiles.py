"""The radii of every class as a box shows them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featureconvex.results.columns import RadiusColumn
from featureconvex.results.multi_class.folder import ClassRun
from featureconvex.results.statistics.curves import finite_and_infinite, flagged_radii

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Whiskers, box and middle."""


@dataclass(frozen=True)
class ClassBox:
    """Radii of the recognised points of a class.

    Attributes:
        name: of the class.
        levels: (5,) quantiles :data:`QUANTILES` of the finite ones; zeros where there is none.
        infinite: how many are infinite.
    """

    name: str
    levels: NDArray[np.float64]
    infinite: int


def radii_of_classes(run: ClassRun, column: RadiusColumn) -> list[ClassBox]:
    """A box for each class, in their order."""
    found = []
    for name in run.classes:
        finite, infinite = finite_and_infinite(flagged_radii(run.of_class(name).rows, column.name))
        levels = np.quantile(finite, QUANTILES) if len(finite) else np.zeros(len(QUANTILES))
        found.append(ClassBox(name, levels, infinite))
    return found
