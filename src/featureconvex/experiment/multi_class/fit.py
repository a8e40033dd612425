"""From labelled points of several classes to a trained model."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from featureconvex.experiment.multi_class.settings import ClassSettings
from featureconvex.experiment.prepared import Prepared
from featureconvex.models.multi_class import MultiClassModel
from featureconvex.training.multi_class import FittedClasses, fit_architecture
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
    begin = time.perf_counter()
    fitted = fit_architecture(
        prepared.architecture,
        prepared.recipe,
        prepared.train,
        seed=settings.seed,
        cost=prepared.trained_cost,
        path=folder / CHECKPOINT,
        device=place,
        progress=progress,
    )
    seconds = time.perf_counter() - begin
    model = fitted.model
    if len(prepared.train.row_shape) == 1:
        # As of a classifier: certificates of a table should not depend on how it is batched.
        model = model.double()
    return FittedRun(fitted, model.eval(), _accuracy(model, prepared.train), seconds)


@torch.no_grad()
def _accuracy(model: MultiClassModel, points: Points) -> float:
    right, start = 0, 0
    for batch in points.batches(BATCH):
        predicted = model(batch.to(model.device, model.dtype)).argmax(1).cpu()
        right += int((predicted == points.y[start : start + len(batch)]).sum())
        start += len(batch)
    return right / max(1, len(points))
