"""What the methods on fully connected ReLU networks share: one fit per norm trained for."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.method import Method, Options, Radii, Setting
from featureconvex.baselines.relu.network import Affine, ReluNetwork, scores, shifted
from featureconvex.baselines.thresholds import accuracy, balanced_threshold
from featureconvex.baselines.training import Loss, train_network
from featureconvex.norms import norm_name, parse_norm
from featureconvex.progress import Ticker, silent
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance

HIDDEN = (200, 50)
"""As in the paper's MLP, 784-200-50-1."""
SHARES: Mapping[float, float] = {1.0: 0.13, 2.0: 0.2, math.inf: 0.1}
"""Of the distance between the classes: the training radius of a task that names none."""


class ReluNetworkMethod(Method):
    """A network ``d-200-50-1`` trained for balls in one norm, and certified in all three.

    Attributes:
        radii: task -> norm -> the radius trained for.
        default_epochs: where the user names none.
    """

    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0, math.inf)
    radii: ClassVar[Mapping[str, Mapping[float, float]]]
    default_epochs: ClassVar[int]
    tau: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self.norm = parse_norm(self.setting["norm"])
        self.network = ReluNetwork(options.dimension, HIDDEN)
        self.network.reset(options.seed)
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        self.to(options.device)

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """One network per norm: a network trained for one is weaker in the others."""
        return [{"norm": norm_name(p)} for p in cls.native_norms]

    @abstractmethod
    def loss(self, epsilon: float) -> Loss:
        """What to train with, for balls of radius ``epsilon`` in the setting's norm."""

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train at the task's radius, or at a share of the distance between the classes."""
        epochs = self.options.epochs or self.default_epochs
        known = self.radii.get(self.options.task)
        share = SHARES[self.norm]
        epsilon = known[self.norm] if known else share * class_distance(fitting, self.norm)
        train_network(
            self.network,
            fitting,
            epochs=epochs,
            seed=self.options.seed,
            loss=self.loss(epsilon),
            folder=folder,
            tick=tick,
        )
        self.tau.fill_(balanced_threshold(self._scores(validation.x), validation.y))
        train_accuracy = accuracy(self._scores(fitting.x) + self.tau, fitting.y)
        return {"epochs": epochs, "epsilon": epsilon, "train_accuracy": train_accuracy}

    @torch.no_grad()
    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """Whether the score and the threshold together are positive, in float64."""
        return np.asarray((self._scores(x) + self.tau > 0).cpu().numpy())

    def certify(self, x: Tensor, level: str) -> Radii:
        """The largest proved radius in each norm; 0 where the input is not flagged."""
        layers = shifted(self.network.affine(), self.tau)
        flagged = torch.from_numpy(self.predict(x))
        chosen = x[flagged].to(self.tau)
        radii = {}
        for p in self.native_norms:
            radius = torch.zeros(len(x), dtype=torch.float64)
            radius[flagged] = self.proved(layers, chosen, p).cpu()
            radii[p] = radius.numpy()
        return radii

    @abstractmethod
    def proved(self, layers: list[Affine], x: Tensor, p: float) -> Tensor:
        """Radii (n,) in norm ``p`` of flagged points ``x`` (n, *shape) float64; 0 where none is proved."""

    @torch.no_grad()
    def _scores(self, x: Tensor) -> Tensor:
        return scores(self.network.affine(), x.to(self.tau.device))
