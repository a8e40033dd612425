"""What the 1-Lipschitz networks of the comparison share: margin training, and ``margin / constant``."""

from abc import abstractmethod
from collections.abc import Sequence
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
from featureconvex.features.nonexpansive.layers import Frozen, frozen_network
from featureconvex.progress import Ticker, silent
from featureconvex.training.augmentation import Augmentation
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance

# Many times what a float64 forward pass can be off, relative to the size of the score.
ROUNDING = 1e-9
SMALL = 5000
SHARES = (1 / 64, 1 / 16, 1 / 4, 1.0)


class LipschitzMethod(Method):
    """A network of measured Lipschitz constant ``L`` in l2: radius ``(score + tau) / L``.

    Trained with the logistic loss on ``score / T``. The score of a 1-Lipschitz network is a distance,
    so ``T`` is one too: a share of the distance between the classes in the training data
    (:func:`featureconvex.training.temperature.class_distance`), the same for every data set.

    ``L`` is measured on the frozen weights (:mod:`featureconvex.features.nonexpansive.spectral_bound`),
    in whose float64 arithmetic predictions and margins are computed too.
    """

    native_norms: ClassVar[tuple[float, ...]] = (2.0,)
    passes = "1 forward"
    learning_rate: ClassVar[float]
    tau: Tensor

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = nn.Sequential(*self.layers(options))
        self.register_buffer("tau", torch.zeros((), dtype=torch.float64))
        self._frozen: Frozen | None = None
        self.to(options.device)

    @abstractmethod
    def layers(self, options: Options) -> Sequence[nn.Module]:
        """The network, (n, *shape) -> (n, 1)."""

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Four temperatures, as shares of the distance between the classes."""
        return [{"share": share} for share in SHARES]

    @abstractmethod
    def default_epochs(self) -> int:
        """Where the options leave it to the method."""

    def fit(
        self,
        fitting: Points,
        validation: Points,
        *,
        folder: Path | None = None,
        tick: Ticker = silent,
    ) -> dict[str, Any]:
        """Logistic loss on ``score / T``, Adam with a one-cycle rate."""
        epochs = self.options.epochs or self.default_epochs()
        temperature = class_distance(fitting, 2.0) * self.setting["share"]

        def loss(network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
            del done
            return softplus(-sign * network(x)[:, 0] / temperature).mean()

        train_network(
            self.network,
            fitting,
            epochs=epochs,
            seed=self.options.seed,
            loss=loss,
            augmentation=self.augmentation(),
            learning_rate=self.learning_rate,
            batch_size=32 if len(fitting) < SMALL else 128,
            folder=folder,
            tick=tick,
        )
        self._frozen = None
        self.tau.fill_(balanced_threshold(self.scores(validation.x), validation.y))
        return {
            "epochs": epochs,
            "temperature": temperature,
            "train_accuracy": accuracy(self.scores(fitting.x) + self.tau, fitting.y),
            "lipschitz_bound": self.frozen().bound,
        }

    def augmentation(self) -> Augmentation | None:
        """As for the library's own models: small warps of grey images, mirror images of others."""
        if not self.options.image:
            return None
        grey = self.options.shape[0] == 1
        return Augmentation(warp=0.08) if grey else Augmentation(shift=2, flip=True)

    def frozen(self) -> Frozen:
        """The network with its present weights, measured once per fit or load."""
        if self._frozen is None:
            self._frozen = frozen_network(self.network)
        return self._frozen

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """(n, *shape) -> (n,) float64."""
        apply, place = self.frozen().apply, self.tau.device
        parts = [apply(part.to(place).double())[:, 0] for part in torch.split(x, 250)]
        return torch.cat(parts)

    def predict(self, x: Tensor) -> NDArray[np.bool_]:
        """``score + tau > 0``."""
        return np.asarray((self.scores(x) + self.tau > 0).cpu().numpy())

    def certify(self, x: Tensor, level: str) -> Radii:
        """``(score + tau) / L``, less what rounding could have added to the score."""
        scores = self.scores(x)
        slack = ROUNDING * (scores.abs() + self.tau.abs())
        margins = (scores + self.tau - slack).clamp(min=0)
        return {2.0: np.asarray((margins / self.frozen().bound * (1 - 1e-12)).cpu().numpy())}

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote."""
        super().load(path)
        self._frozen = None
