"""Probability of separability against dimension: the bounds, and the simulation with its intervals."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, PercentFormatter, ScalarFormatter

from featureconvex.report.plot_style import BLUE, GREEN, INK, ORANGE, PINK, panels, plain
from featureconvex.theory.theorem.bounds import bounds

LINES = (
    ("paper", "paper, Theorem 3.9", PINK, ":"),
    ("block", "contiguous block", ORANGE, "--"),
    ("box_exact", "bounding box", BLUE, "-"),
    ("wendel", "Wagner, Welzl, Wendel", GREEN, "-."),
)

TICKS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def theorem_figure(points: list[dict[str, Any]]) -> Figure:
    """One panel per (M, N)."""
    pairs = list(dict.fromkeys((point["M"], point["N"]) for point in points))
    figure, places = panels(len(pairs), 3, 3.9, 3.0)
    for axes, (m, n) in zip(places, pairs, strict=True):
        mine = [point for point in points if (point["M"], point["N"]) == (m, n)]
        largest = max(point["d"] for point in mine)
        grid = np.unique(np.geomspace(1, largest, 60).astype(int))
        found = [bounds(m, n, int(d)) for d in grid]
        for name, label, colour, dashes in LINES:
            values = [getattr(one, name) for one in found]
            axes.plot(grid, values, dashes, color=colour, lw=1.7, label=label)
        share = np.array([point["estimate"] for point in mine])
        ends = np.array([[point["low"], point["high"]] for point in mine]).T
        error = np.abs(ends - share)
        d = [point["d"] for point in mine]
        axes.errorbar(d, share, error, fmt="o", ms=3.5, color=INK, lw=1, label="simulation")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([t for t in TICKS if t <= largest]))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylim(-0.02, 1.03)
        plain(axes, "dimension d", "separable", f"M = {m} sensitive, N = {n} others")
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure
