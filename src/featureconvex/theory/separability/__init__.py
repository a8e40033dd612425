"""Which points of one class lie in the convex hull of the other, with an exact proof for each point."""

from featureconvex.theory.separability.decide import Combination
from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.verdicts import (
    COMBINATION,
    DUPLICATE,
    HYPERPLANE,
    Verdicts,
    separate,
)

__all__ = [
    "COMBINATION",
    "DUPLICATE",
    "HYPERPLANE",
    "Combination",
    "Lattice",
    "Verdicts",
    "separate",
]
