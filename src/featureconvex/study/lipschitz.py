"""``featureconvex study lipschitz``: what richer feature maps buy, and what their constants cost."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from featureconvex.norms import NORM_NAMES
from featureconvex.report.plot_style import BLUE, GREEN, INK, ORANGE, PINK, SKY, canvas, plain
from featureconvex.results.statistics.intervals import student
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.small_models.trained import trained_row
from featureconvex.study.small_models.variants import SEEDS, seeded, variant, variants
from featureconvex.study.study import Row, Settings, Study

TASKS = ("fashion-shirts", "mnist-3-8")
DEPTHS, CONSTANTS, WIDTH = (1, 2, 3, 4), (1.0, 2.0, 4.0, 8.0), 128
POINTS = 3000
"""Training points of each class."""
RECIPE: dict[str, Any] = {
    **{"norm": 2, "epochs": 8, "batch_size": 128, "share": 1 / 8},
    **{"asymmetry": 2.5, "balanced": False},
}
BASE: Settings = {
    "points": POINTS,
    "model": ModelSpec(hidden=(64, 16)).values(),
    "recipe": {**RECIPE, "learning_rate": 2e-3},
}
LEARNED = {"learning_rate": 6e-3}
FIXED = {
    "identity": "identity",
    "(u, |u|)": "abs",
    "(u, |u|) twice": "abs-abs",
    "scattering, 1 modulus": "scattering-1",
    "scattering, 2 moduli": "scattering-2",
}


def cells(quick: bool, seed: int) -> list[Settings]:
    """Fixed maps, then learned ones of every depth and constant."""
    tasks = ("digits-3-8",) if quick else TASKS
    base = variant(BASE, recipe={"epochs": 2, "batch_size": 32}) if quick else BASE
    found = []
    for task in tasks:
        found += [
            (task, label, {**variant(base, model={"map": name}), "task": task})
            for label, name in FIXED.items()
        ]
        for depth in DEPTHS[:2] if quick else DEPTHS:
            for constant in _constants(task, quick):
                model = {"map": "orthogonal", "widths": (WIDTH,) * depth, "constant": constant}
                made = variant(base, model=model, recipe=LEARNED)
                found.append(
                    (task, f"learned {depth}, constant {constant:g}", {**made, "task": task})
                )
    return seeded(found, seed, 1 if quick else SEEDS)


def _constants(task: str, quick: bool) -> tuple[float, ...]:
    """All on the first task; the second has the maps alone."""
    if quick:
        return CONSTANTS[:2]
    return CONSTANTS if task == TASKS[0] else CONSTANTS[:1]


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Every variant, and for each task what depth and constant do to accuracy and radius."""
    found = variants(rows)
    return {
        "variants": found,
        "scaling": {
            task: _scaling([one for one in found if one["group"] == task])
            for task in dict.fromkeys(one["group"] for one in found)
        },
    }


def _scaling(own: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy and l2 radius by the constant, over all depths and seeds; and by the depth."""
    learned = [one for one in own if one["settings"]["model"]["map"] == "orthogonal"]

    def pooled(chosen: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
        return {
            name: student([value for one in chosen for value in one[name]["values"]]).table()
            for name in ("clean_accuracy", "median l2", "mean l2")
        }

    constants = sorted({one["settings"]["model"]["constant"] for one in learned})
    depths = sorted({len(one["settings"]["model"]["widths"]) for one in learned})
    return {
        "constant": {
            f"{c:g}": pooled([o for o in learned if o["settings"]["model"]["constant"] == c])
            for c in constants
        },
        "depth": {
            str(d): pooled([o for o in learned if len(o["settings"]["model"]["widths"]) == d])
            for d in depths
        },
    }


COLOURS = {
    "identity": INK,
    "(u, |u|)": ORANGE,
    "(u, |u|) twice": PINK,
    "scattering, 1 modulus": SKY,
    "scattering, 2 moduli": GREEN,
}
MARKS = "o^sD"


def figure(result: dict[str, Any]) -> Figure:
    """A row per task, a panel per norm: accuracy against the median radius, a point per variant."""
    tasks = list(dict.fromkeys(one["group"] for one in result["variants"]))
    drawn, places = canvas(len(tasks), 3, 3.9, 3.3)
    for row, task in enumerate(tasks):
        own = [one for one in result["variants"] if one["group"] == task]
        for axes, norm in zip(places[3 * row : 3 * row + 3], NORM_NAMES, strict=True):
            for one in own:
                _point(axes, one, f"median {norm}")
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
            plain(axes, f"median certified {norm} radius", "test accuracy", task)
    handles, labels = places[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return drawn


def _point(axes: Any, one: dict[str, Any], radius: str) -> None:
    spec, label = one["settings"]["model"], one["label"]
    colour, mark, size = COLOURS.get(label, BLUE), "x", 6.0
    if spec["map"] == "orthogonal":
        mark, size = MARKS[len(spec["widths"]) - 1], 4.0 + spec["constant"] / 2
        label = f"learned, {len(spec['widths'])} layers" if spec["constant"] == 1 else ""
    axes.plot(
        one[radius]["values"],
        one["clean_accuracy"]["values"],
        mark,
        color=colour,
        ms=size,
        alpha=0.6,
        label=label or None,
    )


STUDY = Study("lipschitz", cells, trained_row, summary, figure)
