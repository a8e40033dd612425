"""``featureconvex study ablations``: one thing changed at a time, in the paper's training and in ours."""

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from featureconvex.report.plot_style import BLUE, INK, ORANGE, canvas, plain
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.small_models.trained import trained_row
from featureconvex.study.small_models.variants import SEEDS, difference, seeded, variant, variants
from featureconvex.study.study import Row, Settings, Study

LAMBDAS = (0.0, 0.0025, 0.005, 0.0075, 0.01)
BASE_LABEL = "base"
Labelled = tuple[str, str, Settings]

PAPER: Settings = {
    "model": ModelSpec(hidden=(200, 50), batch_norm=True, init="paper").values(),
    "recipe": {
        **{"norm": 2, "objective": "cross-entropy", "optimiser": "sgd", "learning_rate": 1e-3},
        **{"batch_size": 64, "calibrate_on": "test"},
    },
}
"""The paper's protocol for MNIST; a convolutional network of its size is out of reach in three seeds."""
OURS: Settings = {
    "model": ModelSpec("orthogonal", (128, 128), hidden=(64, 16)).values(),
    "recipe": {
        **{"norm": 2, "epochs": 6, "batch_size": 128, "share": 1 / 8, "learning_rate": 6e-3},
        **{"asymmetry": 2.5, "balanced": False},
    },
}
PIXELS: dict[str, Any] = {"map": "identity", "widths": [], "hidden": [200, 50]}
SLOWER = {"learning_rate": 2e-3}


def of_the_paper(task: str, points: int, epochs: int, shift: int, flip: bool) -> Iterator[Labelled]:
    """Lambda, the feature map and augmentation, around the paper's own choice."""
    cifar = task.startswith("cifar10")
    chosen = {"epochs": epochs, "augmentation": {"shift": shift, "flip": flip}}
    chosen["jacobian_weight"] = 0.0075 if cifar else 0.01
    own = {"map": "abs" if cifar else "identity"}
    base = {"task": task, "points": points, **variant(PAPER, recipe=chosen, model=own)}
    group = f"paper, {task}"
    yield group, BASE_LABEL, base
    for value in LAMBDAS:
        if value != chosen["jacobian_weight"]:
            yield group, f"lambda {value:g}", variant(base, recipe={"jacobian_weight": value})
    other = "identity" if cifar else "abs"
    yield group, "no (u, |u|)" if cifar else "(u, |u|)", variant(base, model={"map": other})
    yield group, "no augmentation", variant(base, recipe={"augmentation": {}})
    if cifar:
        exchanged = variant(base)
        exchanged["task"] = "cifar10-dogs-cats"
        yield group, "dogs sensitive", exchanged
        yield (
            group,
            "dogs sensitive, no (u, |u|)",
            {**variant(base, model={"map": other}), "task": exchanged["task"]},
        )


def of_ours(task: str, points: int) -> Iterator[Labelled]:
    """Temperatures, norm, starting weights, sizes, batch norm, and an affine network."""
    base = {"task": task, "points": points, **OURS}
    group = f"ours, {task}"
    yield group, BASE_LABEL, base
    for share in (1 / 32, 1 / 16, 1 / 4, 1 / 2):
        yield group, f"T {share:g} of the distance", variant(base, recipe={"share": share})
    for ratio in (1.0, 5.0, 10.0):
        yield group, f"T0 = T / {ratio:g}", variant(base, recipe={"asymmetry": ratio})
    yield group, "affine g", variant(base, model={"hidden": []})
    for hidden in ([16, 4], [256, 64], [64], [64, 64, 16], [64, 64, 64, 16]):
        name = "-".join(map(str, hidden))
        yield group, f"g {name}", variant(base, model={"hidden": hidden})
    for widths in ([64, 64], [256, 256], [128], [128] * 4):
        name = "-".join(map(str, widths))
        yield group, f"map {name}", variant(base, model={"widths": widths})
    pixels = variant(base, model=PIXELS, recipe=SLOWER)
    yield group, "no map", pixels
    yield group, "no map, paper's initialisation", variant(pixels, model={"init": "paper"})
    yield group, "no map, no passthrough", variant(pixels, model={"passthrough": False})
    for norm in ("1", "inf"):
        yield group, f"no map, trained for l{norm}", variant(pixels, recipe={"norm": norm})
    entropy = variant(pixels, recipe={"objective": "cross-entropy", "jacobian_weight": 0.01})
    yield group, "no map, cross-entropy", entropy
    yield group, "no map, cross-entropy, batch norm", variant(entropy, model={"batch_norm": True})


def cells(quick: bool, seed: int) -> list[Settings]:
    """The paper's on MNIST and CIFAR-10, ours on Fashion-MNIST."""
    if quick:
        few = [*of_the_paper("digits-3-8", 60, 2, 1, False)][:3] + [*of_ours("digits-3-8", 60)][:6]
        return seeded(
            [(g, la, variant(s, recipe={"epochs": 2, "batch_size": 32})) for g, la, s in few],
            seed,
            1,
        )
    return seeded(
        [
            *of_the_paper("mnist-3-8", 3000, 20, 1, False),
            *of_ours("fashion-shirts", 3000),
            *of_the_paper("cifar10-cats-dogs", 1200, 10, 3, True),
        ],
        seed,
        SEEDS,
    )


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Every variant, and what it changes against its base, seed by seed."""
    found = variants(rows)
    base = {one["group"]: one for one in found if one["label"] == BASE_LABEL}
    for one in found:
        one["change"] = {
            name: difference(one, base[one["group"]], name)
            for name in ("clean_accuracy", "median l2", "mean l2")
        }
    return {"variants": found}


def figure(result: dict[str, Any]) -> Figure:
    """A column per group: accuracy and median radius of every variant, all seeds."""
    groups = list(dict.fromkeys(one["group"] for one in result["variants"]))
    most = max(sum(one["group"] == group for one in result["variants"]) for group in groups)
    drawn, places = canvas(2, len(groups), 4.3, 0.9 + 0.17 * most)
    for column, group in enumerate(groups):
        own = [one for one in result["variants"] if one["group"] == group]
        _dots(places[column], own, "clean_accuracy", "test accuracy", group, BLUE)
        lower = places[len(groups) + column]
        _dots(lower, own, "median l2", "median certified l2 radius", "", ORANGE)
    return drawn


def _dots(
    axes: Axes, own: list[dict[str, Any]], name: str, words: str, title: str, colour: str
) -> None:
    for place, one in enumerate(own):
        values = one[name]["values"]
        axes.plot(values, [place] * len(values), "o", ms=3.5, color=colour, alpha=0.6)
    axes.axvline(own[0][name]["estimate"], color=INK, lw=0.7)
    axes.set_yticks(range(len(own)), [one["label"] for one in own], fontsize=7)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if name == "clean_accuracy":
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    plain(axes, words, "", title)


STUDY = Study("ablations", cells, trained_row, summary, figure)
