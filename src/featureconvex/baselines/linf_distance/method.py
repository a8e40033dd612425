"""``linf-distance``: an l-infinity distance network, whose margin is its radius."""

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.method import Radii
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.training import Loss
from featureconvex.certificates import Guarantee
from featureconvex.features.nonexpansive.linf_distance import DistanceNetwork
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points

HIDDEN = (512, 512)
SHARPNESS = (4.0, 40.0)
TEMPERATURE = 0.1
"""Of the loss, in units of the margin: what a radius is worth against accuracy."""
CENTRING_POINTS = 2000


class LinfDistance(ScoredNetwork):
    """``score(x) + tau`` with a score that is 1-Lipschitz in linf: the margin is a radius.

    **Certificate.** ``|score(x) - score(x')| <= ||x - x'||_inf`` (:class:`.DistanceNetwork`), so the
    margin stays positive while ``||x - x'||_inf < score(x) + tau``. Scores are computed with p = inf
    in float64, and a bound on their rounding is subtracted, both for ``x`` and for ``x'``.

    **Training.** The paper's road from soft to sharp distances: p-norms from p = 8 to 1000 and then
    inf, for 400 epochs and more on a GPU. Here :func:`.smooth_distance` goes from sharpness 4 to 40,
    and then to inf, where only the mean shifts are set anew; the loss is cross-entropy on the margin
    at a temperature, which asks for a margin of a few temperatures as the paper's hinge does.
    """

    name = "linf-distance"
    title = "l-infinity distance net"
    native_norms: ClassVar[tuple[float, ...]] = (math.inf,)
    levels: ClassVar[dict[str, Guarantee]] = {"certified": Guarantee.sound}
    passes = "1 forward"
    literature = (
        "Its authors' code, ten classes, width 5120, 450 epochs (CIFAR 1300): MNIST 98.56 % clean, "
        "93.20 % certified at linf 0.3; CIFAR-10 54.30 % clean, 40.06 % at 8/255 (arXiv 2110.06850). "
        "Fashion-MNIST 79.23 % at 0.1, with an MLP on top (arXiv 2102.05363)."
    )
    learning_rate = 1e-2
    augmentation = AugmentationPolicy(Augmentation(shift=1), Augmentation(shift=3, flip=True))
    rows_at_once = 250
    network: DistanceNetwork

    def build(self) -> DistanceNetwork:
        """Two hidden layers of distances."""
        return DistanceNetwork(self.options.dimension, HIDDEN)

    def prepare(self, fitting: Points) -> Loss:
        """Cross-entropy at a temperature, on scores that grow sharper."""
        return self._loss

    def _loss(self, network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
        start, end = SHARPNESS
        self.network.sharpness = start * (end / start) ** done
        return softplus(-sign * network(x) / TEMPERATURE).mean()

    def finish(self, fitting: Points) -> None:
        """Set the mean shifts with p = inf."""
        spread = torch.arange(0, len(fitting), math.ceil(len(fitting) / CENTRING_POINTS))
        self.network.centre(fitting.x[spread].to(self.tau.device))

    def score(self, x: Tensor) -> Tensor:
        """With p = inf."""
        return self.network.scores(x)

    def certify(self, x: Tensor, level: str) -> Radii:
        """The margin, less what rounding can change in it here and at the perturbed input."""
        margins = self.margins(x)
        # Neither x nor any x' inside the radius has larger coordinates.
        reach = x.abs().flatten(1).amax(dim=1).to(margins) + margins.clamp(min=0)
        radii = margins - 2 * self.network.rounding(reach, float(self.tau))
        return {math.inf: np.asarray(radii.clamp(min=0).cpu().numpy())}
