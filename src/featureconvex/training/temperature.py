"""Choosing the temperature that trades clean accuracy against radius, and with it the feature map.

The rule, in three sentences. Pilot runs on one half of the training points, at temperatures from
1/64 to twice the distance between the classes, measure the balanced error on the other half.
The chosen temperature is the one with the largest median radius among those whose error is at most
``growth`` times the lowest error plus ``allowance`` (two numbers of the recipe); between pilots both are
interpolated. Where there are several feature maps to choose from, they share this budget. For a
false-positive rate that the user names it is the temperature of the pilot with the largest mean radius
of all sensitive points at that rate, those missed counting 0: the area under the curve of certified
recall.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from featureconvex.data import chosen_rows
from featureconvex.models.model import FeatureConvexModel
from featureconvex.training.exchange import SAME, Exchange
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.validation import outputs

RATIOS = (1 / 64, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)
# Points that choose a pilot's epoch; all of the second half judge the pilot.
WATCHED = 1000


@dataclass(frozen=True)
class Pilot:
    """A short training run at one temperature, judged on points it was not trained on."""

    temperature: float
    validation_accuracy: float
    validation_median_radius: float
    feature_map: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """What the pilots decide.

    Attributes:
        pilots: in the order they ran, the one nearest to the choice marked.
        feature_map: the name of the candidate.
        temperature: in the recipe's own norm.
    """

    pilots: list[Pilot]
    feature_map: str
    temperature: float


@dataclass(frozen=True)
class _Tried:
    """What one pilot came to, in the recipe's own norm."""

    feature_map: str
    temperature: float
    error: float
    median_radius: float
    mean_radius: float


Trainer = Callable[[Recipe, str, Points, Points], FeatureConvexModel]


def choose_temperature(
    recipe: Recipe,
    candidates: Mapping[str, Trainer],
    points: Points,
    seed: int = 0,
    cost: Tensor | None = None,
    copies: int = 1,
    exchange: Exchange = SAME,
) -> Choice:
    """Run the pilots of every candidate, smallest temperature first, until the error leaves its budget.

    Where the recipe names a temperature, each candidate has one pilot.

    The lowest error, which the budget is about, is that of all candidates; the one with the larger
    median radius at a temperature within the budget is taken.

    Args:
        recipe: of the final run; pilots last ``pilot_share`` of its epochs.
        candidates: by the name of the feature map, what trains a fresh model by a recipe, under a title, on
            some points, judged on others.
        points: the points to fit on.
        seed: of the halves.
        cost: per coordinate, as in :class:`featureconvex.Lp`.
        copies: of every point, as in :func:`halves`.
        exchange: into the norm whose radii the pilots are to report.
    """
    first, second = halves(points, seed, copies)
    watched = second if len(second) <= WATCHED else second.subset(spread(len(second), WATCHED))
    scale = class_distance(points, recipe.norm, cost)
    tried = [scale * ratio for ratio in (*RATIOS, *recipe.further) if ratio not in recipe.untried]
    if recipe.temperature is not None:
        tried = [recipe.temperature]
    settled = recipe.settled if recipe.pilots_settled is None else recipe.pilots_settled
    short = recipe.replace(
        epochs=max(3, round(recipe.epochs * recipe.pilot_share)), settled=settled
    )
    pilots: list[Pilot] = []
    done: list[_Tried] = []
    most = len(tried) * len(candidates)
    for (name, train), temperature in product(candidates.items(), tried):
        if recipe.target_fpr is None and _is_over(recipe, _of(name, done), done):
            continue
        title = f"pilot {len(done) + 1} of at most {most}"
        model = train(short.replace(temperature=temperature), title, first, watched)
        result = outputs(model, second, recipe.norm, cost)
        tau = result.calibrated(recipe.target_fpr).tau
        accuracy, median = result.accuracy(tau), result.median_radius(tau)
        done.append(_Tried(name, temperature, 1 - accuracy, median, result.mean_radius(tau)))
        pilots.append(Pilot(exchange.radius(temperature), accuracy, exchange.radius(median), name))
    name, temperature = _decide(recipe, done)
    nearest = min(
        (k for k, pilot in enumerate(done) if pilot.feature_map == name),
        key=lambda k: abs(math.log(done[k].temperature / temperature)),
    )
    pilots[nearest] = replace(pilots[nearest], chosen=True)
    return Choice(pilots, name, temperature)


def _of(name: str, done: list[_Tried]) -> list[_Tried]:
    return [pilot for pilot in done if pilot.feature_map == name]


def _allowed(recipe: Recipe, done: list[_Tried]) -> tuple[float, float]:
    """The lowest error, and what the budget makes of it."""
    lowest = min(pilot.error for pilot in done)
    return lowest, recipe.growth * lowest + recipe.allowance


def _is_over(recipe: Recipe, own: list[_Tried], done: list[_Tried]) -> bool:
    """Whether no larger temperature should matter: the error is beyond its budget, or the radius falls."""
    if not own:
        return False
    lowest, allowed = _allowed(recipe, done)
    if recipe.patience is None:
        return own[-1].error - lowest > 2 * (allowed - lowest) + 0.01
    falls = len(own) > 1 and own[-1].median_radius < own[-2].median_radius
    return falls or own[-1].error > allowed + recipe.patience


def _decide(recipe: Recipe, done: list[_Tried]) -> tuple[str, float]:
    """The candidate and its temperature."""
    if recipe.target_fpr is not None:
        best = max(done, key=lambda pilot: pilot.mean_radius)
        return best.feature_map, best.temperature
    _, allowed = _allowed(recipe, done)
    found: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(pilot.feature_map for pilot in done):
        own = _of(name, done)
        errors = np.array([pilot.error for pilot in own])
        if errors.min() <= allowed:
            tried = np.array([pilot.temperature for pilot in own])
            radii = np.nan_to_num([pilot.median_radius for pilot in own])
            found[name] = widest_within(tried, errors, radii, allowed)
    name = max(found, key=lambda name: found[name][1])
    return name, found[name][0]


def widest_within(
    temperatures: NDArray[np.float64],
    errors: NDArray[np.float64],
    radii: NDArray[np.float64],
    allowed: float,
) -> tuple[float, float]:
    """Of temperatures whose error is at most ``allowed`` the one with the largest radius, and the radius.

    The radius grows with the temperature until training gives up on too many points. Of equal radii the
    larger temperature.

    Args:
        temperatures: (k,) ascending.
        errors: (k,) in [0, 1].
        radii: (k,), median radii; between temperatures interpolated on a logarithmic scale.
        allowed: at least the lowest error.

    >>> widest_within(*np.array([[1.0, 2.0, 4.0], [0.1, 0.1, 0.1], [1.0, 3.0, 2.0]]), 0.1)
    (2.0, 3.0)
    """
    most = largest_within(temperatures, errors, allowed)
    tried = temperatures[(errors <= allowed) & (temperatures < most)]
    inside = np.append(tried, most)
    found = np.interp(np.log(inside), np.log(temperatures), radii)
    best = len(found) - 1 - int(found[::-1].argmax())
    return float(inside[best]), float(found[best])


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


def spread(size: int, count: int) -> Tensor:
    """(size,) bool: ``count`` of the places, evenly spread.

    >>> spread(6, 3).tolist()
    [True, False, True, False, True, False]
    """
    mask = torch.zeros(size, dtype=torch.bool)
    mask[torch.arange(count) * size // count] = True
    return mask


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
