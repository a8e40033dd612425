"""Static figures (PNG) of a run, drawn without pyplot so that no global state changes."""

from collections.abc import Callable

from matplotlib.figure import Figure

from featureconvex.report.figures.certified import (
    certified_accuracy_figure,
    radius_histogram_figure,
)
from featureconvex.report.figures.detection import confusion_figure, roc_figure
from featureconvex.report.figures.gallery import gallery_figure
from featureconvex.report.figures.training import tradeoff_figure, training_figure
from featureconvex.results.columns import RAW, STD
from featureconvex.results.folder import Run

FIGURES: dict[str, Callable[[Run], Figure | None]] = {
    "certified_accuracy.png": lambda run: certified_accuracy_figure(run, RAW),
    "certified_accuracy_std.png": lambda run: certified_accuracy_figure(run, STD),
    "radius_histogram.png": lambda run: radius_histogram_figure(run, RAW),
    "radius_histogram_std.png": lambda run: radius_histogram_figure(run, STD),
    "roc.png": roc_figure,
    "confusion.png": confusion_figure,
    "training.png": lambda run: training_figure(run.record),
    "tradeoff.png": lambda run: tradeoff_figure(run.record),
    "examples.png": gallery_figure,
}
"""What draws each, or gives None where the run has no data for it."""


def draw_figures(run: Run) -> dict[str, Figure]:
    """Every figure the run has data for, by file name."""
    drawn = {name: draw(run) for name, draw in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}
