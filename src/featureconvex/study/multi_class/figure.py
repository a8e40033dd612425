"""Accuracy against radius: models of ten classes, and detectors of sets beside them."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from featureconvex.report.plot_style import BLUE, GREEN, ORANGE, canvas, plain

COLOURS = {"convex": BLUE, "affine": ORANGE, "detector": GREEN}
LABELS = {
    "convex": "ten convex scores",
    "affine": "ten affine scores (1-Lipschitz network)",
    "detector": "detector of the set",
}


def figure(result: dict[str, Any]) -> Figure:
    """A row per data set: all classes, then each of its sets; a point per seed, a line through means."""
    families = list(dict.fromkeys(one["data"] for one in result["models"]))
    most = max(sum(one["data"] == data for one in result["sets"]) for data in families)
    drawn, places = canvas(len(families), 1 + most, 3.5, 3.2)
    for row, data in enumerate(families):
        axes = places[row * (1 + most)]
        own = [one for one in result["models"] if one["data"] == data]
        for scores in dict.fromkeys(one["scores"] for one in own):
            _line(axes, [one for one in own if one["scores"] == scores], scores, "accuracy")
        plain(
            axes,
            "mean certified l2 radius, all points",
            "accuracy",
            f"{own[0]['title']}: own class",
        )
        sets = [one for one in result["sets"] if one["data"] == data]
        for axes, kind in zip(places[row * (1 + most) + 1 :], sets, strict=False):
            for model in dict.fromkeys(one["model"] for one in kind["answers"]):
                chosen = [one for one in kind["answers"] if one["model"] == model]
                _line(axes, chosen, model, "balanced")
            plain(
                axes,
                "mean radius, points of the set",
                "balanced accuracy",
                f"stays in: {kind['set']}",
            )
    for axes in places:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    handles, labels = places[1].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return drawn


def _line(axes: Any, own: list[dict[str, Any]], model: str, height: str) -> None:
    points = [_values(one, height) for one in own]
    colour = COLOURS[model]
    for radii, heights in points:
        axes.plot(radii, heights, "o", color=colour, ms=4, alpha=0.45)
    middle = [(sum(x) / len(x), sum(y) / len(y)) for x, y in points]
    axes.plot(*zip(*middle, strict=True), "-", color=colour, label=LABELS[model])


def _values(one: dict[str, Any], height: str) -> tuple[list[float], list[float]]:
    radii = one["mean_radius"]["values"]
    if height == "accuracy":
        return radii, one["accuracy"]["values"]
    pairs = zip(one["recall"]["values"], one["false_positive_rate"]["values"], strict=True)
    return radii, [(recall + 1 - false) / 2 for recall, false in pairs]
