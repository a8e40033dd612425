"""``linf-distance``: an l-infinity distance network, whose margin is its radius."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch

from featureconvex.baselines.method import Options, Setting
from featureconvex.baselines.nonexpansive.method import NonexpansiveMethod
from featureconvex.certificates import Guarantee
from featureconvex.certificates.levels import Level, Sound
from featureconvex.features import Distances, FeatureMap, Flatten, Identity
from featureconvex.models.model import FeatureConvexModel
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points
from featureconvex.training.recipes import asymmetry

HIDDEN = (512, 512)
TEMPERATURE, LARGER, LARGEST = 0.1, 0.3, 1.0
"""Of the loss, in units of the margin: what a radius is worth against accuracy."""


class LinfDistance(NonexpansiveMethod):
    """Half the difference of two neurons after layers of linf distances: the margin is a radius.

    **Certificate.** Every layer has constant 1 from linf to linf, and half a difference of two coordinates
    moves by at most the larger move. Level ``sound`` takes the rounding of the forward pass off.

    **Training.** The paper's road from soft to sharp distances: p-norms from p = 8 to 1000 and then
    inf, for 400 epochs and more on a GPU. Here smooth distances grow sharper
    (:class:`featureconvex.features.Distances`), and become exact at the end.
    """

    name = "linf-distance"
    title = "l-infinity distance net"
    native_norms: ClassVar[tuple[float, ...]] = (math.inf,)
    levels: ClassVar[dict[str, Guarantee]] = {"certified": Guarantee.sound}
    level: ClassVar[Level] = Sound("closed-form", "float64")
    precision = torch.float64
    small_batch = 128
    literature = (
        "Its authors' code, ten classes, width 5120, 450 epochs (CIFAR 1300): MNIST 98.56 % clean, "
        "93.20 % certified at linf 0.3; CIFAR-10 54.30 % clean, 40.06 % at 8/255 (arXiv 2110.06850). "
        "Fashion-MNIST 79.23 % at 0.1, with an MLP on top (arXiv 2102.05363)."
    )
    learning_rate = 1e-2
    augmentation = AugmentationPolicy(Augmentation(shift=1), Augmentation(shift=3, flip=True))

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Two temperatures, for both classes alike and one-sided, and a large one, one-sided."""
        sided = {"asymmetry": asymmetry(math.inf)}
        return [
            {},
            {"temperature": LARGER},
            {"temperature": TEMPERATURE, **sided},
            {"temperature": LARGER, **sided},
            {"temperature": LARGEST, **sided},
        ]

    def temperature(self, fitting: Points) -> float:
        """``TEMPERATURE`` where the setting names none."""
        return float(self.setting.get("temperature", TEMPERATURE))

    def maps(self, options: Options) -> Sequence[FeatureMap]:
        """Two hidden layers of distances, and two last neurons."""
        sizes = (options.dimension, *HIDDEN, 2)
        layers = [Distances(a, b) for a, b in pairwise(sizes)]
        return [Flatten(options.shape) if options.image else Identity(), *layers]

    @torch.no_grad()
    def build(self) -> FeatureConvexModel:
        """With fixed weights of the difference."""
        self.network = super().build()
        self.head.weight.copy_(torch.tensor([[0.5, -0.5]])).requires_grad_(False)
        self.head.bias.zero_()
        return self.network
