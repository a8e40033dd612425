"""Choosing the temperature that trades clean accuracy against radius.

The rule, in two sentences. Pilot runs on one half of the training points, at temperatures that
double from 1/64 of the distance between the classes, measure the balanced error on the other half.
The chosen temperature is the largest whose error is at most ``growth`` times the lowest error plus
``allowance`` (two numbers of the recipe); between pilots the error is interpolated. For a false-positive
rate that the user names it is the temperature of the pilot with the largest mean radius of all sensitive
points at that rate, those missed counting 0: the area under the curve of certified recall.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from featureconvex.data import chosen_rows
from featureconvex.model import FeatureConvexModel
from featureconvex.training.exchange import SAME, Exchange
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.validation import outputs

RATIOS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
# A pilot needs the order of the temperatures, not the last tenth of a per cent.
PILOT_SHARE = 0.4


@dataclass(frozen=True)
class Pilot:
    """A short training run at one temperature, judged on points it was not trained on."""

    temperature: float
    validation_accuracy: float
    validation_median_radius: float
    chosen: bool = False


Trainer = Callable[[Recipe, str, Points, Points], FeatureConvexModel]


def choose_temperature(
    recipe: Recipe,
    train: Trainer,
    points: Points,
    seed: int = 0,
    cost: Tensor | None = None,
    copies: int = 1,
    exchange: Exchange = SAME,
) -> tuple[list[Pilot], float]:
    """Run the pilots, smallest temperature first, until the error leaves its budget; apply the rule.

    Args:
        recipe: of the final run; pilots last ``PILOT_SHARE`` of its epochs.
        train: trains a fresh model by a recipe, under a title, on some points, judged on others.
        points: the points to fit on.
        seed: of the halves.
        cost: per coordinate, as in :class:`featureconvex.Lp`.
        copies: of every point, as in :func:`halves`.
        exchange: into the norm whose radii the pilots are to report.

    Returns:
        The pilots in order of temperature, the one nearest to the choice marked; and the choice, in the
        recipe's own norm.
    """
    first, second = halves(points, seed, copies)
    scale = class_distance(points, recipe.norm, cost)
    short = recipe.replace(epochs=max(3, round(recipe.epochs * PILOT_SHARE)))
    pilots: list[Pilot] = []
    tried: list[float] = []
    areas: list[float] = []
    for number, ratio in enumerate(RATIOS, 1):
        title = f"pilot {number} of at most {len(RATIOS)}"
        tried.append(scale * ratio)
        model = train(short.replace(temperature=tried[-1]), title, first, second)
        result = outputs(model, second, recipe.norm, cost)
        tau = result.calibrated(recipe.target_fpr).tau
        radius = exchange.radius(result.median_radius(tau))
        pilots.append(Pilot(exchange.radius(tried[-1]), result.accuracy(tau), radius))
        if recipe.target_fpr is not None:
            areas.append(result.mean_radius(tau))
            continue
        errors = np.array([1 - pilot.validation_accuracy for pilot in pilots])
        allowed = recipe.growth * errors.min() + recipe.allowance
        # So far beyond that no larger temperature can matter.
        if errors[-1] - errors.min() > 2 * (allowed - errors.min()) + 0.01:
            break
    if areas:
        best = int(np.argmax(areas))
        pilots[best] = replace(pilots[best], chosen=True)
        return pilots, tried[best]
    temperature = largest_within(np.array(tried), errors, allowed)
    nearest = min(range(len(tried)), key=lambda k: abs(math.log(tried[k] / temperature)))
    pilots[nearest] = replace(pilots[nearest], chosen=True)
    return pilots, temperature


def largest_within(
    temperatures: NDArray[np.float64], errors: NDArray[np.float64], allowed: float
) -> float:
    """The largest temperature whose error is at most ``allowed``, interpolated on a logarithmic scale.

    Above its minimum the error grows with the temperature but for noise, so a nondecreasing fit
    pools the noise of small data sets; below, smaller temperatures only fit noise.

    Args:
        temperatures: (k,) ascending.
        errors: (k,) in [0, 1].
        allowed: at least the lowest error.

    >>> float(largest_within(np.array([1.0, 2.0, 4.0]), np.array([0.0, 0.0, 0.02]), 0.01).__round__(3))
    2.828
    """
    best = int(errors.argmin())
    position, rising = np.log(temperatures[best:]), errors[best:]
    fitted = IsotonicRegression(increasing=True).fit_transform(position, rising)
    inside = int(np.flatnonzero(fitted <= allowed + 1e-12)[-1])
    if inside == len(fitted) - 1:
        return float(temperatures[-1])
    share = (allowed - fitted[inside]) / (fitted[inside + 1] - fitted[inside])
    return float(np.exp(position[inside] + share * (position[inside + 1] - position[inside])))


def halves(points: Points, seed: int, copies: int = 1) -> tuple[Points, Points]:
    """Two random halves with the classes in equal shares.

    Args:
        points: where there are ``copies`` of every point (an image and its mirror image, say), first
            all points once, then all points again in the same order.
        seed: of the choice.
        copies: stay together, so that no half is judged on what the other has seen.
    """
    labels = points.y.numpy()[: len(points) // copies]
    order = np.random.default_rng(seed).permutation
    first = chosen_rows(labels, order, lambda size: (size + 1) // 2)
    mask = torch.from_numpy(first).repeat(copies)
    return points.subset(mask), points.subset(~mask)


def class_distance(
    points: Points, p: float, cost: Tensor | None = None, sample: int = 500
) -> float:
    """The median distance, in the norm of interest, from a sensitive point to the nearest other one.

    On at most ``sample`` sensitive and four times as many other points, the first of each: the unit
    in which temperatures mean the same for every data set and norm.
    """

    def first(label: int, most: int) -> Tensor:
        x = points.take((points.y == label).nonzero().squeeze(1)[:most]).flatten(1)
        return x if cost is None else x * cost.to(x.dtype).expand(points.row_shape).flatten()

    sensitive, other = first(1, sample), first(0, 4 * sample)
    nearest = torch.cdist(sensitive, other, p=p).amin(dim=1)
    # Points that coincide across classes say nothing about a scale.
    apart = nearest[nearest > 0]
    return float(apart.median()) if len(apart) else 1.0
