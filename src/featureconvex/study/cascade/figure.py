"""The confusion matrix beside violins of the radii of every family."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featureconvex.report.plot_style import BLUE, INK, canvas, plain

NORM = "l1"


def figure(result: dict[str, Any]) -> Figure:
    """A row per source that was there."""
    sources = {name: found for name, found in result["sources"].items() if "families" in found}
    most = max(len(found["families"]) for found in sources.values())
    drawn, places = canvas(len(sources), 2, 6.2, 1.6 + 0.27 * most)
    for row, (name, found) in enumerate(sources.items()):
        _confusion(places[2 * row], found, name)
        _violins(places[2 * row + 1], found)
    return drawn


def _confusion(axes: Axes, found: dict[str, Any], name: str) -> None:
    counts, families = np.array(found["confusion"]), found["families"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[i, j] > 0.5 else INK
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7, color=colour)
    labels = [f"{families[0]} (clean)", *families[1:]]
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_xlabel("answer of the cascade", fontsize=9)
    axes.set_ylabel("family", fontsize=9)
    axes.set_title(f"{name}: test files", fontsize=11, color=INK)


def _violins(axes: Axes, found: dict[str, Any]) -> None:
    families = found["families"][1:]
    for place, name in enumerate(families):
        radii = found["by_family"][name]["radius"][NORM]["all"]
        if len(radii) > 1:
            parts = axes.violinplot([radii], [place], orientation="horizontal", showmedians=True)
            for body in parts["bodies"]:  # type: ignore[attr-defined]
                body.set_color(BLUE)
            for line in ("cbars", "cmins", "cmaxes", "cmedians"):
                parts[line].set_color(BLUE)
        else:
            axes.plot(radii, [place] * len(radii), "o", color=BLUE, ms=3)
    axes.set_yticks(range(len(families)), families, fontsize=7)
    axes.invert_yaxis()
    plain(axes, f"certified {NORM} radius of flagged test files", "")
