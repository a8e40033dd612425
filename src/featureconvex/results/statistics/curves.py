"""Certified accuracy against the radius, and what summarises it.

Certified accuracy at ``r``: the fraction of *sensitive* test points that are predicted sensitive
and certified for at least ``r``. At ``r = 0`` it is the accuracy on the sensitive class.
"""

import math
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featureconvex.results.columns import RadiusColumn, is_count, is_patch
from featureconvex.results.rows import flagged, sensitive
from featureconvex.results.statistics.intervals import CONFIDENCE, clopper_pearson

Floats = NDArray[np.float64]
GRID_POINTS = 201
_NICE = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


class CurveTable(TypedDict):
    """A curve as files and pages hold it: arrays in memory, lists in a file.

    Attributes:
        certified: (k,), how many points are certified at each radius, where a curve keeps it.
        radius, accuracy, low, high: as in :class:`CertifiedCurve`.
    """

    certified: NotRequired[NDArray[np.int64]]
    radius: Floats
    accuracy: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class CertifiedCurve:
    """Certified accuracy on a grid of radii.

    Attributes:
        radius: (k,), increasing, in the column's unit.
        accuracy: (k,), in [0, 1], never increasing.
        low, high: (k,), exact 95 % interval of each accuracy, pointwise.
    """

    radius: Floats
    accuracy: Floats
    low: Floats
    high: Floats

    def table(self) -> CurveTable:
        """As plain values."""
        return {
            "radius": self.radius,
            "accuracy": self.accuracy,
            "low": self.low,
            "high": self.high,
        }


def flagged_radii(rows: pd.DataFrame, column: str) -> Floats:
    """Radii (m,) of the correctly classified sensitive points, increasing; ``inf`` allowed."""
    chosen = rows.loc[sensitive(rows) & flagged(rows), column]
    return np.sort(chosen.to_numpy(dtype=np.float64))


def certified_counts(radii: Floats, at: ArrayLike) -> NDArray[np.int64]:
    """How many of the increasing ``radii`` (m,) are at least each value of ``at``.

    >>> certified_counts(np.array([0.5, 1.0, 1.0, np.inf]), [0, 1, 1.1]).tolist()
    [4, 3, 1]
    """
    return np.asarray(len(radii) - np.searchsorted(radii, at, side="left"), dtype=np.int64)


def certified_curve(
    rows: pd.DataFrame, column: str, radius: ArrayLike, confidence: float = CONFIDENCE
) -> CertifiedCurve:
    """The curve of one radius column at the given radii (k,)."""
    counts = certified_counts(flagged_radii(rows, column), radius)
    return counted_curve(radius, counts, int(sensitive(rows).sum()), confidence)


def counted_curve(
    radius: ArrayLike, certified: ArrayLike, n: int, confidence: float = CONFIDENCE
) -> CertifiedCurve:
    """The curve on which ``certified`` (k,) of ``n`` points are certified at each ``radius`` (k,)."""
    low, high = clopper_pearson(certified, n, confidence)
    return CertifiedCurve(
        np.asarray(radius, dtype=np.float64), np.asarray(certified) / n, low, high
    )


def finite_and_infinite(radii: Floats) -> tuple[Floats, int]:
    """The finite ones of the radii, and the number of the others."""
    finite = radii[np.isfinite(radii)]
    return finite, len(radii) - len(finite)


def median_radius(rows: pd.DataFrame, column: str) -> float | None:
    """Median over the correctly classified sensitive points; None where there is none, ``inf`` possible."""
    radii = flagged_radii(rows, column)
    return float(np.median(radii)) if len(radii) else None


def average_certified_radius(rows: pd.DataFrame, column: str) -> float:
    """Mean radius over *all* sensitive points, 0 where one is not flagged; ``inf`` possible."""
    radii = flagged_radii(rows, column)
    return float(radii.sum() / sensitive(rows).sum())


def radius_grid(rows: pd.DataFrame, columns: list[RadiusColumn]) -> Floats:
    """A grid that fits every one of ``columns`` (one threat and unit, several levels).

    Lengths: 201 equal steps from 0 to a round number above the largest finite radius. Counts:
    every whole number up to one more than the largest; a patch has only 0 and its size.
    """
    finite = [r[np.isfinite(r)] for r in (flagged_radii(rows, c.name) for c in columns)]
    top = max((float(r.max()) for r in finite if len(r)), default=0.0)
    threat = columns[0].threat
    if is_patch(threat):
        return np.array([0.0, float(threat.removeprefix("patch-"))])
    if is_count(threat):
        return np.arange(0, math.floor(top) + 2, dtype=np.float64)
    return round_grid(top)


def round_grid(top: float) -> Floats:
    """201 equal steps from 0 to a round number above ``top``: 0.45 and not 0.44999999999999996.

    >>> round_grid(27.0)[3], round_grid(27.0)[-1], round_grid(0.0)[-1]
    (np.float64(0.45), np.float64(30.0), np.float64(1.0))
    """
    steps = np.linspace(0.0, round_up(top) if top > 0 else 1.0, GRID_POINTS)
    return np.array([float(f"{step:.9g}") for step in steps])


def round_up(value: float) -> float:
    """The next round number strictly above a positive ``value``.

    >>> round_up(0.93), round_up(2.0), round_up(37)
    (1.0, 2.5, 40.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    step = next((nice for nice in _NICE if nice * power > value), 12.0)
    return float(f"{step * power:.6g}")


def round_down(value: float, digits: int = 2) -> float:
    """``value`` >= 0 cut, never raised, to ``digits`` significant decimal digits.

    >>> round_down(0.8999), round_down(17.38, 3), round_down(0.0)
    (0.89, 17.3, 0.0)
    """
    if value == 0 or not math.isfinite(value):
        return value
    places = digits - 1 - math.floor(math.log10(value))
    nearest = round(value, places)
    return nearest if nearest <= value else round(nearest - 10.0**-places, places)
