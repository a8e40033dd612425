"""ROC with certified recall, and the confusion matrix."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from featureconvex.report.operating_points import operating_points
from featureconvex.report.plot_style import BLUE, INK, SERIES, as_written, canvas, plain
from featureconvex.results.folder import Run
from featureconvex.results.numbers import percent
from featureconvex.results.statistics.detection import area_under_curve, confusion


def roc_figure(run: Run) -> Figure:
    """Recall, and certified recall at up to three radii of the model's norm, against false positives."""
    points = operating_points(run)
    figure, (axes,) = canvas(1, 1, 5.4, 4.6)
    for colour, (name, share) in zip(SERIES, points.lines.items(), strict=False):
        axes.step(points.rate, share, where="post", color=colour, lw=1.8, label=name)
    axes.plot(*points.calibrated, "o", color=INK, ms=6, label="calibrated threshold", zorder=5)
    plain(
        axes,
        "false-positive rate (log scale)",
        "share of sensitive samples",
        f"area under the ROC curve {area_under_curve(run.rows):.4f}",
    )
    axes.set_xscale("log")
    axes.set_xlim(points.floor, 1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def confusion_figure(run: Run) -> Figure:
    """Counts and shares per true class."""
    counts = confusion(run.rows)
    table = np.array(
        [
            [counts.sensitive_flagged, counts.sensitive_missed],
            [counts.other_flagged, counts.other_passed],
        ]
    )
    share = table / table.sum(axis=1, keepdims=True)
    figure, (axes,) = canvas(1, 1, 4.4, 3.4)
    texts = [
        [f"{n}\n{percent(float(part))}" for n, part in zip(row, parts, strict=True)]
        for row, parts in zip(table, share, strict=True)
    ]
    shaded_matrix(axes, share, texts, 13)
    names = [as_written(run.record[name]) for name in ("sensitive_name", "other_name")]
    axes.set_xticks([0, 1], ["flagged", "passed"])
    axes.set_yticks([0, 1], [f"{names[0]}\n(sensitive)", f"{names[1]}\n(other)"])
    axes.set_title(f"accuracy {percent(counts.accuracy)}", color=INK, fontsize=11)
    return figure


def shaded_matrix(
    axes: Axes, share: NDArray[np.float64], texts: list[list[str]] | None, size: float
) -> None:
    """Shares (k, m) in [0, 1] as shades of one colour, with a text of a size in each cell, if any."""
    shades = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", BLUE])
    axes.imshow(share, cmap=shades, vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(share) if texts is not None else ():
        colour = "white" if value > 0.5 else INK
        text = "" if texts is None else texts[i][j]
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
