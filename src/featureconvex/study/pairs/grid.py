"""One model for every ordered pair of classes, and the two classes measured."""

from itertools import permutations
from pathlib import Path
from typing import Any

from featureconvex.study.pairs.characteristics import characteristics
from featureconvex.study.small_models.datasets import load
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.small_models.trained import trained_row
from featureconvex.study.study import Row, Settings

DISCUSSED = ((1, 9), (9, 1), (4, 8), (8, 4))
"""Pairs of MNIST that the paper names: more seeds, to tell their asymmetry from chance."""
MORE_SEEDS = 2
POINTS, QUICK_POINTS = 50, 10
"""Training points of a class whose distance to the other hull is measured."""

LEARNED: dict[str, Any] = {
    "model": ModelSpec("orthogonal", (128, 128), hidden=(64, 16)).values(),
    "recipe": {
        **{"norm": 2, "epochs": 6, "batch_size": 256, "share": 1 / 8},
        **{"learning_rate": 6e-3, "asymmetry": 2.5, "balanced": False},
    },
}
"""The default recipe with smaller layers, fewer epochs, and one temperature for all pairs."""
PAPER: dict[str, Any] = {
    "model": ModelSpec("identity", hidden=(200, 50), batch_norm=True, init="paper").values(),
    "recipe": {
        **{"norm": 2, "objective": "cross-entropy", "jacobian_weight": 0.01, "epochs": 10},
        **{"optimiser": "sgd", "learning_rate": 1e-3, "batch_size": 64},
        **{"calibrate_on": "test", "augmentation": {"shift": 1}},
    },
}
"""The paper's, with the 10 epochs that its authors' code gives every pair."""
QUICK = {
    "model": ModelSpec("identity", hidden=(20,)).values(),
    "recipe": {"norm": 2, "epochs": 6, "batch_size": 32, "share": 1 / 8, "learning_rate": 1e-2},
}
KINDS = (("learned", LEARNED, ("mnist", "fashion")), ("paper", PAPER, ("mnist",)))
"""The paper's convolutional network for Fashion-MNIST is out of reach for 90 pairs."""


def cells(quick: bool, seed: int) -> list[Settings]:
    """Every ordered pair, family by family; then other seeds of the pairs that are discussed."""
    if quick:
        return [
            _cell("digits", a, b, "learned", QUICK, seed, QUICK_POINTS)
            for a, b in permutations(range(4), 2)
        ]
    every = [
        _cell(family, a, b, kind, chosen, seed, POINTS if kind == "learned" else 0)
        for kind, chosen, families in KINDS
        for family in families
        for a, b in permutations(range(10), 2)
    ]
    again = [
        _cell("mnist", a, b, kind, chosen, seed + k, 0)
        for k in range(1, MORE_SEEDS + 1)
        for kind, chosen, _ in KINDS
        for a, b in DISCUSSED
    ]
    return [*every, *again]


def _cell(
    family: str, a: int, b: int, kind: str, chosen: dict[str, Any], seed: int, points: int
) -> Settings:
    """``points``: of the sensitive class that are held against the other's hull; 0 measures nothing."""
    names = {"family": family, "sensitive": a, "other": b, "kind": kind}
    return {**names, "task": f"{family}-{a}-{b}", **chosen, "seed": seed, "hull_points": points}


def work(settings: Settings, data_dir: Path | None) -> Row:
    """The model's scores; the characteristics where the cell asks for them."""
    row = trained_row(settings, data_dir)
    points = settings["hull_points"]
    if points:
        train = load(settings["task"], data_dir).train
        row["characteristics"] = characteristics(train, points, settings["seed"])
    return row
