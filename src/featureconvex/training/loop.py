"""The training loop: one recipe, one model, one seed."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler, OneCycleLR

from featureconvex.errors import UserError
from featureconvex.model import FeatureConvexModel
from featureconvex.nn import project_
from featureconvex.progress import Ticker, silent
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.exchange import SAME, Exchange
from featureconvex.training.losses import (
    cross_entropy,
    jacobian_norm,
    radius_cross_entropy,
    signed_radius,
)
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe
from featureconvex.training.validation import inputs, outputs

History = list[dict[str, float]]
# Training points that a feature map may adapt to before every validation.
SETTLED_ON = 1000


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
    checkpoint = checkpoint or Checkpoint(None, {})
    generator = torch.Generator().manual_seed(seed)
    run = _Run(model, recipe, points, validation, generator, cost, exchange, watched)
    saved = checkpoint.load()
    if saved is not None:
        run.load_state(saved)
        tick(run.steps_per_epoch * len(run.history), "resumed")
    while len(run.history) < recipe.epochs:
        run.epoch(tick)
        checkpoint.save(run.state())
    model.load_state_dict(run.best)
    return run.history


class _Run:
    """The state of one training run between epochs."""

    def __init__(
        self,
        model: FeatureConvexModel,
        recipe: Recipe,
        points: Points,
        validation: Points,
        generator: torch.Generator,
        cost: Tensor | None,
        exchange: Exchange,
        watched: bool,
    ) -> None:
        self.watched = watched
        self.model, self.recipe, self.generator, self.cost = model, recipe, generator, cost
        self.exchange = exchange
        self.points = points.to(model.device)
        self.validation = validation
        self.temperatures = recipe.temperatures
        self.batch_size = min(recipe.batch_size, len(points))
        # Like the paper's loader, drop the incomplete batch: batch norm and one-row batches.
        self.steps_per_epoch = len(points) // self.batch_size
        self.optimiser, self.scheduler, self.per_step = _optimiser(
            model, recipe, self.steps_per_epoch
        )
        self.history: History = []
        self.best_loss = float("inf")
        self.best: dict[str, Tensor] = {}

    def epoch(self, tick: Ticker) -> None:
        """One pass over the points, then validation."""
        started, losses, hits = time.perf_counter(), 0.0, 0
        self.model.train()
        order = torch.randperm(len(self.points), generator=self.generator)
        for step in range(self.steps_per_epoch):
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            self.model.feature_map.anneal(
                (len(self.history) + step / self.steps_per_epoch) / self.recipe.epochs
            )
            loss, correct = self._step(rows.to(self.points.y.device))
            losses, hits = losses + loss, hits + correct
            words = f"loss {losses / (step + 1):.3f}  accuracy {hits / ((step + 1) * self.batch_size):.3f}"
            tick(1, f"{words}  {self._radius_words()}")
        if not self.per_step:
            self.scheduler.step()
        seen = self.steps_per_epoch * self.batch_size
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "loss": losses / self.steps_per_epoch,
                "train_accuracy": hits / seen,
                **(self._validate() if self.watched or self._may_be_kept() else {}),
                "learning_rate": self.optimiser.param_groups[0]["lr"],
                "seconds": time.perf_counter() - started,
            }
        )

    def _step(self, rows: Tensor) -> tuple[float, int]:
        x = self.recipe.augmentation(self.points.take(rows), self.generator)
        sign = self.points.y[rows].to(self.model.dtype) * 2 - 1
        weight = self.points.weight
        weight = None if weight is None else weight[rows].to(self.model.dtype)
        with parametrize.cached():
            loss, logits = self._objective(inputs(x, self.model), sign, weight)
        if not torch.isfinite(loss):
            raise UserError(
                f"training diverged in epoch {len(self.history) + 1} (loss {loss.item()}); "
                "lower the learning rate, or scale the features"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        project_(self.model)
        if self.per_step:
            self.scheduler.step()
        return loss.item(), int((logits.detach() * sign > 0).sum())

    def _objective(self, x: Tensor, sign: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
        """Loss and logits (n,) of a batch; gradients are taken with respect to ``phi(x)``."""
        recipe, phi = self.recipe, self.model.feature_map
        u = phi(x)
        u = u if phi.learned else u.detach().requires_grad_()
        logits = self.model.convex_net(u)
        if recipe.objective == "radius":
            radius = signed_radius(phi, u, logits, recipe.norm, self.cost)
            loss = radius_cross_entropy(radius, sign, *self.temperatures, recipe.balanced, weight)
            return loss, logits
        loss = cross_entropy(logits, sign, weight)
        if recipe.jacobian_weight:
            loss = loss + recipe.jacobian_weight * jacobian_norm(logits, u, self.generator)
        return loss, logits

    def _validate(self) -> dict[str, float]:
        held_out, norm = self.validation, self.recipe.norm
        if self.model.feature_map.learned:
            self._settle()
        result = outputs(self.model, held_out, norm, self.cost)
        tau = result.calibrated(self.recipe.target_fpr).tau
        if self.recipe.objective == "radius":
            own = np.where(result.labels == 1, *self.temperatures)
            weight = own / self.temperatures[0] if self.recipe.balanced else 1.0
            loss = result.loss(tau, result.slopes * own, weight)
        else:
            loss = result.loss(tau, 1.0)
        settled = self._may_be_kept()
        # Before that the latest epoch is kept, so that a model is left whatever the losses are.
        if not settled or loss < self.best_loss or not self.best:
            self.best_loss = loss if settled else float("inf")
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return {
            "validation_loss": loss,
            "validation_accuracy": result.accuracy(tau),
            "validation_median_radius": self.exchange.radius(result.median_radius(tau)),
        }

    def _may_be_kept(self) -> bool:
        """Whether this epoch may be kept as the best."""
        return len(self.history) + 1 > self.recipe.settled * self.recipe.epochs

    def _settle(self) -> None:
        """Let the feature map adapt to some of the training points, in eval mode."""
        some = self.points.take(torch.arange(min(SETTLED_ON, len(self.points))))
        self.model.eval()
        self.model.feature_map.settle(inputs(some, self.model))

    def _radius_words(self) -> str:
        if not self.history or "validation_median_radius" not in self.history[-1]:
            return ""
        return f"median radius {self.history[-1]['validation_median_radius']:.3g}"

    def state(self) -> dict[str, Any]:
        """Everything the next epoch depends on."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "generator": self.generator.get_state(),
            "history": self.history,
            "best": self.best,
            "best_loss": self.best_loss,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.generator.set_state(state["generator"])
        self.history, self.best = state["history"], state["best"]
        self.best_loss = state["best_loss"]


