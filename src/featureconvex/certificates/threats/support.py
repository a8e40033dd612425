"""Threats that limit which coordinates change, not how far."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor

from featureconvex.certificates.drops import Curves
from featureconvex.certificates.threats.base import Threat


class Support(Threat):
    """A threat whose budget pays for a set of coordinates, which then move freely inside the domain.

    A subclass measures, bounds the worst drop by the curves' totals, and chooses sets.
    """

    counts: ClassVar[bool] = True

    @abstractmethod
    def most(self, shape: tuple[int, ...]) -> int:
        """The largest budget worth trying for inputs of ``shape``."""

    @abstractmethod
    def choose(self, weight: Tensor, budget: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The set of largest weight that a budget pays for: (n, d), (n,) -> (n, d) bool."""

    def sets(self, weight: Tensor, most: int, shape: tuple[int, ...]) -> Iterator[Tensor] | None:
        """At most ``most`` sets to try one by one, (n, d) bool each, the largest weight first.

        None where there are too many to list: then they are chosen anew as an attack learns.
        """
        return None

    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """:meth:`largest_budget`: totals are added and compared."""
        return self.largest_budget(drops, margin)

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """Keep the set of largest Euclidean norm, clipped to the domain."""
        inside = delta.clamp(lo, hi)
        keep = self.choose(inside.flatten(1).double() ** 2, budget, tuple(delta.shape[1:]))
        return inside * keep.reshape(delta.shape)
