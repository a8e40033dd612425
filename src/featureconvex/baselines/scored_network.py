"""What most methods are: a network with a score, trained by a loss, and a threshold."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featureconvex.baselines.method import Method, Options, Setting
from featureconvex.baselines.thresholds import accuracy, balanced_threshold
from featureconvex.baselines.training import Loss, logistic, train_network
from featureconvex.device import device
from featureconvex.progress import Ticker, silent
from featureconvex.training.augmentation import AugmentationPolicy
from featureconvex.training.points import Points

FEW_POINTS = 5000


class ScoredNetwork(Method):
    """Predicts "sensitive" where ``score(x) + tau > 0``.

    A subclass writes :meth:`build`, :meth:`score` and ``certify``, and overrides what differs in
    training. ``tau`` balances the scores of the validation points.

    Attributes:
        network: what :meth:`build` returned; it is what is trained.
        tau: float64 scalar, saved with the network.
        default_epochs: where the options name none.
        learning_rate, weight_decay: of Adam.
        small_batch: the batch size below ``FEW_POINTS`` points; 128 from there on.
        augmentation: of training images.
        rows_at_once: how many inputs :meth:`score` gets at most; None: all.
    """

    default_epochs: int = 20
    learning_rate: ClassVar[float] = 1e-3
    weight_decay: ClassVar[float] = 0.0
    small_batch: ClassVar[int] = 128
    augmentation: ClassVar[AugmentationPolicy] = AugmentationPolicy()
    rows_at_once: ClassVar[int | None] = None
    network: nn.Module
    tau: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = self.build()
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        self.to(device(options.device))

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained network, (n, *shape) -> scores for the loss; torch's seed is the options'."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """Scores to certify, larger for the sensitive class: (n, *shape) on the device -> (n,) float64."""

    def prepare(self, fitting: Points) -> Loss:
        """Set what depends on the points, before training; the loss to train with."""
        return logistic

    def perturb(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Noise on a training batch (n, *shape), drawn anew in every step."""
        return x

    def project(self) -> None:
        """Called after every step."""

    def finish(self, fitting: Points) -> None:
        """Called after training, before the threshold is set."""

    def facts(self) -> dict[str, Any]:
        """Further facts of the fit for the record, as plain JSON values."""
        return {}

    def training_seed(self) -> int:
        """Of the order of the points and everything drawn in training."""
        return self.options.seed

    def train_accuracy(self, fitting: Points) -> float:
        """The share of fitted points on their side of the threshold."""
        return accuracy(self.margins(fitting.x), fitting.y)

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train the network, then balance the threshold on ``validation``."""
        epochs = self.options.epochs or self.default_epochs
        train_network(
            self.network,
            fitting,
            epochs=epochs,
            seed=self.training_seed(),
            loss=self.prepare(fitting),
            perturb=self.perturb,
            augmentation=self.augmentation.of(self.options.shape),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.small_batch if len(fitting) < FEW_POINTS else 128,
            after_step=self.project,
            folder=folder,
            tick=tick,
        )
        self.finish(fitting)
        self.tau.fill_(balanced_threshold(self.scores(validation.x), validation.y))
        return {
            "epochs": epochs,
            **self.facts(),
            "train_accuracy": self.train_accuracy(fitting),
        }

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """:meth:`score` of any number of inputs (n, *shape), wherever they are: (n,) float64."""
        parts = torch.split(x, self.rows_at_once or max(1, len(x)))
        return torch.cat([self.score(part.to(self.tau.device)) for part in parts])

    def margins(self, x: Tensor) -> Tensor:
        """``score(x) + tau``, (n, *shape) -> (n,) float64."""
        return self.scores(x) + self.tau

    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """Whether the margin is positive."""
        return np.asarray((self.margins(x) > 0).cpu().numpy())
