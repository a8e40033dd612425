"""Histogram of distances, and the points nearest to the other class's hull."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from featureconvex.report.pictures import rgb
from featureconvex.report.plot_style import BLUE, INK, ORANGE, as_written, canvas, plain

SHOWN = 8


def separability_figure(
    rows: pd.DataFrame, norm: str, names: tuple[str, str], images: NDArray[Any] | None, unit: str
) -> Figure:
    """The distances of both classes, above the points that are nearest to the other hull.

    Args:
        rows: of both directions.
        norm: ``l1``, ``l2`` or ``linf``.
        names: of the sensitive and of the other class.
        images: (n, c, h, w) in the order of the rows' ``index``; None for tables.
        unit: of the distance, in words.
    """
    figure, panels = canvas(1 if images is None else 2, 1, 8.4, 3.2)
    exact = f"distance_{norm}_lower"
    outside = rows[rows.verdict == "outside"]
    top = float(outside[exact].max()) if len(outside) else 1.0
    bins = np.linspace(0, top or 1.0, 60).tolist()
    for label, colour in ((1, BLUE), (0, ORANGE)):
        mine, other = (names[0], names[1]) if label else (names[1], names[0])
        part = rows[rows.label == label]
        inside = int((part.verdict == "inside").sum())
        text = f"{as_written(mine)}: {len(part)} points, {inside} inside the hull of {as_written(other)}"
        panels[0].hist(
            part[part.verdict == "outside"][exact], bins, color=colour, alpha=0.6, label=text
        )
    plain(panels[0], f"{norm} distance to the other class's hull, lower bound ({unit})", "points")
    panels[0].legend(frameon=False, fontsize=9)
    if images is not None:
        _pictures(panels[1], rows, exact, names, images)
    return figure


def _pictures(
    axes: Any, rows: pd.DataFrame, column: str, names: tuple[str, str], images: NDArray[Any]
) -> None:
    tall = images.shape[2] / images.shape[3]
    for line, label in enumerate((1, 0)):
        nearest = rows[rows.label == label].nsmallest(SHOWN, column)
        top = -line * (tall + 0.3)
        for place, (_, row) in enumerate(nearest.iterrows()):
            box = (place, place + 0.95, top - 0.95 * tall, top)
            axes.imshow(rgb(images[int(row["index"])]), extent=box, interpolation="nearest")
            text = "inside" if row.verdict == "inside" else f"{row[column]:.3g}"
            axes.text(place + 0.47, top + 0.03, text, ha="center", fontsize=8, color=INK)
        name = as_written(names[0] if label else names[1])
        axes.text(-0.1, top - 0.5 * tall, name, ha="right", va="center", fontsize=9, color=INK)
    axes.set_xlim(-1.6, SHOWN)
    axes.set_ylim(-2 * tall - 0.35, 0.3)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title("nearest to the other hull", fontsize=10, color=INK)
