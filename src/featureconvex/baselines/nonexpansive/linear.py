"""``linear``: logistic regression, whose robust radius is exact in every norm."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from featureconvex.baselines.method import Options, Setting
from featureconvex.baselines.nonexpansive.method import NonexpansiveMethod
from featureconvex.baselines.training import Loss, logistic
from featureconvex.features import FeatureMap, Flatten, Identity
from featureconvex.models.model import FeatureConvexModel
from featureconvex.training.points import Points


class Linear(NonexpansiveMethod):
    """``<w, x> + tau``: the distance to the hyperplane is ``margin / ||w||_q``, the floor to beat.

    Trained with a little weight decay.
    """

    name = "linear"
    title = "linear"
    native_norms: ClassVar[tuple[float, ...]] = (1.0, 2.0, math.inf)
    literature = "The exact distance to a hyperplane."
    weight_decay = 1e-4
    precision = torch.float64
    small_batch = 128

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """One."""
        return [{}]

    def maps(self, options: Options) -> Sequence[FeatureMap]:
        """None that changes a number."""
        return [Flatten(options.shape) if options.image else Identity()]

    @torch.no_grad()
    def build(self) -> FeatureConvexModel:
        """One row of weights, zero at first; ``tau`` is the only constant."""
        self.network = super().build()
        self.head.weight.zero_()
        self.head.bias.zero_().requires_grad_(False)
        return self.network

    def prepare(self, fitting: Points) -> Loss:
        """The logistic loss on scores."""
        return logistic

    def facts(self) -> dict[str, Any]:
        """None."""
        return {}
