"""The state of a training run between epochs, and one epoch of it; what is trained is a subclass's."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler, OneCycleLR

from featureconvex.errors import UserError
from featureconvex.features import FeatureMap
from featureconvex.nn import project_
from featureconvex.progress import Ticker, silent
from featureconvex.training.checkpoint import Checkpoint
from featureconvex.training.points import Points
from featureconvex.training.recipes import Recipe

History = list[dict[str, float]]
# Training points that a feature map may adapt to before every validation.
SETTLED_ON = 1000


class Run(ABC):
    """One recipe, one model, one seed.

    Args:
        model: trained in place.
        feature_map: its map, which is told how far training is.
        weights: what the optimiser moves.
        recipe: how.
        points: what is fitted.
        seed: of the order and the augmentation.
        watched: whether to validate epochs that cannot be kept, too.
    """

    def __init__(
        self,
        model: nn.Module,
        feature_map: FeatureMap,
        weights: list[nn.Parameter],
        recipe: Recipe,
        points: Points,
        seed: int,
        watched: bool = True,
    ) -> None:
        self.watched = watched
        self.model, self.feature_map, self.recipe = model, feature_map, recipe
        self.generator = torch.Generator().manual_seed(seed)
        self.device, self.dtype = weights[0].device, weights[0].dtype
        self.points = points.to(self.device)
        self.batch_size = min(recipe.batch_size, len(points))
        # Like the paper's loader, drop the incomplete batch: batch norm and one-row batches.
        self.steps_per_epoch = len(points) // self.batch_size
        self.optimiser, self.scheduler, self.per_step = _optimiser(
            weights, recipe, self.steps_per_epoch
        )
        self.history: History = []
        self.best_loss = float("inf")
        self.best: dict[str, Tensor] = {}

    @abstractmethod
    def objective(self, x: Tensor, rows: Tensor) -> tuple[Tensor, int]:
        """The loss of a batch (m, ...) and how many are on the right side; ``rows`` are its places."""

    @abstractmethod
    def judge(self) -> tuple[float, dict[str, float]]:
        """The loss on the validation points, and what else the history says of them."""

    def to_end(self, checkpoint: Checkpoint | None = None, tick: Ticker = silent) -> History:
        """Train, and leave the model at the epoch with the lowest validation loss.

        With a checkpoint, a killed run goes on after its last epoch and ends with the same weights.

        Raises:
            UserError: training diverged, or the checkpoint is of another run.
        """
        checkpoint = checkpoint or Checkpoint(None, {})
        saved = checkpoint.load()
        if saved is not None:
            self.load_state(saved)
            tick(self.steps_per_epoch * len(self.history), "resumed")
        while len(self.history) < self.recipe.epochs:
            self.epoch(tick)
            checkpoint.save(self.state())
        self.model.load_state_dict(self.best)
        return self.history

    def epoch(self, tick: Ticker) -> None:
        """One pass over the points, then validation."""
        started, losses, hits = time.perf_counter(), 0.0, 0
        self.model.train()
        order = torch.randperm(len(self.points), generator=self.generator)
        for step in range(self.steps_per_epoch):
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            self.feature_map.anneal(
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
        with parametrize.cached():
            loss, correct = self.objective(x.to(self.device, self.dtype), rows)
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
        return loss.item(), correct

    def _validate(self) -> dict[str, float]:
        if self.feature_map.learned:
            self._settle()
        with parametrize.cached():
            loss, found = self.judge()
        settled = self._may_be_kept()
        # Before that the latest epoch is kept, so that a model is left whatever the losses are.
        if not settled or loss < self.best_loss or not self.best:
            self.best_loss = loss if settled else float("inf")
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return {"validation_loss": loss, **found}

    def _may_be_kept(self) -> bool:
        """Whether this epoch may be kept as the best."""
        return len(self.history) + 1 > self.recipe.settled * self.recipe.epochs

    def _settle(self) -> None:
        """Let the feature map adapt to some of the training points, in eval mode."""
        some = self.points.take(torch.arange(min(SETTLED_ON, len(self.points))))
        self.model.eval()
        self.feature_map.settle(some.to(self.device, self.dtype))

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


def _optimiser(weights: list[nn.Parameter], recipe: Recipe, steps: int) -> _Optimiser:
    """Optimiser, scheduler, and whether the scheduler moves per step (or per epoch)."""
    build: dict[str, Callable[[], _Optimiser]] = {
        "adam": lambda: _adam(weights, recipe, steps),
        "sgd": lambda: _sgd(weights, recipe),
    }
    if recipe.optimiser not in build:
        raise UserError(f"unknown optimiser {recipe.optimiser!r}; use one of {', '.join(build)}")
    return build[recipe.optimiser]()


def _adam(weights: list[nn.Parameter], recipe: Recipe, steps: int) -> _Optimiser:
    adam = torch.optim.Adam(weights, lr=recipe.learning_rate)
    total = max(2, steps * recipe.epochs)
    return adam, OneCycleLR(adam, recipe.learning_rate, total_steps=total), True


def _sgd(weights: list[nn.Parameter], recipe: Recipe) -> _Optimiser:
    sgd = torch.optim.SGD(weights, lr=recipe.learning_rate, momentum=recipe.momentum)
    return sgd, ExponentialLR(sgd, recipe.decay), False
