"""One small model trained by plain settings, and what it can do on the test points."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from featureconvex.certificates import Lp, certify
from featureconvex.data import Dataset, chosen_rows, to_tensor
from featureconvex.models.model import FeatureConvexModel
from featureconvex.norms import NORMS, norm_name, parse_norm
from featureconvex.results.statistics.intervals import median, share
from featureconvex.study.small_models.datasets import load
from featureconvex.study.small_models.spec import ModelSpec
from featureconvex.study.study import Row, Settings
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.fit import Fitted, fit
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def trained_row(settings: Settings, data_dir: Path | None) -> Row:
    """Train and measure: ``settings`` has ``task``, ``model``, ``recipe``, ``seed``, perhaps ``points``."""
    dataset = load(settings["task"], data_dir)
    fitted = trained(dataset, settings)
    return {"n_train": fitted.n_train, **measured(fitted, dataset)}


def trained(dataset: Dataset, settings: Settings) -> Fitted:
    """The model of a cell's settings.

    ``points``: of each class at most so many training points; ``recipe``: values of
    :class:`featureconvex.training.recipes.Recipe`; ``model``: of :class:`ModelSpec`.
    """
    recipe = recipe_of(settings["recipe"])
    points = some(as_points(dataset.train), settings.get("points"), settings["seed"])
    architecture = ModelSpec.of(settings["model"]).architecture(points.row_shape, recipe.norm)
    test = as_points(dataset.test) if recipe.calibrate_on == "test" else None
    return fit(architecture, recipe, points, seed=settings["seed"], test=test)


def recipe_of(values: dict[str, Any]) -> Recipe:
    """A recipe from plain values; an infinite norm is ``"inf"``, an augmentation its own values."""
    changes = dict(values)
    changes["norm"] = parse_norm(str(changes.get("norm", 2)))
    changes["augmentation"] = Augmentation(**changes.get("augmentation", {}))
    return Recipe(**{"name": "study", **changes})


def as_points(half: Any) -> Points:
    """A split as training takes it."""
    return Points(to_tensor(half.x), torch.from_numpy(half.y).long())


def some(points: Points, most: int | None, seed: int) -> Points:
    """At most ``most`` points of each class."""
    if most is None:
        return points
    order = np.random.default_rng(seed).permutation
    chosen = chosen_rows(points.y.numpy(), order, lambda size: min(size, most))
    return points.subset(torch.from_numpy(chosen))


def measured(fitted: Fitted, dataset: Dataset) -> Row:
    """Accuracies and closed-form radii on the test points, each with its exact 95 % interval."""
    test = as_points(dataset.test)
    return {"train_accuracy": fitted.train_accuracy, **scores(fitted.model, test)}


def scores(model: FeatureConvexModel, test: Points) -> Row:
    """The same of any model."""
    found = certify(model, test.x, [Lp(p) for p in NORMS])
    sensitive, flagged = test.y.numpy() == 1, found[0].margin > 0
    hit = sensitive & flagged
    right = int((sensitive == flagged).sum())
    radius = {}
    for certificate in found:
        own = certificate.radius[hit]
        quantiles = np.quantile(own, QUANTILES, method="lower") if len(own) else []
        radius[certificate.threat.name] = {**median(own).table(), "quantiles": list(quantiles)}
    return {
        "n_test": len(test),
        "clean_accuracy": share(right, len(test)).table(),
        "accuracy_by_class": {
            "sensitive": float(flagged[sensitive].mean()),
            "other": float((~flagged[~sensitive]).mean()),
        },
        "median_radius": radius,
        "mean_radius": {
            norm_name(p): float(found[k].radius[sensitive].mean()) for k, p in enumerate(NORMS)
        },
    }
