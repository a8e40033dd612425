"""Heat maps of accuracy and radius, and prediction against truth."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from featureconvex.norms import NORM_NAMES
from featureconvex.report.plot_style import BLUE, FAINT, INK, ORANGE, canvas, plain


def figure(result: dict[str, Any]) -> Figure:
    """A row per set: accuracy, a radius per norm, and the predictions of radius and asymmetry."""
    sets = list(result["sets"].values())
    drawn, places = canvas(len(sets), 6, 2.75, 2.6)
    for row, found in enumerate(sets):
        panels = places[6 * row : 6 * row + 6]
        name = f"{found['family']}, {found['kind']}"
        errors = _matrix(found, lambda pair: 100 * (1 - pair["clean_accuracy"]["estimate"]))
        _heat(drawn, panels[0], errors, f"{name}: error, %", "magma_r")
        for axes, norm in zip(panels[1:4], NORM_NAMES, strict=True):
            radii = _matrix(found, lambda pair, norm=norm: _radius(pair, norm))
            _heat(drawn, axes, radii, f"median {norm} radius", "viridis")
        _scatter(panels[4], found["radius"], "l2 radius, unseen", BLUE)
        _scatter(panels[5], found["asymmetry"], "asymmetry, unseen", ORANGE)
    return drawn


def _radius(pair: dict[str, Any], norm: str) -> float:
    found = pair["median_radius"][norm]["estimate"]
    return float("nan") if found is None else float(found)


def _matrix(found: dict[str, Any], value: Any) -> Any:
    size = 1 + max(pair["sensitive"] for pair in found["pairs"])
    matrix = np.full((size, size), np.nan)
    for pair in found["pairs"]:
        matrix[pair["sensitive"], pair["other"]] = value(pair)
    return matrix


def _heat(drawn: Figure, axes: Axes, matrix: Any, title: str, colours: str) -> None:
    shown = axes.imshow(matrix, cmap=colours)
    axes.set_title(title, color=INK, fontsize=9)
    axes.set_xlabel("other class", fontsize=8)
    axes.set_ylabel("sensitive class", fontsize=8)
    axes.set_xticks(range(len(matrix)))
    axes.set_yticks(range(len(matrix)))
    axes.tick_params(labelsize=7)
    drawn.colorbar(shown, ax=axes, shrink=0.85).ax.tick_params(labelsize=7)


def _scatter(axes: Axes, found: dict[str, Any], title: str, colour: str) -> None:
    guess, truth = np.array(found["guess"], float), np.array(found["truth"], float)
    axes.plot(guess, truth, "o", ms=3, color=colour)
    ends = [min(guess.min(), truth.min()), max(guess.max(), truth.max())]
    axes.plot(ends, ends, color=FAINT, lw=1, zorder=0)
    share = found["explained_on_unseen"]["estimate"]
    plain(axes, "predicted", "measured", f"{title}, R² = {share:.2f}")
    axes.title.set_fontsize(9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7)
