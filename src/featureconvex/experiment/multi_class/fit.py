"""From labelled points of several classes to a trained model."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from featureconvex.errors import UserError
from featureconvex.experiment.multi_class.settings import ClassSettings
from featureconvex.experiment.prepared import Prepared
from featureconvex.models.model import FeatureConvexModel
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.nn import ConvexMLP
from featureconvex.training.architectures import untrained
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.fit import fingerprint
from featureconvex.training.multi_class import FittedClasses, fit_classes
from featureconvex.training.points import Points

CHECKPOINT = "training.pt"
# Rows per forward pass.
BATCH = 4096


@dataclass(frozen=True)
class FittedRun:
    """What was trained, the model as it is certified, and what that took.

    Attributes:
        fitted: as training left it.
        model: with a fixed front before it, in the precision that certificates are computed in.
        train_accuracy: in [0, 1], on all training points.
        seconds: of training.
    """

    fitted: FittedClasses
    model: MultiClassModel
    train_accuracy: float
    seconds: float


def fit_run(
    prepared: Prepared,
    settings: ClassSettings,
    folder: Path,
    place: torch.device,
    progress: bool,
) -> FittedRun:
    """Train the architecture that one sensitive class would have, with a network for each class.

    Args:
        prepared: data, architecture and recipe.
        settings: the user's.
        folder: of the checkpoint that a killed training goes on from.
        place: where to train.
        progress: show a bar.
    """
    architecture, recipe = prepared.architecture, prepared.recipe
    points = prepared.train
    if architecture.front is not None:
        # What is after a front is no image.
        points, recipe = (
            architecture.after_front(points),
            recipe.replace(augmentation=Augmentation()),
        )
    start = untrained(architecture, points, settings.seed)
    begin = time.perf_counter()
    fitted = fit_classes(
        start.feature_map,
        _widths(start),
        recipe,
        points,
        seed=settings.seed,
        cost=prepared.trained_cost,
        checkpoint=Checkpoint(folder / CHECKPOINT, fingerprint(recipe, settings.seed, points)),
        device=place,
        progress=progress,
    )
    seconds = time.perf_counter() - begin
    model = fitted.model
    if architecture.front is not None:
        model = model.with_map(architecture.whole(model.feature_map))
    if len(prepared.train.row_shape) == 1:
        # As of a classifier: certificates of a table should not depend on how it is batched.
        model = model.double()
    return FittedRun(fitted, model.eval(), _accuracy(model, prepared.train), seconds)


def _widths(model: FeatureConvexModel) -> tuple[int, ...]:
    """Of the network's hidden layers.

    Raises:
        UserError: an architecture whose networks are trained for one sensitive class only.
    """
    net = model.convex_net
    if not isinstance(net, ConvexMLP):
        raise UserError(
            f"several classes are trained with a ConvexMLP each, got {type(net).__name__}"
        )
    return tuple(net.config()["hidden"])


@torch.no_grad()
def _accuracy(model: MultiClassModel, points: Points) -> float:
    right, start = 0, 0
    for batch in points.batches(BATCH):
        predicted = model(batch.to(model.device, model.dtype)).argmax(1).cpu()
        right += int((predicted == points.y[start : start + len(batch)]).sum())
        start += len(batch)
    return right / max(1, len(points))
