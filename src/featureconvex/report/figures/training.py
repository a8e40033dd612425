"""Training curve and trade-off curve."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from featureconvex.report.plot_style import BLUE, ORANGE, SERIES, canvas, plain
from featureconvex.results.history import known_series, sorted_tradeoff
from featureconvex.results.numbers import significant
from featureconvex.results.record import Record, RunRecord


def training_figure(record: RunRecord) -> Figure | None:
    """Loss, accuracy and median radius against the epoch; None where the history is empty."""
    panels = known_series(record)
    if not panels:
        return None
    figure, all_axes = canvas(1, len(panels), 3.7, 2.9)
    for axes, panel in zip(all_axes, panels, strict=True):
        for i, line in enumerate(panel.series):
            style = "." if len(line.epochs) < 3 else "-"
            axes.plot(line.epochs, line.values, style, color=SERIES[i], lw=1.8, label=line.name)
        plain(axes, "epoch", panel.title)
        if panel.title == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if len(panel.series) > 1:
            axes.legend(frameon=False, fontsize=9)
    return figure


def tradeoff_figure(record: Record) -> Figure | None:
    """Validation accuracy against validation median radius over the temperatures tried."""
    points = sorted_tradeoff(record)
    if not points:
        return None
    figure, (axes,) = canvas(1, 1, 5.2, 3.8)
    axes.plot([p.radius for p in points], [p.accuracy for p in points], "-", color=BLUE, lw=1.5)
    for point in points:
        marker, colour, size = ("*", ORANGE, 15) if point.chosen else ("o", BLUE, 6)
        axes.plot(point.radius, point.accuracy, marker, color=colour, ms=size, zorder=3)
    _name_points(axes, [(p.radius, p.accuracy, p.temperature) for p in points])
    plain(
        axes,
        "validation median radius",
        "validation accuracy",
        "temperature at each point; star: chosen",
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.margins(0.1)
    return figure


def _name_points(axes: Axes, points: list[tuple[float, float, float]]) -> None:
    for radius, accuracy, temperature in points:
        axes.annotate(
            significant(temperature),
            (radius, accuracy),
            textcoords="offset points",
            xytext=(7, 7),
            fontsize=9,
        )
