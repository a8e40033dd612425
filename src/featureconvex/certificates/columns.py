"""The numbers of one certificate, filled in batch by batch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.certificates.certificate import Status
from featureconvex.certificates.levels.problem import Bound

_WORDS = np.empty(len(Status), dtype=object)
_WORDS[:] = list(Status)
_CODE = {status: code for code, status in enumerate(Status)}


@dataclass(frozen=True)
class Usable:
    """Which rows of a batch a level's answer counts for: (n,) bool each.

    Attributes:
        finite: the input, the margin and the gradient are finite.
        inside: the input is a point of the domain.
    """

    finite: NDArray[np.bool_]
    inside: NDArray[np.bool_]


class Columns:
    """Radius, upper bound, status, margin and slope of n rows.

    Room for all rows is taken at the start: small results kept among the large temporaries of many
    batches would split up the heap, and memory would grow with the number of rows.
    """

    def __init__(self, count: int) -> None:
        self.radius, self.upper, self.margin, self.slope = (np.empty(count) for _ in range(4))
        self._codes = np.empty(count, dtype=np.int8)

    def write(self, start: int, bound: Bound, margin: Tensor, usable: Usable) -> None:
        """Take over a level's answer for the rows from ``start`` on; margin (m,) float64."""
        rows = slice(start, start + len(margin))
        self.margin[rows] = margin.cpu().numpy()
        self.upper[rows] = bound.upper.cpu().numpy()
        self.slope[rows] = bound.slope.cpu().numpy()
        radius = bound.radius.cpu().numpy()
        # A row that cannot be computed costs only itself.
        computed = ~np.isnan(radius)
        counts = usable.finite & usable.inside & computed & (self.margin[rows] > 0)
        radius = np.where(counts, radius, 0.0)
        self.radius[rows] = radius
        self._codes[rows] = _codes(self.margin[rows], radius, usable, computed)

    @property
    def status(self) -> NDArray[np.object_]:
        """(n,) object array of :class:`Status`."""
        return _WORDS[self._codes]


def _codes(
    margin: NDArray[np.float64],
    radius: NDArray[np.float64],
    usable: Usable,
    computed: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """(m,) codes of statuses, the most serious obstacle last."""
    codes = np.full(len(margin), _CODE[Status.certified], dtype=np.int8)
    codes[np.isinf(radius)] = _CODE[Status.unbounded]
    codes[margin < 0] = _CODE[Status.not_sensitive]
    # A positive margin whose radius underflows to 0 is as good as a tie.
    codes[(margin == 0) | ((margin > 0) & (radius == 0))] = _CODE[Status.boundary]
    codes[~computed & (margin > 0)] = _CODE[Status.not_computed]
    codes[~usable.inside] = _CODE[Status.outside_domain]
    codes[~usable.finite] = _CODE[Status.non_finite]
    return codes
