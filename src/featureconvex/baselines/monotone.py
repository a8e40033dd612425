"""``monotone``: a score that grows with the evidence and with nothing else, the one-sided defence."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.training import Loss
from featureconvex.certificates import Box, Domain, Guarantee, Lp, Unbounded, certify
from featureconvex.errors import UserError
from featureconvex.features import Compose, Flatten, Identity, MonotoneLinear, Scale, ThreeWays
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import NonNegativeLinear, project_
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance

HIDDEN = (128, 32)
# Of the linf distance between the classes; 0 is the classic training, without an attacker.
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4)


class Monotone(ScoredNetwork):
    """Nonnegative weights on features that each speak for one class (Incer et al. 2018).

    A model of this library's family: ``phi(x) = m(s (x - centre))`` with a nondecreasing ``m``, and a
    nondecreasing affine ``g``. The sign ``s_i`` says in which direction feature ``i`` speaks for the
    sensitive class: -1, +1, or 0 for a feature that is left out.

    Two certificates come with it. Whatever only moves features in the direction of the sensitive class,
    by any amount, never removes a flag. And the worst case of an linf ball is its corner ``x - r s``
    (:mod:`featureconvex.certificates.levels.corner`), which makes radii exact: level ``certified`` for
    any perturbation, level ``domain`` for images whose pixels stay in [0, 1], where the worst case is
    the clipped corner, and the radius is infinite if the last corner of the cube keeps the flag.

    Trained with the logistic loss where the sensitive points are moved to the worst corner at
    ``epsilon``, a share of the distance between the classes: the exact robust loss, at the cost of the
    usual one, and one-sided like the objective of recipe ``default``. The direction of each feature is
    that of the class means in the training data.
    """

    name = "monotone"
    title = "monotone"
    native_norms: ClassVar[tuple[float, ...]] = (math.inf,)
    levels: ClassVar[dict[str, Guarantee]] = {
        "certified": Guarantee.deterministic,
        "domain": Guarantee.deterministic,
    }
    passes = "about 55 forwards"
    literature = (
        "No linf radii are reported for monotone detectors; the nearest figure found is for boosted "
        "trees held monotone on PDF malware: 99 % accuracy at 1.78 % false positives (Chen 2020, "
        "Monotonic Malware Classifiers)."
    )
    learning_rate = 5e-3
    small_batch = 32
    augmentation = AugmentationPolicy(Augmentation(warp=0.08), Augmentation(flip=True))
    rows_at_once = 1000
    network: FeatureConvexModel

    def build(self) -> FeatureConvexModel:
        """In float64, with directions that :meth:`prepare` sets."""
        inputs, wide, narrow = self.options.dimension, *HIDDEN
        phi = Compose(
            Flatten(self.options.shape) if self.options.image else Identity(),
            Scale(torch.ones(inputs), torch.zeros(inputs)),
            MonotoneLinear(inputs, wide),
            ThreeWays(),
            MonotoneLinear(wide, narrow),
            ThreeWays(),
        )
        last = NonNegativeLinear(narrow, 1)
        with torch.no_grad():
            last.weight = torch.randn(1, narrow).abs() / narrow
            last.bias.uniform_(-1, 1)
        return FeatureConvexModel(phi, nn.Sequential(last, nn.Flatten(0))).double().eval()

    @property
    def orientation(self) -> Scale:
        """``s (x - centre)``, per coordinate."""
        phi = self.network.feature_map
        return next(part for part in phi.parts() if type(part) is Scale)

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """The classic training, and four strengths of the attacker in training."""
        return [{"epsilon_share": share} for share in SHARES]

    def prepare(self, fitting: Points) -> Loss:
        """Orient the features; the logistic loss at the worst corner."""
        orient_(self.orientation, fitting)
        self.epsilon = class_distance(fitting, math.inf) * self.setting["epsilon_share"]
        sign = self.orientation.scale

        def loss(network: nn.Module, x: Tensor, label: Tensor, done: float) -> Tensor:
            """The radius grows from 0 to ``epsilon`` over the first half of training."""
            r = self.epsilon * min(1.0, 2 * done) * (label > 0)
            return softplus(-label * network(lowered(x.double(), sign, r))).mean()

        return loss

    def project(self) -> None:
        """Back to nonnegative weights."""
        project_(self.network)

    def facts(self) -> dict[str, Any]:
        """The radius trained for."""
        return {"epsilon": self.epsilon}

    def score(self, x: Tensor) -> Tensor:
        """In float64."""
        score: Tensor = self.network.logits(x.double())
        return score

    def certify(self, x: Tensor, level: str) -> Radii:
        """By this library's own certificate at level ``domain``, to which corners belong.

        Raises:
            UserError: level ``domain`` for a table, whose columns have no known ends.
        """
        if level == "domain" and not self.options.image:
            raise UserError("level 'domain' needs images, whose pixels stay in [0, 1]")
        domain: Domain = Box(0, 1) if level == "domain" else Unbounded()
        self.network.tau.copy_(self.tau)
        found = certify(self.network, x.double(), Lp(math.inf), domain, "domain")
        return {math.inf: found.radius}


@torch.no_grad()
def orient_(orientation: Scale, points: Points) -> None:
    """Take the signs of the differences of the class means, and the mean as the centre.

    A feature whose means coincide (one that is constant, say) is left out: its weight could only help the
    attacker.
    """
    x, sensitive = points.x.flatten(1).double(), points.y == 1
    difference = x[sensitive].mean(dim=0) - x[~sensitive].mean(dim=0)
    orientation.scale.copy_(difference.sign())
    orientation.shift.copy_(-difference.sign() * x.mean(dim=0))


def lowered(x: Tensor, sign: Tensor, r: Tensor) -> Tensor:
    """The corner ``x - r s`` of the linf ball of radius ``r`` (n,): (n, *shape) -> the same."""
    steps = r.to(x.dtype)[:, None] * sign.to(x.dtype)
    return x - steps.reshape(x.shape)
