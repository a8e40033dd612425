"""Histogram bins for certified radii."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featureconvex.results.columns import RadiusColumn
from featureconvex.results.statistics.curves import finite_and_infinite, round_up

BINS = 30


@dataclass(frozen=True)
class RadiusBins:
    """Counts of radii in equal bins, and what does not fit into them.

    Attributes:
        centres: (b,), middles of the bins.
        counts: (b,), samples per bin.
        width: of a bin.
        note: one phrase on the infinite radii, empty where there are none.
    """

    centres: NDArray[np.float64]
    counts: NDArray[np.int64]
    width: float
    note: str


def radius_bins(radii: NDArray[np.float64], column: RadiusColumn) -> RadiusBins | None:
    """Bin the finite radii from 0 up; None where there is no finite radius.

    Whole-number radii get bins that are centred on whole numbers.
    """
    finite, infinite = finite_and_infinite(radii)
    if not len(finite):
        return None
    top = float(finite.max())
    if column.counts:
        width = max(1.0, np.ceil((top + 1) / BINS))
        edges = np.arange(-0.5, top + width + 0.5, width)
    else:
        edges = np.linspace(0.0, round_up(top) if top > 0 else 1.0, BINS + 1)
        width = float(edges[1])
    counts, _ = np.histogram(finite, edges)
    note = f"{infinite} more cannot be flipped at all (infinite radius)" if infinite else ""
    return RadiusBins((edges[:-1] + edges[1:]) / 2, counts.astype(np.int64), float(width), note)
