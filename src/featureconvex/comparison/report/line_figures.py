"""Static figures (PNG) of a comparison: certified accuracy against the radius."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from featureconvex.comparison.metrics import REFERENCE
from featureconvex.comparison.report.line_style import STYLES, colours, filled, marker, style
from featureconvex.comparison.report.lines import (
    MethodLine,
    level_lines,
    method_lines,
    norms,
    setting_lines,
    with_levels,
    with_settings,
)
from featureconvex.comparison.report.words import points_words
from featureconvex.comparison.schema import ComparisonTables, counted_points
from featureconvex.report.plot_style import INK, as_written, canvas, certified_axes, panels, plain
from featureconvex.results.numbers import percent
from featureconvex.results.statistics.curves import CurveTable, Floats

COLUMNS = 3
MARKERS_PER_LINE = 8
FAINT_LINE = "#BBBBBB"
FEW = 2
"""Up to so many lines show every interval; with more only the reference's is shaded."""


def draw_comparison(tables: ComparisonTables) -> dict[str, Figure]:
    """Every figure there is data for, by file name.

    ``certified_<norm>.png``: every method at its best setting. ``settings.png``: all settings of the
    methods that have several, beside the reference. ``levels.png``: all levels of those with several.
    """
    figures = {f"certified_{norm}.png": norm_figure(tables, norm) for norm in norms(tables)}
    settings = _native_panels(tables, with_settings(tables), setting_lines)
    if settings:
        figures["settings.png"] = _grid(tables, settings, reference=True)
    levels = _native_panels(tables, with_levels(tables), level_lines)
    if levels:
        figures["levels.png"] = _grid(tables, levels, reference=False)
    return figures


