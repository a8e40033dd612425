"""``interval``: a network trained so that plain interval arithmetic certifies it."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from featureconvex.baselines.relu.interval_radius import HALVINGS, interval_radius
from featureconvex.baselines.relu.interval_training import IntervalLoss
from featureconvex.baselines.relu.method import ReluNetworkMethod
from featureconvex.baselines.relu.network import Affine
from featureconvex.baselines.training import Loss


class Interval(ReluNetworkMethod):
    """Interval bound propagation (Gowal et al. 2018), for training and for the certificate.

    The first layer's bounds are exact in every norm, by its dual; from there on plain intervals.
    """

    name = "interval"
    title = "interval (IBP)"
    passes = f"about {HALVINGS + 10} forwards of intervals"
    literature = (
        "Gowal et al. 2018 (arXiv 1810.12715) report a verified error of 2.23 % at linf 0.1 and "
        "8.05 % at 0.3 on ten-class MNIST, with convolutional networks and longer training."
    )
    default_epochs = 60
    radii: ClassVar[Mapping[str, Mapping[float, float]]] = {
        "mnist-3-8": {1.0: 6.0, 2.0: 1.0, math.inf: 0.1},
        "fashion-shirts": {1.0: 4.0, 2.0: 0.4, math.inf: 0.05},
        "cifar10-cats-dogs": {1.0: 0.5, 2.0: 0.1, math.inf: 2 / 255},
        "cifar10-dogs-cats": {1.0: 0.5, 2.0: 0.1, math.inf: 2 / 255},
    }

    def loss(self, epsilon: float) -> Loss:
        """The mixed loss of Gowal et al."""
        return IntervalLoss(self.norm, epsilon)

    @torch.no_grad()
    def proved(self, layers: list[Affine], x: Tensor, p: float) -> Tensor:
        """By bisection on the radius."""
        return interval_radius(layers, x, p)
