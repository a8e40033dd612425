"""The data behind the interactive curve: every radius, so that the page reads off exact shares."""

import math
from typing import Any

import numpy as np

from featureconvex.report.wording import LEVEL_NAMES
from featureconvex.results.columns import RAW, STD, RadiusColumn, is_count, is_patch
from featureconvex.results.numbers import unit_name
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.rows import sensitive
from featureconvex.results.statistics.curves import (
    Floats,
    finite_and_infinite,
    flagged_radii,
    radius_grid,
    round_down,
)
from featureconvex.results.statistics.intervals import clopper_pearson

UNIT_NAMES = {STD: "standard deviations", RAW: "raw units"}


def interval_of_counts(n: int) -> dict[str, Any]:
    """``low[k]`` and ``high[k]``: the ends of the exact 95 % interval for k of ``n`` points."""
    low, high = clopper_pearson(np.arange(n + 1), n)
    return {"n": n, "low": low.round(6), "high": high.round(6)}


def counted_radii(radii: Floats) -> dict[str, Any]:
    """Increasing radii as the page counts them: the finite ones, and how many are infinite."""
    finite, infinite = finite_and_infinite(radii)
    return {"radii": finite, "infinite": infinite}


def readout_data(
    run: RadiusRows, points: str = "sensitive samples", counted: str = "flagged and certified"
) -> dict[str, Any]:
    """Per threat and unit, the radii of every level; and the interval of every count.

    Args:
        run: the points that count.
        points: what they are called.
        counted: what those are whose radius is as large as the reader's.
    """
    return {
        "points": points,
        "counted": counted,
        **interval_of_counts(int(sensitive(run.rows).sum())),
        "views": [_view(run, threat, unit) for unit in run.units for threat in run.threats(unit)],
        "units": [{"key": unit, "name": UNIT_NAMES[unit]} for unit in run.units],
        "start": {"threat": run.headline.threat, "unit": run.unit, "level": run.headline.level},
    }


def _view(run: RadiusRows, threat: str, unit: str) -> dict[str, Any]:
    columns = run.levels(threat, unit)
    top = float(radius_grid(run.rows, columns)[-1])
    finite, _ = finite_and_infinite(flagged_radii(run.rows, columns[0].name))
    middle = float(np.median(finite)) if len(finite) else top / 2
    return {
        "threat": threat,
        "unit": unit,
        "unit_name": unit_name(threat, unit, run.record["kind"]),
        "counts": is_count(threat),
        "top": top,
        "begin": _begin(threat, middle, top),
        "levels": [_level(run, column) for column in columns],
    }


def _begin(threat: str, middle: float, top: float) -> float:
    """Where the slider starts: near the median, at a number that is easy to read."""
    if is_patch(threat):
        return top
    return math.floor(middle) if is_count(threat) else round_down(middle)


def _level(run: RadiusRows, column: RadiusColumn) -> dict[str, Any]:
    return {
        "key": column.level,
        "name": LEVEL_NAMES[column.level],
        **counted_radii(flagged_radii(run.rows, column.name)),
    }
