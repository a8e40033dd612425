"""The cells: a model of all classes, or a detector of a set of them, at several temperatures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.certificates import Lp, certify, certify_classes
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.results.statistics.intervals import median, share
from featureconvex.study.multi_class.ten_classes import first_of_each, ten_classes
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.study import Row, Settings
from featureconvex.training.fit import fit
from featureconvex.training.multi_class import fit_classes
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe

TRAIN, TEST, SEEDS = 1200, 200, 3
"""Points of each class."""
WIDTHS = (256, 256)
HEADS: dict[str, tuple[int, ...]] = {"convex": (64, 16), "affine": ()}
"""Affine scores after orthogonal layers are a 1-Lipschitz network of ten classes."""
TEMPERATURES = (0.25, 0.5, 1.0)
ONE_SIDED = (1.0, 2.0)
ASYMMETRY = 2.5
SETS = {
    "mnist": {"3": [3], "8": [8], "even digits": [0, 2, 4, 6, 8]},
    "fashion": {"T-shirt/top": [0], "sneaker": [7], "upper garments": [0, 2, 4, 6]},
    "digits": {"3": [3], "even digits": [0, 2, 4, 6, 8]},
}
TIGHT = 20
"""Test points of each class at level ``tight``."""
RADII = 41


def cells(quick: bool, seed: int) -> list[Settings]:
    """Models of all classes first, seed by seed."""
    families = ("digits",) if quick else ("mnist", "fashion")
    recipe = {
        **{"epochs": 6 if quick else 10, "batch_size": 64 if quick else 256, "learning_rate": 6e-3},
        "norm": 2,
    }
    found = []
    for number in range(1 if quick else SEEDS):
        for family in families:
            base = {"data": family, "seed": seed + number, "recipe": recipe}
            base |= {"widths": [64] if quick else list(WIDTHS)}
            counts = (60, 20, 2) if quick else (TRAIN, TEST, TIGHT)
            base |= dict(zip(("train", "test", "tight"), counts, strict=True))
            for heads in HEADS:
                found += [
                    {**base, "model": heads, "temperature": t}
                    for t in (TEMPERATURES[:1] if quick else TEMPERATURES)
                ]
            for name in SETS[family]:
                found += [
                    {**base, "model": "detector", "set": name, "temperature": t}
                    for t in (ONE_SIDED[:1] if quick else ONE_SIDED)
                ]
    return found


def work(settings: Settings, data_dir: Path | None) -> Row:
    """Train one model and certify the test points in l2."""
    train, test = ten_classes(settings["data"], data_dir)
    train, test = (
        first_of_each(points, settings[name]) for points, name in ((train, "train"), (test, "test"))
    )
    recipe = Recipe(
        "study", temperature=settings["temperature"], asymmetry=ASYMMETRY, **settings["recipe"]
    )
    spec = ModelSpec("orthogonal", tuple(settings["widths"]), hidden=HEADS["convex"])
    architecture = spec.architecture(train.row_shape, 2.0)
    found: Row = {"n_train": len(train), "n_test": len(test)}
    if settings["model"] == "detector":
        wanted = SETS[settings["data"]][settings["set"]]
        points, labels = (_in_set(half, wanted) for half in (train, test))
        detector = fit(architecture, recipe, points, seed=settings["seed"]).model
        certificate = certify(detector, test.x, Lp(2))
        sensitive, flagged = labels.y.numpy() == 1, certificate.margin > 0
        return found | {"sets": {settings["set"]: _of_set(sensitive, flagged, certificate.radius)}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings["seed"])
        (build,) = architecture.builds.values()
        phi = build(train).feature_map
    hidden = HEADS[settings["model"]]
    model = fit_classes(phi, hidden, recipe, train, seed=settings["seed"]).model
    few = first_of_each(test, settings["tight"])
    return found | _measured(model, test, few, SETS[settings["data"]])


def _in_set(points: Points, wanted: list[int]) -> Points:
    return Points(points.x, torch.isin(points.y, torch.tensor(wanted)).long())


def _measured(model: MultiClassModel, test: Points, few: Points, sets: dict[str, list[int]]) -> Row:
    certificate = certify_classes(model, test.x, Lp(2))
    y = test.y.numpy()
    right = certificate.predicted == y
    radius = np.where(right, certificate.radius, 0.0)
    tight, plain = (
        certify_classes(model, few.x, Lp(2), level=level) for level in ("tight", "closed-form")
    )
    hit = plain.predicted == few.y.numpy()
    kinds = {
        name: _of_set(np.isin(y, wanted), np.isin(certificate.predicted, wanted), within)
        for name, wanted in sets.items()
        for within in [certificate.within(wanted)]
    }
    return {
        "accuracy": share(int(right.sum()), len(y)).table(),
        "median_radius": median(certificate.radius[right]).table(),
        "mean_radius": float(radius.mean()),
        "tight_gain": float(tight.radius[hit].mean() / plain.radius[hit].mean() - 1),
        "certified": certified(radius),
        "sets": kinds,
    }


def certified(radius: NDArray[np.float64]) -> list[float]:
    """The share of points that are right and certified for every radius of a grid up to 4."""
    return [float((radius > r).mean()) for r in np.linspace(0.0, 4.0, RADII)]


def _of_set(
    sensitive: NDArray[np.bool_], flagged: NDArray[np.bool_], radius: NDArray[np.float64]
) -> dict[str, float]:
    """Recall, false-positive rate, and the radius of the set's points, 0 where one is missed."""
    kept = np.where(flagged, radius, 0.0)[sensitive]
    return {
        "recall": float(flagged[sensitive].mean()),
        "false_positive_rate": float(flagged[~sensitive].mean()),
        "mean_radius": float(kept.mean()),
        "median_radius": float(np.median(kept)),
    }


def grouped(rows: Sequence[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """The rows by some of their settings, in order."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row["settings"].get(name) for name in names), []).append(row)
    return found
