"""Static figures (PNG) of classes: the confusion matrix, and radii class by class."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from featureconvex.report.figures.certified import (
    certified_accuracy_figure,
    radius_histogram_figure,
)
from featureconvex.report.figures.detection import shaded_matrix
from featureconvex.report.figures.training import training_figure
from featureconvex.report.multi_class.charts import MOST_NUMBERS
from featureconvex.report.multi_class.quantiles import radii_of_classes
from featureconvex.report.plot_style import BLUE, INK, as_written, canvas, plain
from featureconvex.results.columns import RAW, STD, RadiusColumn
from featureconvex.results.multi_class.counts import class_counts
from featureconvex.results.multi_class.folder import ClassRun
from featureconvex.results.numbers import percent, unit_name

MOST_NAMES = 60
"""Classes whose names stand along a matrix."""


def confusion_of_classes(run: ClassRun) -> Figure:
    """Counts, shaded by the share of the true class."""
    counts = class_counts(run.points, run.classes)
    k = len(run.classes)
    side = min(max(3.6, 0.62 * k), 11.0)
    figure, (axes,) = canvas(1, 1, side + 0.9, side)
    share = counts.table / np.maximum(counts.sizes, 1)[:, None]
    numbers = [[str(n) if n else "" for n in row] for row in counts.table.tolist()]
    shaded_matrix(axes, share, numbers if k <= MOST_NUMBERS else None, 10 if k <= 12 else 8)
    names = [as_written(name) for name in run.classes] if k <= MOST_NAMES else []
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45 if max(map(len, names), default=0) > 3 else 0)
    axes.set_yticks(ticks, names)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right" if label.get_rotation() else "center")
    axes.set_xlabel("taken for", color=INK)
    axes.set_ylabel("true class", color=INK)
    axes.set_title(f"accuracy {percent(counts.accuracy)}", color=INK, fontsize=11)
    return figure


def radii_by_class(run: ClassRun, unit: str) -> Figure | None:
    """A panel per norm, a box per class: radii of the points recognised; None without the unit."""
    if unit not in run.whole.units:
        return None
    columns = [RadiusColumn(threat, unit=unit) for threat in run.whole.ranges(unit)]
    k = len(run.classes)
    figure, places = canvas(1, len(columns), 3.7, max(2.4, 0.9 + 0.3 * min(k, 60)))
    for axes, column in zip(places, columns, strict=True):
        boxes = radii_of_classes(run, column)
        shown = [
            dict(zip(("whislo", "q1", "med", "q3", "whishi"), box.levels, strict=True), fliers=[])
            for box in boxes
        ]
        axes.bxp(
            shown,
            orientation="horizontal",
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": BLUE, "alpha": 0.35, "edgecolor": BLUE},
            medianprops={"color": BLUE, "linewidth": 2},
            whiskerprops={"color": BLUE},
            capprops={"color": BLUE},
        )
        named = axes is places[0] and k <= MOST_NAMES
        axes.set_yticks(
            range(1, k + 1), [as_written(box.name) for box in boxes] if named else [""] * k
        )
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        size = unit_name(column.threat, unit, run.record["kind"])
        plain(axes, f"{column.threat} radius ({size})", "")
    figure.suptitle(
        "radii of the samples recognised, closed form: middle half, 5 to 95 %",
        fontsize=10,
        color=INK,
    )
    return figure


FIGURES: dict[str, Callable[[ClassRun], Figure | None]] = {
    "confusion.png": confusion_of_classes,
    "certified_accuracy.png": lambda run: certified_accuracy_figure(run.whole, RAW),
    "certified_accuracy_std.png": lambda run: certified_accuracy_figure(run.whole, STD),
    "levels.png": lambda run: _compared(run, RAW),
    "levels_std.png": lambda run: _compared(run, STD),
    "radii_by_class.png": lambda run: radii_by_class(run, RAW),
    "radii_by_class_std.png": lambda run: radii_by_class(run, STD),
    "radius_histogram.png": lambda run: radius_histogram_figure(run.whole, RAW),
    "radius_histogram_std.png": lambda run: radius_histogram_figure(run.whole, STD),
    "training.png": lambda run: training_figure(run.record),
}


def _compared(run: ClassRun, unit: str) -> Figure | None:
    """All levels on the points that all cover; None where that is every point."""
    if not run.is_partial:
        return None
    figure = certified_accuracy_figure(run.compared, unit)
    if figure is not None:
        words = f"the first {len(run.compared.rows)} test samples"
        figure.supxlabel(words, fontsize=10, color=INK)
    return figure


def draw_class_figures(run: ClassRun) -> dict[str, Figure]:
    """Every figure the run has data for, by file name."""
    drawn = {name: draw(run) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}
