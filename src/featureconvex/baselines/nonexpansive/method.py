"""What the 1-Lipschitz networks of the comparison share: a feature map, and an affine function of it."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.training import Loss
from featureconvex.certificates import Lp, certify
from featureconvex.certificates.levels import ClosedForm, Level
from featureconvex.features import Compose, FeatureMap
from featureconvex.models.frozen import in_precision
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import MaxAffine, project_
from featureconvex.training.losses import radius_cross_entropy, signed_radius
from featureconvex.training.points import Points
from featureconvex.training.recipes import WIDE, asymmetry
from featureconvex.training.temperature import class_distance

SHARES = (1 / 64, 1 / 16, 1 / 4, 1.0)
# Trained one-sidedly as well: where equal temperatures certified most.
ONE_SIDED_SHARES = SHARES[2:]
SETTLING_POINTS = 2000


class NonexpansiveMethod(ScoredNetwork):
    """``<w, phi(x)> + b``: this library's family with an affine ``g``.

    A subclass names its native norms and writes :meth:`maps`. Radii are the closed form of
    :func:`featureconvex.certify`, with constants measured on the weights in use. Trained with the logistic
    loss on ``radius / T`` in the first native norm, where ``T`` is a share of the distance between the
    classes in the training data (:func:`featureconvex.training.temperature.class_distance`), the same for
    every data set. Settings with an ``asymmetry`` have the one-sided objective of recipe ``default``: the
    other class's temperature is so many times smaller.

    Attributes:
        level: of the certificates.
        precision: in which scores are computed.
    """

    precision: ClassVar[torch.dtype] = torch.float32
    level: ClassVar[Level] = ClosedForm()
    passes = "1 forward, 1 backward"
    small_batch = 32
    rows_at_once = 250
    network: FeatureConvexModel

    def build(self) -> FeatureConvexModel:
        """The map and an affine function."""
        phi = Compose(*self.maps(self.options))
        features = phi.output_shape(self.options.shape)
        return FeatureConvexModel(phi, MaxAffine(int(torch.Size(features).numel()), 1)).eval()

    @abstractmethod
    def maps(self, options: Options) -> Sequence[FeatureMap]:
        """One after the other; the first one takes inputs (n, *shape)."""

    @property
    def head(self) -> nn.Linear:
        """``w`` (1, k) and ``b`` (1,)."""
        net = self.network.convex_net
        assert isinstance(net, MaxAffine)
        return net.affine

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """Shares of the distance between the classes: four for both classes alike, two one-sided."""
        ratio = asymmetry(cls.native_norms[0])
        one_sided = [{"share": share, "asymmetry": ratio} for share in ONE_SIDED_SHARES]
        return [*({"share": share} for share in SHARES), *one_sided]

    def temperature(self, fitting: Points) -> float:
        """``T``, in units of the radius."""
        return class_distance(fitting, self.native_norms[0]) * float(self.setting["share"])

    def prepare(self, fitting: Points) -> Loss:
        """The logistic loss on ``radius / T``, with a temperature for each class."""
        self._temperature = self.temperature(fitting)
        other = self._temperature / float(self.setting.get("asymmetry", 1.0))
        norm = self.native_norms[0]

        def loss(network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
            del network
            phi = self.network.feature_map
            phi.anneal(done)
            u = phi(x)
            radius = signed_radius(phi, u, self.network.convex_net(u), norm)
            # As in the default recipe, classes are balanced for distances only.
            return radius_cross_entropy(radius, sign, self._temperature, other, norm >= WIDE)

        return loss

    def project(self) -> None:
        """Weights back to their sets."""
        project_(self.network)

    @torch.no_grad()
    def finish(self, fitting: Points) -> None:
        """Set what the map estimates from points."""
        spread = torch.arange(0, len(fitting), -(-len(fitting) // SETTLING_POINTS))
        self.network.feature_map.settle(fitting.x[spread].to(self.tau.device))

    def facts(self) -> dict[str, Any]:
        """``T``, and the constant of the map in the first native norm."""
        bound = self.network.feature_map.lipschitz(self.native_norms[0])
        return {"temperature": self._temperature, "lipschitz_bound": bound}

    @property
    def deployed(self) -> FeatureConvexModel:
        """The model that predicts and is certified: weights in use, threshold and precision."""
        self.network.tau.copy_(self.tau)
        return in_precision(self.network, self.precision)

    def score(self, x: Tensor) -> Tensor:
        """``<w, phi(x)> + b``."""
        return self.deployed.logits(x.to(self.precision)).double()

    def certify(self, x: Tensor, level: str) -> Radii:
        """By this library's own certificate."""
        threats = [Lp(p) for p in self.native_norms]
        found = certify(self.deployed, x, threats, level=self.level)
        return {p: one.radius for p, one in zip(self.native_norms, found, strict=True)}
