"""What an attack sees of a model: margins, gradients and the room around each input."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import Threat
from featureconvex.model import FeatureConvexModel


@dataclass(frozen=True)
class Target:
    """A batch of inputs under attack.

    Attributes:
        model: in eval mode.
        x: (n, ...) float64, the inputs.
        lo: (n, ...) float64, lowest perturbation, <= 0, ``-inf`` for none; 0 where immutable.
        hi: likewise, >= 0.
        threat: the budget.
    """

    model: FeatureConvexModel
    x: Tensor
    lo: Tensor
    hi: Tensor
    threat: Threat

    @staticmethod
    def of(model: FeatureConvexModel, x: Tensor, threat: Threat, domain: Domain) -> "Target":
        """The inputs ``x`` in the model's dtype, each inside its domain."""
        lo, hi = domain.bounds(x)
        x = x.double()
        lo, hi = (lo - x).clamp_max(0), (hi - x).clamp_min(0)
        if threat.cost is not None:
            fixed = torch.isinf(threat.cost).to(x.device)
            lo, hi = lo.masked_fill(fixed, 0.0), hi.masked_fill(fixed, 0.0)
        return Target(model, x, lo, hi, threat)

    def rows(self, index: Tensor | slice) -> "Target":
        """Some of the inputs."""
        return Target(self.model, self.x[index], self.lo[index], self.hi[index], self.threat)

    @cached_property
    def first(self) -> Tensor:
        """The margin at ``x``, (n,) float64."""
        return self.margin(torch.zeros_like(self.x))

    def margin(self, delta: Tensor) -> Tensor:
        """The margin at ``x + delta``, as the model computes it: (n, ...) -> (n,) float64."""
        with torch.no_grad():
            out: Tensor = self.model((self.x + delta).to(self.model.dtype))
        return out

    def slope(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Margin (n,) and its gradient with respect to the input (n, ...), float64.

        For an affine feature map a subgradient of a convex function; through any other map only a
        direction to try, which is all an attack needs.
        """
        with torch.enable_grad():
            point = (self.x + delta).to(self.model.dtype).requires_grad_()
            margin = self.model(point)
            (gradient,) = torch.autograd.grad(margin.sum(), point)
        return margin.detach(), gradient.double()


def column(values: Tensor, like: Tensor) -> Tensor:
    """(n,) -> (n, 1, ...), to multiply rows of ``like``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
