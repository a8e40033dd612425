"""The data behind the interactive curve: every radius, so that the page reads off exact shares."""

import math
from typing import Any

import numpy as np

from featureconvex.report.wording import LEVEL_NAMES
from featureconvex.results.columns import RAW, STD, UNITS, RadiusColumn, is_count, is_patch
from featureconvex.results.curves import flagged_radii, radius_grid, round_down
from featureconvex.results.folder import Run
from featureconvex.results.intervals import clopper_pearson
from featureconvex.results.numbers import unit_name
from featureconvex.results.rows import sensitive

UNIT_NAMES = {STD: "standard deviations", RAW: "raw units"}


def readout_data(run: Run) -> dict[str, Any]:
    """Increasing radii per threat, unit and level; and the exact interval of every count.

    ``low[k]`` and ``high[k]`` are the ends of the interval for k of the ``n`` sensitive points.
    """
    n = int(sensitive(run.rows).sum())
    low, high = clopper_pearson(np.arange(n + 1), n)
    views = [_view(run, threat, unit) for unit in run.units for threat in run.threats(unit)]
    return {
        "n": n,
        "low": low.round(6),
        "high": high.round(6),
        "views": views,
        "units": [{"key": unit, "name": UNIT_NAMES[unit]} for unit in UNITS if unit in run.units],
        "start": {"threat": run.headline.threat, "unit": run.unit, "level": run.headline.level},
    }


def _view(run: Run, threat: str, unit: str) -> dict[str, Any]:
    columns = run.levels(threat, unit)
    top = float(radius_grid(run.rows, columns)[-1])
    weakest = flagged_radii(run.rows, columns[0].name)
    finite = weakest[np.isfinite(weakest)]
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


def _level(run: Run, column: RadiusColumn) -> dict[str, Any]:
    radii = flagged_radii(run.rows, column.name)
    finite = radii[np.isfinite(radii)]
    return {
        "key": column.level,
        "name": LEVEL_NAMES[column.level],
        "radii": finite,
        "infinite": len(radii) - len(finite),
    }
