"""How far a coordinatewise map changes at most as its input moves one way, stretch by stretch."""

from typing import NamedTuple

from torch import Tensor


class Stretch(NamedTuple):
    """One stretch of the way, after the ones before it.

    Attributes:
        end: (n, ...) float64, how far along the way it ends; inf for the last one.
        slope: (n, ...) float64, at most so much change per unit.
    """

    end: Tensor
    slope: Tensor
