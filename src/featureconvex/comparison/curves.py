"""Certified curves of a comparison, and how ``comparison.json`` keeps hundreds of them short.

All curves of a norm stand on the same radii, and accuracy and interval follow from how many points are
certified, so for settings and levels the file holds counts: a quarter of the size.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from featureconvex.comparison.schema import ComparisonTables, counted_points
from featureconvex.results.statistics.curves import CurveTable, counted_curve

Json = dict[str, Any]
"""What the file holds, of which levels differ from :class:`LevelTable`."""

CURVES, COUNTS, GRIDS = "certified_accuracy", "certified", "grids"
DIGITS = 6


def curve(radius: ArrayLike, certified: ArrayLike, n: int) -> CurveTable:
    """One curve: ``certified`` of ``n`` points at each ``radius``, as shares with exact 95 % intervals.

    >>> found = curve([0.0, 0.5], [4, 1], 5)
    >>> found["accuracy"].tolist(), found["low"].round(3).tolist()
    ([0.8, 0.2], [0.284, 0.005])
    """
    counts = np.asarray(certified, dtype=np.int64)
    return {"certified": counts, **counted_curve(radius, counts, n).table()}


def stored(tables: ComparisonTables) -> Json:
    """``tables`` with counts per norm, ``certified``, in place of the curves of settings and levels.

    The radii they stand on are ``grids``, per norm. A method's own curves, at its best settings, stay.
    """
    grids: Json = {}

    def counted(level: Json) -> Json:
        grids.update({norm: found["radius"] for norm, found in level[CURVES].items()})
        return {COUNTS: {norm: found[COUNTS] for norm, found in level[CURVES].items()}}

    methods = _replaced(cast("Json", tables["methods"]), CURVES, counted)
    for method in methods.values():
        if CURVES in method:
            method[CURVES] = {norm: _rounded(found) for norm, found in method[CURVES].items()}
    return {**tables, GRIDS: grids, "methods": methods}


def restored(tables: Json) -> ComparisonTables:
    """What :func:`stored` made, with the curves of settings and levels again.

    Raises:
        KeyError: there are no counts or no grids in it.
    """

    points = counted_points(tables)

    def drawn(level: Json) -> Json:
        found = level[COUNTS].items()
        return {
            CURVES: {
                norm: curve(tables[GRIDS][norm], counts, level.get("n_points", points))
                for norm, counts in found
            }
        }

    methods = _replaced(tables["methods"], COUNTS, drawn)
    rest = {key: value for key, value in tables.items() if key != GRIDS}
    return cast("ComparisonTables", {**rest, "methods": methods})


def _replaced(methods: Json, field: str, by: Callable[[Json], Json]) -> Json:
    """Copies of the methods, with ``field`` of every level replaced."""

    def level_of(level: Json) -> Json:
        return {**{key: value for key, value in level.items() if key != field}, **by(level)}

    def setting_of(setting: Json) -> Json:
        levels = {name: level_of(level) for name, level in setting["levels"].items()}
        return {**setting, "levels": levels}

    return {
        name: {**method, "settings": [setting_of(setting) for setting in method["settings"]]}
        if "settings" in method
        else dict(method)
        for name, method in methods.items()
    }


def _rounded(found: Json) -> Json:
    shares = {key: np.round(found[key], DIGITS) for key in ("accuracy", "low", "high")}
    return {**found, **shares}
