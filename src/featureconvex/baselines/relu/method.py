"""What the methods on fully connected ReLU networks share: one fit per norm trained for."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.relu.network import Affine, ReluNetwork, scores, shifted
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.training import Loss
from featureconvex.norms import norm_name, parse_norm
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance

HIDDEN = (200, 50)
"""As in the paper's MLP, 784-200-50-1."""
SHARES: Mapping[float, float] = {1.0: 0.13, 2.0: 0.2, math.inf: 0.1}
"""Of the distance between the classes: the training radius of a task that names none."""


class ReluNetworkMethod(ScoredNetwork):
    """A network ``d-200-50-1`` trained for balls in one norm, and certified in all three.

    Attributes:
        radii: task -> norm -> the radius trained for.
    """

    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0, math.inf)
    radii: ClassVar[Mapping[str, Mapping[float, float]]]
    network: ReluNetwork

    def build(self) -> ReluNetwork:
        """With the initial weights of the options' seed."""
        self.norm = parse_norm(self.setting["norm"])
        network = ReluNetwork(self.options.dimension, HIDDEN)
        network.reset(self.options.seed)
        return network

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """One network per norm: a network trained for one is weaker in the others."""
        return [{"norm": norm_name(p)} for p in cls.native_norms]

    @abstractmethod
    def loss(self, epsilon: float) -> Loss:
        """What to train with, for balls of radius ``epsilon`` in the setting's norm."""

    def prepare(self, fitting: Points) -> Loss:
        """The loss at the task's radius, or at a share of the distance between the classes."""
        known = self.radii.get(self.options.task)
        share = SHARES[self.norm]
        self.epsilon = known[self.norm] if known else share * class_distance(fitting, self.norm)
        return self.loss(self.epsilon)

    def facts(self) -> dict[str, Any]:
        """The radius trained for."""
        return {"epsilon": self.epsilon}

    def score(self, x: Tensor) -> Tensor:
        """In float64."""
        return scores(self.network.affine(), x)

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