_Optimiser = tuple[torch.optim.Optimizer, LRScheduler, bool]


def _optimiser(model: FeatureConvexModel, recipe: Recipe, steps: int) -> _Optimiser:
    """Optimiser, scheduler, and whether the scheduler moves per step (or per epoch)."""
    weights = [*model.convex_net.parameters(), *model.feature_map.parameters()]
    build: dict[str, Callable[[], _Optimiser]] = {
        "adam": lambda: _adam(weights, recipe, steps),
        "sgd": lambda: _sgd(weights, recipe),
    }
    if recipe.optimiser not in build:
        raise UserError(f"unknown optimiser {recipe.optimiser!r}; use one of {', '.join(build)}")
    return build[recipe.optimiser]()


def _adam(weights: list[torch.nn.Parameter], recipe: Recipe, steps: int) -> _Optimiser:
    adam = torch.optim.Adam(weights, lr=recipe.learning_rate)
    total = max(2, steps * recipe.epochs)
    return adam, OneCycleLR(adam, recipe.learning_rate, total_steps=total), True


def _sgd(weights: list[torch.nn.Parameter], recipe: Recipe) -> _Optimiser:
    sgd = torch.optim.SGD(weights, lr=recipe.learning_rate, momentum=recipe.momentum)
    return sgd, ExponentialLR(sgd, recipe.decay), False
