"""Certified accuracy against the radius, and the histogram of radii: one panel per threat."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from featureconvex.certificates import LEVELS
from featureconvex.report.binning import radius_bins
from featureconvex.report.plot_style import (
    BLUE,
    INK,
    LEVEL_COLOURS,
    LEVEL_DASHES,
    certified_axes,
    panels,
    plain,
)
from featureconvex.report.wording import LEVEL_NAMES
from featureconvex.results.columns import RadiusColumn, is_count
from featureconvex.results.numbers import unit_name
from featureconvex.results.radius_rows import RadiusRows
from featureconvex.results.statistics.curves import certified_curve, flagged_radii, radius_grid

_LAYOUT = (3, 3.7, 3.1)
"""Panels to a row; width and height of each in inches."""


def certified_accuracy_figure(run: RadiusRows, unit: str) -> Figure | None:
    """One panel per threat: a line per level, with the exact 95 % interval; None without the unit."""
    threats = run.ranges(unit)
    if not threats:
        return None
    patches = [threat for threat in run.threats(unit) if threat not in threats]
    figure, places = panels(len(threats) + bool(patches), *_LAYOUT)
    for axes, threat in zip(places, threats, strict=False):
        _curves(axes, run, run.levels(threat, unit))
        plain(axes, _label(run, threat, unit), "certified accuracy")
    if patches:
        _patch_bars(places[-1], run, patches, unit)
        plain(places[-1], "window that may be rewritten", "certified accuracy")
    for axes in places:
        certified_axes(axes)
    levels = [level for level in LEVELS if any(c.level == level for c in run.columns)]
    if len(levels) > 1:
        handles = [
            Line2D([], [], color=LEVEL_COLOURS[x], ls=LEVEL_DASHES[x], label=LEVEL_NAMES[x], lw=1.8)
            for x in levels
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def radius_histogram_figure(run: RadiusRows, unit: str) -> Figure | None:
    """One panel per threat: radii of the flagged sensitive samples; None without the unit."""
    threats = run.ranges(unit)
    if not threats:
        return None
    figure, places = panels(len(threats), *_LAYOUT)
    for axes, threat in zip(places, threats, strict=True):
        column = run.levels(threat, unit)[0]
        bins = radius_bins(flagged_radii(run.rows, column.name), column)
        plain(axes, _label(run, threat, unit), "test samples", LEVEL_NAMES[column.level])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if bins is None:
            axes.text(0.5, 0.5, "no finite radius", ha="center", transform=axes.transAxes)
            continue
        axes.bar(bins.centres, bins.counts, width=bins.width * 0.92, color=BLUE)
        if bins.note:
            axes.text(
                0.98, 0.95, bins.note, ha="right", va="top", transform=axes.transAxes, fontsize=8
            )
    return figure


def _curves(axes: Axes, run: RadiusRows, columns: list[RadiusColumn]) -> None:
    grid = radius_grid(run.rows, columns)
    stepped = is_count(columns[0].threat)
    for column in columns:
        curve = certified_curve(run.rows, column.name, grid)
        colour = LEVEL_COLOURS[column.level]
        dashes = LEVEL_DASHES[column.level]
        if stepped:
            error = np.stack([curve.accuracy - curve.low, curve.high - curve.accuracy])
            axes.plot(grid, curve.accuracy, dashes, color=colour, marker=".", lw=1)
            axes.errorbar(grid, curve.accuracy, error, color=colour, fmt="none", lw=1, alpha=0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.plot(grid, curve.accuracy, dashes, color=colour, lw=1.8)
            axes.fill_between(grid, curve.low, curve.high, color=colour, alpha=0.12, lw=0)
    axes.set_xlim(0, max(float(grid[-1]), 1e-12))


def _patch_bars(axes: Axes, run: RadiusRows, patches: list[str], unit: str) -> None:
    for place, threat in enumerate(patches):
        columns = run.levels(threat, unit)
        size = float(threat.removeprefix("patch-"))
        for i, column in enumerate(columns):
            curve = certified_curve(run.rows, column.name, [size])
            error = np.stack([curve.accuracy - curve.low, curve.high - curve.accuracy])
            x = place + (i - (len(columns) - 1) / 2) * 0.18
            colour = LEVEL_COLOURS[column.level]
            axes.bar([x], curve.accuracy, width=0.15, yerr=error, color=colour, ecolor=INK)
    axes.set_xticks(range(len(patches)), patches)
    axes.set_xlim(-0.6, len(patches) - 0.4)


def _label(run: RadiusRows, threat: str, unit: str) -> str:
    return f"{threat} radius ({unit_name(threat, unit, run.record['kind'])})"
