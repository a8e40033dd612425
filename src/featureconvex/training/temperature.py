"""Choosing the temperature that trades clean accuracy against radius.

The rule, in two sentences: short pilot runs at a geometric grid of temperatures, scaled to the
distance between the classes in the norm of interest, measure the balanced error on the held-out
points. The chosen temperature is the largest whose error stays within
``e0 (1 + BUDGET (1 - 2 e0))``, ``e0`` the lowest error of the grid: a share of the error, smaller the
closer the classifier already is to guessing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from featureconvex.model import FeatureConvexModel
from featureconvex.training.loop import History
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.validation import outputs

BUDGET = 0.45
RATIOS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
# A pilot needs the order of the temperatures, not the last tenth of a per cent.
PILOT_SHARE = 0.2


@dataclass(frozen=True)
class Pilot:
    """A short training run at one temperature, judged on the validation points."""

    temperature: float
    validation_accuracy: float
    validation_median_radius: float
    chosen: bool = False


Trainer = Callable[[Recipe, str], tuple[FeatureConvexModel, History]]


def choose_temperature(
    recipe: Recipe, train: Trainer, fitting: Points, held_out: Points, cost: Tensor | None = None
) -> tuple[list[Pilot], float]:
    """Run the pilots and apply the rule.

    Args:
        recipe: of the final run; pilots last a quarter of its epochs.
        train: trains a fresh model by a recipe, under a title.
        fitting, held_out: the points to fit on, and to judge on.
        cost: per coordinate, as in :class:`featureconvex.Lp`.

    Returns:
        The pilots in order of temperature, and the temperature of the final run.
    """
    scale = class_distance(fitting, recipe.norm, cost)
    short = recipe.but(epochs=max(3, round(recipe.epochs * PILOT_SHARE)))
    temperatures = [scale * ratio for ratio in RATIOS]
    accuracies, radii = [], []
    for number, temperature in enumerate(temperatures, 1):
        title = f"pilot {number} of {len(temperatures)}"
        model, _ = train(short.but(temperature=temperature), title)
        result = outputs(model, held_out.x, held_out.y, recipe.norm, cost)
        tau = result.calibrated().tau
        accuracies.append(result.accuracy(tau))
        radii.append(result.median_radius(tau))
    best = largest_within_budget(np.array(accuracies))
    pilots = [
        Pilot(t, accuracy, radius, chosen=k == best)
        for k, (t, accuracy, radius) in enumerate(zip(temperatures, accuracies, radii, strict=True))
    ]
    return pilots, temperatures[best]


def largest_within_budget(accuracies: NDArray[np.float64]) -> int:
    """The index of the largest temperature whose error fits the budget.

    The error grows with the temperature but for noise, so a nondecreasing fit pools the noise of
    small validation sets before the budget is applied.

    >>> largest_within_budget(np.array([0.99, 0.992, 0.985, 0.97]))
    1
    """
    order = np.arange(len(accuracies))
    error = IsotonicRegression(increasing=True).fit_transform(order, 1 - accuracies)
    allowed = error[0] * (1 + BUDGET * max(0.0, 1 - 2 * error[0]))
    return int(np.flatnonzero(error <= allowed + 1e-12)[-1])


def class_distance(
    points: Points, p: float, cost: Tensor | None = None, sample: int = 500
) -> float:
    """The median distance, in the norm of interest, from a sensitive point to the nearest other one.

    On at most ``sample`` sensitive and four times as many other points, the first of each: the unit
    in which temperatures mean the same for every data set and norm.
    """
    x = points.x.double().flatten(1)
    if cost is not None:
        x = x * cost.double().expand(points.x.shape[1:]).flatten()
    sensitive = x[points.y == 1][:sample]
    other = x[points.y == 0][: 4 * sample]
    nearest = torch.cdist(sensitive, other, p=p).amin(dim=1)
    # Points that coincide across classes say nothing about a scale.
    apart = nearest[nearest > 0]
    return float(apart.median()) if len(apart) else 1.0
