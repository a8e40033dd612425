"""The ordinary recipe, the same without a learned map, and the usual methods, on every data set."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from featureconvex.certificates import Lp, certify
from featureconvex.data import Dataset, Split, chosen_rows, hold_out
from featureconvex.experiment.prepared import prepare
from featureconvex.results.statistics.intervals import median
from featureconvex.study.generalisation.signs import signs
from featureconvex.study.generalisation.tables import TABLES, public_table
from featureconvex.study.generalisation.toys import TOYS, toy
from featureconvex.study.small_models.datasets import load
from featureconvex.study.study import Row, Settings
from featureconvex.training.calibration import balanced
from featureconvex.training.fit import fit
from featureconvex.training.recipes import RECIPES

TOY_POINTS = 1500
MOST, MOST_IMAGES = 3000, 1500
"""Training points of each class, so that large tables take minutes."""
SMALL = (
    "breast-cancer",
    *(name for name in TABLES if name not in ("letter", "shuttle", "satellite")),
)
LARGE = ("mnist-mini-3-8", "digits-3-8", "spambase", "letter", "shuttle", "satellite")
IMAGES = ("mnist-3-8", "fashion-shirts")
SEEDS = 2
QUICK = ("digits-3-8", "breast-cancer", "ring", "core")
QUICK_EPOCHS = 3


def cells(quick: bool, seed: int) -> list[Settings]:
    """One cell for each data set and seed; one seed where a run takes minutes."""
    if quick:
        return [
            {"data": name, "seed": seed, "points": 150, "epochs": QUICK_EPOCHS} for name in QUICK
        ]
    several = [(name, seed + k) for k in range(SEEDS) for name in (*TOYS, *SMALL)]
    once = [(name, seed) for name in (*LARGE, *IMAGES)]
    return [
        {
            **{"data": name, "seed": own, "epochs": None},
            "points": MOST_IMAGES if name in IMAGES else MOST,
        }
        for name, own in [*several, *once]
    ]


def work(settings: Settings, data_dir: Path | None) -> Row:
    """Scores of every method, and the cheap numbers."""
    name, seed = settings["data"], settings["seed"]
    dataset = some(found(name, seed, data_dir), settings["points"], seed)
    train = dataset.train
    row: Row = {
        "kind": "toy" if name in TOYS else dataset.kind,
        "n_train": len(train),
        "n_test": len(dataset.test),
        "dimension": int(np.prod(train.x.shape[1:])),
        "signs": signs(train.x, train.y, seed),
        "methods": {
            method: ours(dataset, method, seed, settings["epochs"])
            for method in ("default", "fixed")
        },
    }
    for method in ("boosted trees", "logistic regression"):
        row["methods"][method] = usual(dataset, method, seed)
    return row


def found(name: str, seed: int, data_dir: Path | None) -> Dataset:
    """The data set of a name."""
    if name in TOYS:
        return toy(name, TOY_POINTS, seed)
    return public_table(name, data_dir) if name in TABLES else load(name, data_dir)


def some(dataset: Dataset, most: int, seed: int) -> Dataset:
    """The data set with at most ``most`` training points of each class."""
    train = dataset.train
    order = np.random.default_rng(seed).permutation
    chosen = chosen_rows(train.y, order, lambda size: min(size, most))
    return Dataset(
        name=dataset.name,
        train=Split(train.x[chosen], train.y[chosen]),
        test=dataset.test,
        kind=dataset.kind,
        sensitive_name=dataset.sensitive_name,
        other_name=dataset.other_name,
        source=dataset.source,
        feature_names=dataset.feature_names,
    )


def ours(dataset: Dataset, recipe_name: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """A recipe trained for l2: ``default`` learns a nonexpansive map, ``fixed`` is convex in the input."""
    recipe = RECIPES[recipe_name](dataset.name, dataset.train.x.shape, 2.0)
    if epochs is not None:
        recipe = recipe.replace(epochs=epochs, share=recipe.share or 1 / 8)
    prepared = prepare(dataset, recipe, torch.device("cpu"))
    fitted = fit(prepared.architecture, recipe, prepared.train, seed=seed, cost=prepared.cost)
    certificate = certify(fitted.model, prepared.test.x, Lp(2, prepared.cost))
    right = certificate.margin > 0
    hit = right & (dataset.test.y == 1)
    return {
        **class_accuracy(right, dataset.test.y),
        "train_accuracy": fitted.train_accuracy,
        "median_radius": median(certificate.radius[hit]).table(),
    }


def usual(dataset: Dataset, method: str, seed: int) -> dict[str, Any]:
    """An ordinary classifier, its threshold balanced on the same held-out training points as ours."""
    train, test = dataset.train, dataset.test
    if method == "boosted trees":
        model: Any = HistGradientBoostingClassifier(random_state=seed)
    else:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    held_out = hold_out(train.y, 0.1, seed)
    x = train.x.reshape(len(train), -1).astype(float)
    model.fit(x[~held_out], train.y[~held_out])

    def score(inputs: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(model.decision_function(inputs.reshape(len(inputs), -1).astype(float)))

    tau = balanced(score(x[held_out]), train.y[held_out]).tau
    return class_accuracy(score(test.x) + tau > 0, test.y)


def class_accuracy(flagged: NDArray[np.bool_], y: NDArray[np.int8]) -> dict[str, Any]:
    """The mean of both classes' accuracies, and how many points of each are right."""
    right = [int((flagged == bool(label))[y == label].sum()) for label in (0, 1)]
    size = [int((y == label).sum()) for label in (0, 1)]
    share = [a / b for a, b in zip(right, size, strict=True)]
    return {"accuracy": sum(share) / 2, "right": right, "of": size}
