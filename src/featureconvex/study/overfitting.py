"""``featureconvex study overfitting``: can input-convex networks interpolate, and does the gap open?"""

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from featureconvex.report.plot_style import BLUE, ORANGE, canvas, plain
from featureconvex.results.statistics.intervals import share
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.small_models.trained import trained_row
from featureconvex.study.small_models.variants import seeded, variant, variants
from featureconvex.study.study import Row, Settings, Study

TASKS = ("fashion-shirts", "cifar10-cats-dogs")
POINTS, EPOCHS, SEEDS = 400, 40, 2
MAPS: dict[str, dict[str, Any]] = {
    "no map": {"map": "identity", "widths": []},
    "learned map": {"map": "orthogonal", "widths": [128, 128]},
}
BASE: Settings = {
    "model": ModelSpec(hidden=(128, 32)).values(),
    "recipe": {
        **{"objective": "cross-entropy", "epochs": EPOCHS, "batch_size": 50, "settled": 1.0},
        "learning_rate": 2e-3,
    },
}
"""Plain cross-entropy without augmentation, and the last epoch, whatever the held-out points say."""
SWEEPS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "width": [(str(width), {"model": {"hidden": [width, width // 4]}}) for width in (8, 64, 512)],
    "hidden layers": [(str(depth), {"model": {"hidden": [64] * depth}}) for depth in (0, 1, 3)],
    "epochs": [(str(epochs), {"recipe": {"epochs": epochs}}) for epochs in (5, 20, 80)],
    "penalty lambda": [
        (f"{value:g}", {"recipe": {"jacobian_weight": value}}) for value in (0.01, 0.1)
    ],
    "temperature T": [
        (f"{share:g}", {"recipe": {"objective": "radius", "share": share}})
        for share in (1 / 64, 1 / 8)
    ],
}
"""The last in shares of the distance between the classes: the radius is trained instead."""
COSTLY = {("width", "512"), ("epochs", "80"), ("penalty lambda", "0.01")}
"""Left out after a learned map, whose steps take several times as long."""
INTERPOLATED = 0.999


def labelled(task: str, points: int) -> Iterator[tuple[str, str, Settings]]:
    """Every sweep without and with a learned map; ``task|map|sweep`` is the group."""
    for name, chosen in MAPS.items():
        base = {"task": task, "points": points, **variant(BASE, model=chosen)}
        for sweep, steps in SWEEPS.items():
            for label, changes in steps:
                if name == "learned map" and (sweep, label) in COSTLY:
                    continue
                yield f"{task}|{name}|{sweep}", label, variant(base, **changes)


def cells(quick: bool, seed: int) -> list[Settings]:
    """Both tasks; a few of one bundled task where it must be quick."""
    if quick:
        chosen = [*labelled("digits-3-8", 40)][::3]
        return seeded(
            [(g, la, variant(s, recipe={"epochs": 3, "batch_size": 20})) for g, la, s in chosen],
            seed,
            1,
        )
    return seeded([one for task in TASKS for one in labelled(task, POINTS)], seed, SEEDS)


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Every variant with its gap: means over seeds, intervals over test points."""
    found = variants(rows)
    for one in found:
        test, train = one["clean_accuracy"]["estimate"], one["train_accuracy"]["estimate"]
        ends = share(round(test * one["n_test"]), one["n_test"])
        one["test_accuracy"] = {"estimate": test, "low": ends.low, "high": ends.high}
        one["gap"] = {"estimate": train - test, "low": train - ends.high, "high": train - ends.low}
        task, name, sweep = one["group"].split("|")
        one |= {"task": task, "map": name, "sweep": sweep}
        one["interpolates"] = min(one["train_accuracy"]["values"]) >= INTERPOLATED
    return {"variants": found, "points": rows[0]["settings"]["points"]}


def figure(result: dict[str, Any]) -> Figure:
    """A row per task, a panel per sweep: training (open) and test accuracy (full), both maps."""
    tasks = list(dict.fromkeys(one["task"] for one in result["variants"]))
    drawn, places = canvas(len(tasks), len(SWEEPS), 2.6, 2.7)
    for row, task in enumerate(tasks):
        for column, sweep in enumerate(SWEEPS):
            axes = places[row * len(SWEEPS) + column]
            for name, colour in zip(MAPS, (ORANGE, BLUE), strict=True):
                own = [
                    one
                    for one in result["variants"]
                    if (one["task"], one["map"], one["sweep"]) == (task, name, sweep)
                ]
                steps = [one["label"] for one in own]
                for kind, dashes, mark in (
                    ("train_accuracy", "--", "o"),
                    ("clean_accuracy", "-", "s"),
                ):
                    words = f"{name}, {'training' if kind == 'train_accuracy' else 'test'}"
                    axes.plot(
                        steps,
                        [one[kind]["estimate"] for one in own],
                        f"{dashes}{mark}",
                        color=colour,
                        ms=4,
                        mfc="white" if kind == "train_accuracy" else colour,
                        label=words,
                    )
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            axes.tick_params(labelsize=8)
            plain(axes, sweep, "accuracy" if column == 0 else "", task if column == 0 else "")
    handles, labels = places[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return drawn


STUDY = Study("overfitting", cells, trained_row, summary, figure)
