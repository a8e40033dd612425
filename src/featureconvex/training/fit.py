"""From labelled points to a calibrated model: split, choose a temperature, train, set the threshold."""

import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featureconvex.ambient import undisturbed
from featureconvex.data import hold_out
from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.models.model import FeatureConvexModel
from featureconvex.progress import progress_bar
from featureconvex.training.architectures import Architecture, mapped
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.calibration import Calibration
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.epochs import History
from featureconvex.training.exchange import Exchange
from featureconvex.training.loop import train
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.temperature import Pilot, choose_temperature, class_distance
from featureconvex.training.validation import outputs

# Below this many points of a class, holding some out would cost more than it tells.
SMALLEST_CLASS_TO_SPLIT = 20
# Inputs looked at together where all are.
BATCH = 4096


@dataclass(frozen=True)
class Fitted:
    """A trained model and how it came about.

    Attributes:
        model: in eval mode, with its threshold set.
        recipe: as used, its temperature filled in.
        history: one record per epoch.
        pilots: what temperature and feature map were chosen from; empty where both were given.
        feature_map: the name of the one that was trained.
        calibration: the threshold and its rule.
        calibrated_on: ``"validation"``, ``"test"`` or ``"training"`` (too few points to split, or weights).
        n_train: points used for fitting.
        train_accuracy: in [0, 1], on those points, at the final threshold.
        seconds: of training, temperature included.
    """

    model: FeatureConvexModel
    recipe: Recipe
    history: History
    pilots: list[Pilot]
    feature_map: str
    calibration: Calibration
    calibrated_on: str
    n_train: int
    train_accuracy: float
    seconds: float


@undisturbed()
@torch.enable_grad()
def fit(
    architecture: Architecture,
    recipe: Recipe,
    points: Points,
    *,
    seed: int = 0,
    cost: Tensor | None = None,
    test: Points | None = None,
    target_fpr: float | None = None,
    folder: Path | None = None,
    progress: bool = False,
) -> Fitted:
    """Train a model from scratch and calibrate it.

    Args:
        architecture: what to train; a fixed front is computed once for all points.
        recipe: how to train.
        points: labelled points; ``recipe.validation_fraction`` of each class is held out.
        seed: of initial weights, split, order and augmentation.
        cost: per coordinate, as in :class:`featureconvex.Lp`: the units radii are trained in.
        test: where a recipe that calibrates on the test points finds them.
        target_fpr: calibrate at this false-positive rate instead of balancing the classes.
        folder: keep checkpoints here, and continue from them.
        progress: show bars on standard error.

    Raises:
        UserError: one class is missing, the input has NaN or infinity, or training diverged.
    """
    recipe = recipe.replace(target_fpr=target_fpr)
    _check(points)
    started = time.perf_counter()
    fitting, held_out, where = split_points(points, recipe.validation_fraction, seed)
    n_train = len(fitting)
    if architecture.front is not None:
        fitting, held_out = _through(architecture.front, recipe, fitting, held_out, progress)
    trained = recipe.norm if architecture.norm is None else architecture.norm
    exchange = Exchange.between(recipe.norm, trained, math.prod(points.row_shape))
    job = _Job(architecture, seed, cost, exchange, folder, progress)
    pilots, name, inner = job.decided(exchange.recipe(recipe), fitting)
    model, history = job.train(name, inner, "training", fitting, held_out)
    if recipe.temperature is None and inner.temperature is not None:
        recipe = recipe.replace(temperature=exchange.radius(inner.temperature))
    seconds = time.perf_counter() - started
    if recipe.calibrate_on == "test":
        if test is None:
            raise UserError(
                f"recipe {recipe.name!r} calibrates on the test points; none were given"
            )
        held_out, where = architecture.after_front(test), "test"
    if points.weight is not None and target_fpr is None:
        # Where some points count far more, a few held-out ones say little about the least error.
        held_out, where = points, "training"
    result = outputs(model, held_out, recipe.norm)
    calibration = result.calibrated(target_fpr)
    model.tau.fill_(calibration.tau)
    fitted = outputs(model, fitting, recipe.norm)
    return Fitted(
        model=architecture.join(model).eval(),
        recipe=recipe,
        history=history,
        pilots=pilots,
        feature_map=name,
        calibration=calibration,
        calibrated_on=where,
        n_train=n_train,
        train_accuracy=fitted.accuracy(calibration.tau),
        seconds=seconds,
    )


