"""``linf-distance``: an l-infinity distance network, whose margin is its radius."""

import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.method import Method, Options, Radii, Setting
from featureconvex.baselines.thresholds import accuracy, balanced_threshold
from featureconvex.baselines.training import train_network
from featureconvex.certificates import Guarantee
from featureconvex.device import device
from featureconvex.features.nonexpansive.linf_distance import DistanceNetwork
from featureconvex.progress import Ticker, silent
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.points import Points

HIDDEN = (512, 512)
EPOCHS = 20
LEARNING_RATE = 1e-2
SHARPNESS = (4.0, 40.0)
TEMPERATURE = 0.1
"""Of the loss, in units of the margin: what a radius is worth against accuracy."""
CENTRING_POINTS = 2000
CHUNK = 250


class LinfDistance(Method):
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
    tau: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = DistanceNetwork(options.dimension, HIDDEN)
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        self.to(device(options.device))

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Train with growing sharpness, set the mean shifts with p = inf, balance."""
        epochs = self.options.epochs or EPOCHS
        train_network(
            self.network,
            fitting,
            epochs=epochs,
            seed=self.options.seed,
            loss=self._loss,
            augmentation=_augmentation(self.options),
            learning_rate=LEARNING_RATE,
            folder=folder,
            tick=tick,
        )
        spread = torch.arange(0, len(fitting), math.ceil(len(fitting) / CENTRING_POINTS))
        self.network.centre(fitting.x[spread].to(self.tau.device))
        self.tau.fill_(balanced_threshold(self._scores(validation.x), validation.y))
        return {"epochs": epochs, "train_accuracy": accuracy(self.margins(fitting.x), fitting.y)}

    def _loss(self, network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
        start, end = SHARPNESS
        self.network.sharpness = start * (end / start) ** done
        return softplus(-sign * network(x) / TEMPERATURE).mean()

    def _scores(self, x: Tensor) -> Tensor:
        where = self.tau.device
        return torch.cat([self.network.scores(part.to(where)) for part in torch.split(x, CHUNK)])

    def margins(self, x: Tensor) -> Tensor:
        """``score(x) + tau``, (n, *shape) -> (n,) float64."""
        return self._scores(x) + self.tau

    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """Whether the margin is positive."""
        return np.asarray((self.margins(x) > 0).cpu().numpy())

    def certify(self, x: Tensor, level: str) -> Radii:
        """The margin, less what rounding can change in it here and at the perturbed input."""
        margins = self.margins(x)
        # Neither x nor any x' inside the radius has larger coordinates.
        reach = x.abs().flatten(1).amax(dim=1).to(margins) + margins.clamp(min=0)
        radii = margins - 2 * self.network.rounding(reach, float(self.tau))
        return {math.inf: np.asarray(radii.clamp(min=0).cpu().numpy())}


def _augmentation(options: Options) -> Augmentation | None:
    """The authors': shifts, and flips for photographs."""
    if not options.image:
        return None
    return Augmentation(shift=3, flip=True) if options.shape[0] == 3 else Augmentation(shift=1)
