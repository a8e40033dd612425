"""Training by interval bound propagation (Gowal et al. 2018)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from featureconvex.baselines.relu.interval_bounds import interval_bounds
from featureconvex.baselines.relu.network import ReluNetwork

WARM_UP = 0.1
RAMP = 0.5
"""Shares of training: before the radius starts to grow, and when it and the mix are final."""
FINAL_MIX = 0.5
"""The final weight of the ordinary loss, kappa."""


@dataclass(frozen=True)
class IntervalLoss:
    """``kappa`` times cross-entropy plus ``1 - kappa`` times cross-entropy of the worst case.

    The worst case is the end of the score's interval on the wrong side. The radius grows linearly
    from 0 to ``epsilon``, kappa falls from 1 to 1/2 at the same time.

    Attributes:
        p: exponent of the ball.
        epsilon: the final radius.
    """

    p: float
    epsilon: float

    def __call__(self, network: nn.Module, x: Tensor, sign: Tensor, done: float) -> Tensor:
        """The mixed loss of a batch; the network must be a :class:`ReluNetwork`."""
        if not isinstance(network, ReluNetwork):
            raise TypeError(f"interval training needs a ReluNetwork, got {type(network).__name__}")
        grown = min(1.0, max(0.0, done - WARM_UP) / (RAMP - WARM_UP))
        ordinary = softplus(-sign * network(x)).mean()
        if grown == 0:
            return ordinary
        radius = torch.full((len(x),), grown * self.epsilon).to(x)
        low, high = interval_bounds(network.pairs(), x, radius, self.p)[-1]
        worst = torch.where(sign > 0, low[:, 0], -high[:, 0])
        mix = 1 - (1 - FINAL_MIX) * grown
        return mix * ordinary + (1 - mix) * softplus(-worst).mean()
