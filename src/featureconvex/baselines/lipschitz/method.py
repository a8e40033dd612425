"""What the 1-Lipschitz networks of the comparison share: margin training, and ``margin / constant``."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.training import Loss
from featureconvex.features.nonexpansive.layers import Frozen, frozen_network
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance

# Many times what a float64 forward pass can be off, relative to the size of the score.
ROUNDING = 1e-9
SHARES = (1 / 64, 1 / 16, 1 / 4, 1.0)


class LipschitzMethod(ScoredNetwork):
    """A network of measured Lipschitz constant ``L`` in l2: radius ``(score + tau) / L``.

    Trained with the logistic loss on ``score / T``. The score of a 1-Lipschitz network is a distance,
    so ``T`` is one too: a share of the distance between the classes in the training data
    (:func:`featureconvex.training.temperature.class_distance`), the same for every data set.

    ``L`` is measured on the frozen weights (:mod:`featureconvex.rounding.spectral_bound`),
    in whose float64 arithmetic predictions and margins are computed too.
    """

    native_norms: ClassVar[tuple[float, ...]] = (2.0,)
    passes = "1 forward"
    small_batch = 32
    # Grey images warped a little, as for the library's own models.
    augmentation = AugmentationPolicy(Augmentation(warp=0.08), Augmentation(shift=2, flip=True))
    rows_at_once = 250
    network: nn.Sequential

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self._frozen: Frozen | None = None

    def build(self) -> nn.Sequential:
        """The layers, one after the other."""
        return nn.Sequential(*self.layers(self.options))

    @abstractmethod
    def layers(self, options: Options) -> Sequence[nn.Module]:
        """The network, (n, *shape) -> (n, 1)."""

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Four temperatures, as shares of the distance between the classes."""
        return [{"share": share} for share in SHARES]

    def prepare(self, fitting: Points) -> Loss:
        """The logistic loss on ``score / T``."""
        temperature = class_distance(fitting, 2.0) * self.setting["share"]
        self.temperature = temperature

        def loss(network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
            del done
            return softplus(-sign * network(x)[:, 0] / temperature).mean()

        return loss

    def finish(self, fitting: Points) -> None:
        """Measure the constant anew."""
        self._frozen = None

    def facts(self) -> dict[str, Any]:
        """``T`` and ``L``."""
        return {"temperature": self.temperature, "lipschitz_bound": self.frozen().bound}

    def frozen(self) -> Frozen:
        """The network with its present weights, measured once per fit or load."""
        if self._frozen is None:
            self._frozen = frozen_network(self.network)
        return self._frozen

    def score(self, x: Tensor) -> Tensor:
        """By the frozen weights, in float64."""
        return self.frozen().apply(x.double())[:, 0]

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