def _through(
    front: FeatureMap, recipe: Recipe, fitting: Points, held_out: Points, progress: bool
) -> tuple[Points, Points]:
    """Both sets after the front; a recipe that flips images gets every mirror image as a point.

    Raises:
        UserError: another augmentation, which would need the front anew in every epoch.
    """
    if recipe.augmentation.shift or recipe.augmentation.warp:
        raise UserError("after a fixed front images can be mirrored, not shifted or warped")
    x, y = fitting.x, fitting.y
    if fitting.weight is not None:
        raise UserError("points after a fixed front have no weights")
    if recipe.augmentation.flip:
        x, y = torch.cat((x, x.flip(-1))), torch.cat((y, y))
    with progress_bar("features", len(x) + len(held_out), progress) as tick:
        return Points(mapped(front, x, tick), y), Points(
            mapped(front, held_out.x, tick), held_out.y
        )


@dataclass(frozen=True)
class _Job:
    """What stays the same from one training run to the next."""

    architecture: Architecture
    seed: int
    cost: Tensor | None
    exchange: Exchange
    folder: Path | None
    progress: bool

    def decided(self, recipe: Recipe, points: Points) -> tuple[list[Pilot], str, Recipe]:
        """The pilots, the feature map they decide for, and the recipe with its temperature filled in."""
        names = list(self.architecture.builds)
        if recipe.share is not None and recipe.temperature is None and recipe.target_fpr is None:
            scale = class_distance(points, recipe.norm, self.cost)
            recipe = recipe.replace(temperature=recipe.share * scale)
        fixed = recipe.objective != "radius" or recipe.temperature is not None
        if fixed and len(names) == 1:
            return [], names[0], recipe
        mirrored = self.architecture.front is not None and recipe.augmentation.flip
        choice = choose_temperature(
            recipe,
            {name: partial(self.pilot, name) for name in names},
            points,
            self.seed,
            self.cost,
            copies=2 if mirrored else 1,
            exchange=self.exchange,
        )
        return choice.pilots, choice.feature_map, recipe.replace(temperature=choice.temperature)

    def pilot(
        self, name: str, recipe: Recipe, title: str, points: Points, judge: Points
    ) -> FeatureConvexModel:
        return self.train(name, recipe, title, points, judge, watched=False)[0]

    def train(
        self,
        name: str,
        recipe: Recipe,
        title: str,
        points: Points,
        judge: Points,
        watched: bool = True,
    ) -> tuple[FeatureConvexModel, History]:
        if self.architecture.front is not None:
            # What is after a front is no image: its mirror image would be nonsense.
            recipe = recipe.replace(augmentation=Augmentation())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self.architecture.builds[name](points)
        path = None if self.folder is None else self.folder / f"{title.replace(' ', '-')}.pt"
        checkpoint = Checkpoint(path, self._fingerprint(recipe, points))
        steps = max(1, len(points) // min(recipe.batch_size, len(points)))
        with progress_bar(title, steps * recipe.epochs, self.progress) as tick:
            history = train(
                model,
                recipe,
                points,
                judge,
                seed=self.seed,
                cost=self.cost,
                exchange=self.exchange,
                checkpoint=checkpoint,
                watched=watched,
                tick=tick,
            )
        return model, history

    def _fingerprint(self, recipe: Recipe, points: Points) -> dict[str, Any]:
        if self.folder is None:
            return {}
        asked = {} if self.exchange.factor == 1 else {"radii_in": self.exchange.asked}
        return fingerprint(recipe, self.seed, points) | asked


def fingerprint(recipe: Recipe, seed: int, points: Points) -> dict[str, Any]:
    """What decides a training run, as plain values: whether a checkpoint is one of it."""
    return {
        "recipe": recipe.values(),
        "seed": seed,
        "points": len(points),
        "shape": list(points.row_shape),
        "sum": sum(float(batch.double().sum()) for batch in points.batches(BATCH)),
    }


def _check(points: Points) -> None:
    if not all(bool(torch.isfinite(batch).all()) for batch in points.batches(BATCH)):
        raise UserError("the training inputs have a NaN or an infinity; remove or impute them")
    present = set(points.y.tolist())
    if present != {0, 1}:
        raise UserError(
            f"training needs points of both classes, 0 and 1; got labels {sorted(present)}"
        )


def split_points(points: Points, fraction: float, seed: int) -> tuple[Points, Points, str]:
    """Hold out ``fraction`` of each class, at least one point; all of a small data set serves twice.

    Raises:
        UserError: no point of some class would be left to train on.
    """
    labels = points.y.numpy()
    if np.bincount(labels).min() < SMALLEST_CLASS_TO_SPLIT:
        return points, points, "training"
    counts = np.bincount(labels, minlength=2)
    if any(round(fraction * count) >= count for count in counts):
        raise UserError(
            f"validation_fraction={fraction:g} of {' and '.join(map(str, counts))} points leaves none of "
            "one class to train on; use less, such as 0.1"
        )
    mask = torch.from_numpy(hold_out(labels, fraction, seed))
    return points.subset(~mask), points.subset(mask), "validation"


def calibration_record(fitted: Fitted) -> dict[str, Any]:
    """The calibration as plain values, for a run's record."""
    return {**asdict(fitted.calibration), "on": fitted.calibrated_on}
