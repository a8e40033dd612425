"""What summarises radii in ``metrics.json``: curves, medians and averages by threat, for every level."""

from typing import TypedDict

import pandas as pd

from featureconvex.certificates import LEVELS
from featureconvex.results.columns import CLOSED_FORM, RadiusColumn
from featureconvex.results.statistics.curves import (
    CurveTable,
    average_certified_radius,
    certified_curve,
    flagged_radii,
    median_radius,
    radius_grid,
    round_down,
)


class Radii(TypedDict):
    """Radii of one level, by threat; infinity is the string ``"inf"``."""

    certified_accuracy: dict[str, CurveTable]
    median_radius: dict[str, float | None]
    average_certified_radius: dict[str, float]


class RadiiByLevel(Radii):
    """The closed form's radii, and those of the other levels."""

    levels: dict[str, Radii]


def radii_by_level(rows: pd.DataFrame, columns: list[RadiusColumn]) -> RadiiByLevel:
    """The closed form at the top, the other levels under ``levels``."""
    levels = radii_of_levels(rows, columns)
    return {**levels.pop(CLOSED_FORM), "levels": levels}


def radii_of_levels(rows: pd.DataFrame, columns: list[RadiusColumn]) -> dict[str, Radii]:
    """Every level among ``columns``, which have one unit."""
    by_level = {level: [c for c in columns if c.level == level] for level in LEVELS}
    return {
        level: _level(rows, chosen, columns)
        for level, chosen in by_level.items()
        if chosen or level == CLOSED_FORM
    }


def telling_radii(rows: pd.DataFrame, column: str) -> list[float]:
    """Up to three round radii worth reading: the quartiles of the finite positive ones, cut short."""
    radii = flagged_radii(rows, column)
    finite = pd.Series(radii[(radii > 0) & (radii < float("inf"))])
    if finite.empty:
        return []
    quartiles = finite.quantile([0.25, 0.5, 0.75])
    return sorted({round_down(float(value)) for value in quartiles})


def _level(rows: pd.DataFrame, chosen: list[RadiusColumn], columns: list[RadiusColumn]) -> Radii:
    curves: dict[str, CurveTable] = {}
    for column in chosen:
        grid = radius_grid(rows, [c for c in columns if c.threat == column.threat])
        curves[column.threat] = certified_curve(rows, column.name, grid).table()
    return {
        "certified_accuracy": curves,
        "median_radius": {c.threat: median_radius(rows, c.name) for c in chosen},
        "average_certified_radius": {
            c.threat: average_certified_radius(rows, c.name) for c in chosen
        },
    }
