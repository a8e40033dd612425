"""The figure of what each level of certificate adds, from the committed table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from featureconvex.certificates import LEVELS
from featureconvex.files import replacing
from featureconvex.norms import NORM_NAMES
from featureconvex.report.plot_style import INK, LEVEL_COLOURS, canvas, plain

FIGURE = Path(__file__).resolve().parents[2] / "docs" / "figures" / "levels.png"
# Bars above this ratio are cut off, and say so.
TOP = 2.8


def draw(rows: list[dict[str, Any]], name: Callable[[dict[str, Any]], str]) -> None:
    """One panel per norm: bars of the ratio to level 0, the median radius written on each.

    Args:
        rows: of the table.
        name: what is written below a row's bars.
    """
    figure, panels = canvas(len(NORM_NAMES), 1, 10.0, 2.6)
    for axes, norm in zip(panels, NORM_NAMES, strict=True):
        present = [row for row in rows if row["norm"] == norm and row["seeds"]]
        for place, row in enumerate(present):
            _bars(axes, place, row)
        plain(axes, "", "times closed form", f"median certified {norm} radius")
        axes.set_xticks(range(len(present)), [name(row) for row in present], fontsize=7)
        axes.set_ylim(0, TOP)
        axes.grid(visible=False, axis="x")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(LEVELS), frameon=False)
    with replacing(FIGURE) as scratch:
        figure.savefig(scratch)


def _bars(axes: Axes, place: int, row: dict[str, Any]) -> None:
    width = 0.2
    for k, level in enumerate(LEVELS):
        x = place + (k - 1.5) * width
        value = row["levels"][level]
        if "unavailable" in value:
            axes.text(x, 0.03, "refused", rotation=90, ha="center", fontsize=7, color=INK)
            continue
        height = value["ratio_of_medians"]
        label = level if place == 0 else None
        axes.bar(x, min(height, TOP), width * 0.9, color=LEVEL_COLOURS[level], label=label)
        cut = height > TOP
        text = f"{value['median_radius']:.3g}" + (f", {height:.0f} times: cut off" if cut else "")
        y = 0.05 if cut else height + 0.03
        axes.text(x, y, text, rotation=90, ha="center", va="bottom", fontsize=7, color=INK)
