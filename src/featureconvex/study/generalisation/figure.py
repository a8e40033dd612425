"""Accuracies per data set, and the gap against the number that tells it."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from featureconvex.report.plot_style import BLUE, GREEN, INK, ORANGE, PINK, canvas, plain

LOOKS = {
    "fixed": (ORANGE, "o", "convex in the input (recipe fixed)"),
    "default": (BLUE, "s", "after a learned map (recipe default)"),
    "boosted trees": (GREEN, "^", "boosted trees"),
    "logistic regression": (PINK, "x", "logistic regression"),
}


def figure(result: dict[str, Any]) -> Figure:
    """Left every data set's accuracies; right the gap of both recipes against the telling number."""
    sets = result["sets"]
    order = sorted(sets, key=lambda name: sets[name]["gap"]["fixed"]["estimate"])
    drawn, (left, right) = canvas(1, 2, 5.6, 1.2 + 0.23 * len(order))
    places = np.arange(len(order))
    for method, (colour, marker, label) in LOOKS.items():
        shares = [sets[name]["accuracy"][method] for name in order]
        left.plot(shares, places, marker, color=colour, ms=5, label=label)
    left.set_yticks(places, order, fontsize=8)
    left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain(left, "test accuracy, mean of both classes", "")
    left.legend(fontsize=7, loc="center left", bbox_to_anchor=(0, 0.42))
    sign = telling(result)
    for method in ("fixed", "default"):
        colour, marker, label = LOOKS[method]
        gap = [sets[name]["gap"][method] for name in order]
        middle = np.array([one["estimate"] for one in gap])
        ends = np.array([[one["low"], one["high"]] for one in gap]).T
        said = [sets[name]["signs"][sign] for name in order]
        right.errorbar(
            said, middle, np.abs(ends - middle), fmt=marker, color=colour, ms=4, lw=0.8, label=label
        )
    for name in order[-6:]:
        at = (sets[name]["signs"][sign], sets[name]["gap"]["fixed"]["estimate"])
        right.annotate(name, at, fontsize=7, color=INK, xytext=(4, 3), textcoords="offset points")
    right.axhline(0, color=INK, lw=0.6)
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain(right, result["described"][sign], "boosted trees less ours")
    right.legend(fontsize=7)
    return drawn


def telling(result: dict[str, Any]) -> str:
    """The sign that goes best with the gap of a model that is convex in the input."""
    found: dict[str, Any] = result["agreement"]["fixed"]
    return max(found, key=lambda name: abs(found[name]["estimate"] or 0.0))
