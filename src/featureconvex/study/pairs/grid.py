"""One model for every ordered pair of classes, and the two classes measured."""

from itertools import permutations
from pathlib import Path
from typing import Any

from featureconvex.study.datasets import load
from featureconvex.study.models import ModelSpec
from featureconvex.study.pairs.characteristics import characteristics
from featureconvex.study.study import Row, Settings
from featureconvex.study.trained import trained_row

FAMILIES = ("mnist", "fashion")
DISCUSSED = ((1, 9), (9, 1), (4, 8), (8, 4))
"""Pairs of MNIST that the paper names: more seeds, to tell their asymmetry from chance."""
MORE_SEEDS = 2
POINTS = 50
"""Training points of a class whose distance to the other hull is measured."""

RECIPE: dict[str, Any] = {"norm": 2, "epochs": 6, "batch_size": 256, "share": 1 / 8}
MODELS: dict[str, dict[str, Any]] = {
    "learned": {
        "model": ModelSpec("orthogonal", (128, 128), hidden=(64, 16)).values(),
        "recipe": {**RECIPE, "learning_rate": 6e-3, "asymmetry": 2.5, "balanced": False},
    },
    "pixels": {
        "model": ModelSpec("identity", hidden=(200, 50)).values(),
        "recipe": {**RECIPE, "learning_rate": 2e-3},
    },
}
"""``learned``: the default recipe, shorter and at one temperature. ``pixels``: the paper's network behind
centred pixels, the radius trained, both classes alike."""
QUICK = {
    **MODELS["pixels"],
    "model": ModelSpec("identity", hidden=(20,)).values(),
    "recipe": {**RECIPE, "epochs": 3, "batch_size": 32},
}


def cells(quick: bool, seed: int) -> list[Settings]:
    """Every ordered pair, family by family; then other seeds of the pairs that are discussed."""
    if quick:
        return [
            _cell("mnist-mini", a, b, "pixels", QUICK, seed, 10)
            for a, b in permutations(range(4), 2)
        ]
    every = [
        _cell(family, a, b, kind, chosen, seed, POINTS)
        for kind, chosen in MODELS.items()
        for family in FAMILIES
        for a, b in permutations(range(10), 2)
    ]
    again = [
        _cell("mnist", a, b, kind, chosen, seed + k, 0)
        for k in range(1, MORE_SEEDS + 1)
        for kind, chosen in MODELS.items()
        for a, b in DISCUSSED
    ]
    return [*every, *again]


def _cell(
    family: str, a: int, b: int, kind: str, chosen: dict[str, Any], seed: int, points: int
) -> Settings:
    names = {"family": family, "sensitive": a, "other": b, "kind": kind}
    # Characteristics do not depend on the model: they are measured once for each pair.
    measured = points if kind == "learned" or family == "mnist-mini" else 0
    return {**names, "task": f"{family}-{a}-{b}", **chosen, "seed": seed, "hull_points": measured}


def work(settings: Settings, data_dir: Path | None) -> Row:
    """The model's scores; the characteristics where the cell asks for them."""
    row = trained_row(settings, data_dir)
    points = settings["hull_points"]
    if points:
        train = load(settings["task"], data_dir).train
        row["characteristics"] = characteristics(train, points, settings["seed"])
    return row
