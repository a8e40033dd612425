"""The training of one model for one sensitive class."""

import numpy as np
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.models.model import FeatureConvexModel
from featureconvex.progress import Ticker, silent
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.epochs import History, Run
from featureconvex.training.exchange import SAME, Exchange
from featureconvex.training.losses import (
    cross_entropy,
    jacobian_norm,
    radius_cross_entropy,
    signed_radius,
)
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.validation import outputs


def train(
    model: FeatureConvexModel,
    recipe: Recipe,
    points: Points,
    validation: Points,
    *,
    seed: int = 0,
    cost: Tensor | None = None,
    exchange: Exchange = SAME,
    checkpoint: Checkpoint | None = None,
    watched: bool = True,
    tick: Ticker = silent,
) -> History:
    """Fit ``model`` in place and leave it at the epoch with the lowest validation loss.

    The validation loss is the recipe's own objective at the balanced threshold, so it weighs
    accuracy against radius as training does. With a checkpoint, a killed run goes on after its
    last finished epoch and ends with the same weights. ``cost`` gives the radii's units, as in
    :class:`featureconvex.Lp`; ``exchange`` takes those of the history from the recipe's norm to another.
    Unless it is ``watched`` it is not validated before the epochs that may be kept.

    Returns:
        One record per epoch: loss, accuracies, median radius on the validation points, rate, seconds;
        without those of validation where there was none.

    Raises:
        UserError: training diverged, or the checkpoint is of another run.
    """
    if recipe.objective == "radius" and recipe.temperature is None:
        raise UserError("the radius objective needs a temperature; choose_temperature finds one")
    run = _OneSided(model, recipe, points, validation, seed, cost, exchange, watched)
    return run.to_end(checkpoint, tick)


class _OneSided(Run):
    """The sensitive class against the other one."""

    def __init__(
        self,
        model: FeatureConvexModel,
        recipe: Recipe,
        points: Points,
        validation: Points,
        seed: int,
        cost: Tensor | None,
        exchange: Exchange,
        watched: bool,
    ) -> None:
        weights = [*model.convex_net.parameters(), *model.feature_map.parameters()]
        super().__init__(model, model.feature_map, weights, recipe, points, seed, watched)
        self.detector, self.validation = model, validation
        self.cost, self.exchange, self.temperatures = cost, exchange, recipe.temperatures

    def objective(self, x: Tensor, rows: Tensor) -> tuple[Tensor, int]:
        """Gradients are taken with respect to ``phi(x)``."""
        sign = self.points.y[rows].to(self.dtype) * 2 - 1
        weight = self.points.weight
        weight = None if weight is None else weight[rows].to(self.dtype)
        loss, logits = self._losses(x, sign, weight)
        return loss, int((logits.detach() * sign > 0).sum())

    def _losses(self, x: Tensor, sign: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Loss and logits (n,) of a batch."""
        recipe, phi = self.recipe, self.feature_map
        u = phi(x)
        u = u if phi.learned else u.detach().requires_grad_()
        logits = self.detector.convex_net(u)
        if recipe.objective == "radius":
            radius = signed_radius(phi, u, logits, recipe.norm, self.cost)
            loss = radius_cross_entropy(radius, sign, *self.temperatures, recipe.balanced, weight)
            return loss, logits
        loss = cross_entropy(logits, sign, weight)
        if recipe.jacobian_weight:
            loss = loss + recipe.jacobian_weight * jacobian_norm(logits, u, self.generator)
        return loss, logits

    def judge(self) -> tuple[float, dict[str, float]]:
        """The recipe's own objective at the calibrated threshold."""
        result = outputs(self.detector, self.validation, self.recipe.norm, self.cost)
        tau = result.calibrated(self.recipe.target_fpr).tau
        if self.recipe.objective == "radius":
            own = np.where(result.labels == 1, *self.temperatures)
            weight = own / self.temperatures[0] if self.recipe.balanced else 1.0
            loss = result.loss(tau, result.slopes * own, weight)
        else:
            loss = result.loss(tau, 1.0)
        radius = self.exchange.radius(result.median_radius(tau))
        return loss, {
            "validation_accuracy": result.accuracy(tau),
            "validation_median_radius": radius,
        }
