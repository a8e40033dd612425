"""``monotone``: a score that grows with the evidence and with nothing else, the one-sided defence."""

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.method import Options, Radii, Setting
from featureconvex.baselines.monotone.bisection import HALVINGS, largest_kept
from featureconvex.baselines.monotone.network import OneSidedNetwork
from featureconvex.baselines.scored_network import ScoredNetwork
from featureconvex.baselines.training import Loss
from featureconvex.certificates import Guarantee
from featureconvex.errors import UserError
from featureconvex.nn.nonnegative import project_
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy
from featureconvex.training.points import Points
from featureconvex.training.temperature import class_distance

HIDDEN = (128, 32)
# Of the linf distance between the classes; 0 is the classic training, without an attacker.
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4)
# Radii without a domain are looked for up to here; a score that is bounded below may have none.
LARGEST = 1024.0
# Many times what a float64 forward pass can be off, relative to the size of the score.
ROUNDING = 1e-9


class Monotone(ScoredNetwork):
    """Nonnegative weights on features that each speak for one class (Incer et al. 2018).

    Two certificates come with the architecture. Whatever only moves features in the direction of
    the sensitive class, by any amount, never removes a flag. And the worst case of an linf ball is its
    corner ``x - r s``, so bisection gives the exact radius: level ``certified`` for any
    perturbation, level ``domain`` for images whose pixels stay in [0, 1], where the worst case is the
    clipped corner, and the radius is infinite if the last corner of the cube keeps the flag.

    Trained with the logistic loss where the sensitive points are moved to the worst corner at
    ``epsilon``, a share of the distance between the classes: the exact robust loss, at the cost of
    the usual one. The direction of each feature is that of the class means in the training data.
    """

    name = "monotone"
    title = "monotone"
    native_norms: ClassVar[tuple[float, ...]] = (math.inf,)
    levels: ClassVar[dict[str, Guarantee]] = {
        "certified": Guarantee.deterministic,
        "domain": Guarantee.deterministic,
    }
    passes = f"{HALVINGS + 2} forwards"
    literature = (
        "No linf radii are reported for monotone detectors; the nearest figure found is for boosted "
        "trees held monotone on PDF malware: 99 % accuracy at 1.78 % false positives (Chen 2020, "
        "Monotonic Malware Classifiers)."
    )
    learning_rate = 5e-3
    small_batch = 32
    augmentation = AugmentationPolicy(Augmentation(warp=0.08), Augmentation(flip=True))
    rows_at_once = 1000
    network: OneSidedNetwork

    def build(self) -> OneSidedNetwork:
        """In float64."""
        return OneSidedNetwork(self.options.dimension, HIDDEN).double()

    @classmethod
    def settings(cls, options: Options) -> list[Setting]:
        """The classic training, and four strengths of the attacker in training."""
        return [{"epsilon_share": share} for share in SHARES]

    def prepare(self, fitting: Points) -> Loss:
        """Orient the features; the logistic loss at the worst corner."""
        self.network.orient_(fitting)
        self.epsilon = class_distance(fitting, math.inf) * self.setting["epsilon_share"]
        return worst_case_loss(self.network, self.epsilon)

    def project(self) -> None:
        """Back to nonnegative weights."""
        project_(self.network)

    def facts(self) -> dict[str, Any]:
        """The radius trained for."""
        return {"epsilon": self.epsilon}

    def score(self, x: Tensor) -> Tensor:
        """In float64."""
        score: Tensor = self.network(x)
        return score

    def certify(self, x: Tensor, level: str) -> Radii:
        """The largest ``r`` found at which the corner ``x - r s`` keeps the flag.

        Raises:
            UserError: level ``domain`` for a table, whose columns have no known ends.
        """
        if level == "domain" and not self.options.image:
            raise UserError("level 'domain' needs images, whose pixels stay in [0, 1]")
        x = x.to(self.tau.device).double()

        def kept(r: Tensor) -> Tensor:
            corner = self.network.lowered(x, r.to(x.device))
            scores = self.scores(corner.clamp(0, 1) if level == "domain" else corner)
            return (scores + self.tau > ROUNDING * (scores.abs() + self.tau.abs())).cpu()

        # A pixel that moves by 1 has reached its end.
        radius = largest_kept(kept, len(x), 1.0 if level == "domain" else LARGEST)
        if level == "domain":
            radius = torch.where(radius == 1, math.inf, radius)
        return {math.inf: np.asarray(radius.numpy())}


def worst_case_loss(network: OneSidedNetwork, epsilon: float) -> Loss:
    """The logistic loss with the sensitive points at their worst corner, exactly.

    The radius grows from 0 to ``epsilon`` over the first half of training.
    """

    def loss(trained: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
        r = epsilon * min(1.0, 2 * done) * (sign > 0)
        return softplus(-sign * trained(network.lowered(x, r))).mean()

    return loss
