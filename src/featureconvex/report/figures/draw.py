"""All figures of a run, by file name."""

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

FIGURES = (
    "certified_accuracy.png",
    "certified_accuracy_std.png",
    "radius_histogram.png",
    "radius_histogram_std.png",
    "roc.png",
    "confusion.png",
    "training.png",
    "tradeoff.png",
    "examples.png",
)


def draw_figures(run: Run) -> dict[str, Figure]:
    """Every figure the run has data for; the keys are among ``FIGURES``."""
    figures: dict[str, Figure | None] = {
        "certified_accuracy.png": certified_accuracy_figure(run, RAW),
        "radius_histogram.png": radius_histogram_figure(run, RAW),
        "roc.png": roc_figure(run),
        "confusion.png": confusion_figure(run),
        "training.png": training_figure(run.record),
        "tradeoff.png": tradeoff_figure(run.record),
        "examples.png": gallery_figure(run),
    }
    if STD in run.units:
        figures["certified_accuracy_std.png"] = certified_accuracy_figure(run, STD)
        figures["radius_histogram_std.png"] = radius_histogram_figure(run, STD)
    return {name: figure for name, figure in figures.items() if figure is not None}
