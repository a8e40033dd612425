"""Recall, and certified recall at a few radii, against the false-positive rate: what the ROC shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featureconvex.results.folder import Run
from featureconvex.results.numbers import significant
from featureconvex.results.rows import sensitive
from featureconvex.results.statistics.curves import Floats
from featureconvex.results.statistics.detection import certified_recall, confusion, roc_curve
from featureconvex.results.statistics.radii import telling_radii

MOST = 300


@dataclass(frozen=True)
class OperatingPoints:
    """Lines over one axis of false-positive rates.

    Attributes:
        floor: half the rate of one false positive, where a logarithmic axis begins and 0 is drawn.
        rate: (k,), at least ``floor``.
        lines: by name, (k,): the share of sensitive points flagged, or certified for a radius.
        calibrated: rate and recall at the calibrated threshold.
    """

    floor: float
    rate: Floats
    lines: dict[str, Floats]
    calibrated: tuple[float, float]


def operating_points(run: Run) -> OperatingPoints:
    """At every threshold; recall, and certified recall at up to three radii of the model's norm."""
    column, roc = run.movable, roc_curve(run.rows)
    keep = thin(roc.false_positive_rate)
    radii = [0.0, *telling_radii(run.rows, column.name)]
    table = certified_recall(run.rows, column, roc.threshold[keep], radii)
    names = ["flagged", *(f"certified for {column.threat} {significant(r)}" for r in radii[1:])]
    floor = 0.5 / float((~sensitive(run.rows)).sum())
    here = confusion(run.rows)
    return OperatingPoints(
        floor=floor,
        rate=np.maximum(roc.false_positive_rate[keep], floor),
        lines=dict(zip(names, table.T, strict=True)),
        calibrated=(max(1 - here.other_accuracy, floor), here.sensitive_accuracy),
    )


def thin(rates: Floats, most: int = MOST) -> NDArray[np.int64]:
    """Positions of at most ``most`` points of an increasing array of rates in [0, 1], ends included.

    Half of them evenly by position, half evenly on a logarithmic axis.

    >>> thin(np.linspace(0, 1, 5)).tolist(), len(thin(np.linspace(0, 1, 10000))) <= 300
    ([0, 1, 2, 3, 4], True)
    """
    if len(rates) <= most:
        return np.arange(len(rates), dtype=np.int64)
    last = len(rates) - 1
    even = np.linspace(0, last, most // 2).astype(np.int64)
    smallest = float(rates[rates > 0].min())
    ranks = np.searchsorted(rates, np.geomspace(smallest, 1.0, most // 2))
    return np.unique(np.concatenate([even, np.minimum(ranks, last)])).astype(np.int64)