def gallery_figure(comparisons: Sequence[ComparisonTables]) -> Figure:
    """Several comparisons at a glance: a row each, a column per norm, one legend for all.

    Every method at its best setting in the norm of the panel.
    """
    columns = norms(comparisons[0])
    figure, places = canvas(len(comparisons), len(columns), 3.7, 2.7)
    drawn: dict[str, tuple[int, Line2D]] = {}
    every: list[MethodLine] = []
    for place, axes in enumerate(places):
        tables, norm = comparisons[place // len(columns)], columns[place % len(columns)]
        lines = method_lines(tables, norm)
        for line, handle in zip(lines, _draw(axes, lines), strict=True):
            drawn.setdefault(line.name, (line.slot, handle))
        native = [line for line in lines if not line.converted] or lines
        end = max(float(_until_zero(line.curve)[0][-1]) for line in native)
        _axes(axes, end, norm, tables["unit"])
        axes.set_title(f"{as_written(tables['task'])}, {norm}", fontsize=9.5, color=INK)
        every += lines
    named = sorted(drawn.items(), key=lambda item: item[1][0])
    figure.legend(
        handles=[_solid(handle) for _, (_, handle) in named],
        labels=[name for name, _ in named],
        loc="outside right upper",
        frameon=False,
        fontsize=8.5,
    )
    figure.supylabel("certified accuracy", fontsize=10, color=INK)
    _key(figure, every)
    return figure


def _solid(handle: Line2D) -> Line2D:
    """Colour and marker alone: dashes and filling differ from panel to panel."""
    return Line2D(
        [],
        [],
        color=handle.get_color(),
        lw=handle.get_linewidth(),
        marker=handle.get_marker(),
        markersize=5.5,
    )


def norm_figure(tables: ComparisonTables, norm: str) -> Figure:
    """One norm: a line per method, its clean accuracy in the legend, the largest area first."""
    lines = method_lines(tables, norm)
    figure, (axes,) = canvas(1, 1, 9.2, max(4.4, 2.2 + 0.24 * len(lines)))
    handles = _draw(axes, lines)
    _axes(axes, float(lines[0].curve["radius"][-1]), norm, tables["unit"])
    axes.set_ylabel("certified accuracy", color=INK)
    figure.legend(
        handles=handles,
        labels=[_label(line) for line in lines],
        title="method, setting: clean accuracy",
        loc="outside right upper",
        frameon=False,
        fontsize=8.5,
        title_fontsize=9,
        alignment="left",
        handlelength=3.4,
    )
    title = f"{as_written(tables['task'])}: {counted_points(tables)} {points_words(tables)}"
    axes.set_title(title, color=INK, fontsize=10, loc="left")
    _key(figure, lines)
    return figure


def _native_panels(
    tables: ComparisonTables,
    methods: Sequence[str],
    lines_of: Callable[[ComparisonTables, str, str], list[MethodLine]],
) -> list[tuple[str, list[MethodLine]]]:
    """(norm, lines) of every method in the norms it certifies itself."""
    found = [(norm, lines_of(tables, name, norm)) for name in methods for norm in norms(tables)]
    return [(norm, lines) for norm, lines in found if not lines[0].converted]


def _grid(
    tables: ComparisonTables, shown: Sequence[tuple[str, list[MethodLine]]], reference: bool
) -> Figure:
    """Three panels to a row, each with its own range of radii."""
    figure, places = panels(len(shown), COLUMNS, 3.9, 3.0)
    for axes, (norm, lines) in zip(places, shown, strict=True):
        title = tables["methods"][lines[0].method]["title"]
        handles = _draw(axes, lines)
        labels = [f"{line.name}: {percent(line.clean_accuracy)}" for line in lines]
        beside = _beside(tables, norm, lines[0].method) if reference else None
        if beside is not None:
            radius, accuracy = _until_zero(beside.curve)
            handles += axes.plot(radius, accuracy, color=FAINT_LINE, lw=3, zorder=1)
            labels.append(f"{beside.name}: {percent(beside.clean_accuracy)}")
        drawn = lines if beside is None else [*lines, beside]
        _axes(axes, max(float(_until_zero(x.curve)[0][-1]) for x in drawn), norm, tables["unit"])
        axes.set_title(f"{title}, {norm}", fontsize=9.5, color=INK)
        axes.legend(handles, labels, frameon=False, fontsize=6.5, handlelength=2.6)
    figure.supylabel("certified accuracy", fontsize=10, color=INK)
    _key(figure, [line for _, lines in shown for line in lines])
    return figure


def _beside(tables: ComparisonTables, norm: str, method: str) -> MethodLine | None:
    """The reference's best line, to hold another method's settings against."""
    found = [line for line in method_lines(tables, norm) if line.method == REFERENCE[0]]
    return found[0] if found and method != REFERENCE[0] else None


def _until_zero(curve: CurveTable) -> tuple[Floats, Floats]:
    """Radii and accuracies up to the first accuracy of zero, with at least two points."""
    positive = int((np.asarray(curve["accuracy"]) > 0).sum())
    end = max(2, positive + 1)
    return curve["radius"][:end], curve["accuracy"][:end]


def _draw(axes: Axes, lines: Sequence[MethodLine]) -> list[Line2D]:
    """The lines, the first on top; their markers staggered, so that close lines stay apart."""
    handles = []
    for place, line in enumerate(lines):
        colour = colours(line.slot)[0]
        radius, accuracy = _until_zero(line.curve)
        step = max(1, len(radius) // MARKERS_PER_LINE)
        if line.strong or len(lines) <= FEW:
            curve = line.curve
            axes.fill_between(
                curve["radius"], curve["low"], curve["high"], color=colour, alpha=0.1, lw=0
            )
        handles += axes.plot(
            radius,
            accuracy,
            linestyle=style(line.guarantee, line.converted).matplotlib,
            color=colour,
            lw=2.6 if line.strong else 1.4,
            marker=marker(line.slot).matplotlib,
            markersize=5.5,
            markerfacecolor=colour if filled(line.guarantee) else "white",
            markeredgewidth=1.2,
            markevery=((place * step) // len(lines), step),
            zorder=len(lines) - place + (20 if line.strong else 3),
        )
    return handles


def _axes(axes: Axes, top: float, norm: str, unit: str) -> None:
    plain(axes, f"{norm} radius ({unit})", "")
    certified_axes(axes, top)


def _label(line: MethodLine) -> str:
    words = f", {line.setting}" if line.setting else ""
    converted = " (converted)" if line.converted else ""
    return f"{line.name}{words}: {percent(line.clean_accuracy)}{converted}"


def _key(figure: Figure, lines: Sequence[MethodLine]) -> None:
    """What dashes and filled markers mean, as far as they occur."""
    used = {style(line.guarantee, line.converted) for line in lines}
    handles: list[Artist] = [
        Line2D([], [], color=INK, lw=1.5, ls=kind.matplotlib, label=kind.words)
        for kind in STYLES
        if kind in used
    ]
    if any(filled(line.guarantee) for line in lines):
        words = "filled markers: floating-point sound"
        handles.append(Line2D([], [], color=INK, lw=0, marker="o", label=words))
    handles.append(Patch(color=INK, alpha=0.1, lw=0, label="exact 95 % interval, where shaded"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8.5,
        handlelength=3.4,
    )
