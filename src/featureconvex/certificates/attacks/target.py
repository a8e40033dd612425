"""What an attack sees of a model: margins, gradients and the room around each input."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import Threat


class Margin(Protocol):
    """What is attacked: a model in eval mode whose answer is positive where an input is flagged.

    Attributes:
        tau: a number that its answers contain: rounding is relative to answers with and without it.
    """

    tau: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """That it computes in."""

    def __call__(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n,) float64."""

    def two_logits(self) -> nn.Module:
        """The same as two logits, the second one for flagged inputs."""


@dataclass(frozen=True)
class Target:
    """A batch of inputs under attack.

    Attributes:
        model: in eval mode.
        x: (n, ...) float64, the inputs.
        floor: (n, ...) float64, the lower ends of the room, ``-inf`` for none; x where immutable.
        ceiling: likewise, the upper ends.
        threat: the budget.
    """

    model: Margin
    x: Tensor
    floor: Tensor
    ceiling: Tensor
    threat: Threat

    @staticmethod
    def of(model: Margin, x: Tensor, threat: Threat, domain: Domain) -> "Target":
        """The inputs ``x`` in the model's dtype, each inside its domain."""
        floor, ceiling = threat.within(*domain.bounds(x))
        x = x.double()
        # An input outside its domain stays where it is.
        floor, ceiling = torch.minimum(floor, x), torch.maximum(ceiling, x)
        if threat.cost is not None:
            fixed = torch.isinf(threat.cost).to(x.device)
            floor, ceiling = torch.where(fixed, x, floor), torch.where(fixed, x, ceiling)
        return Target(model, x, floor, ceiling, threat)

    def rows(self, index: Tensor | slice) -> "Target":
        """Some of the inputs."""
        names = ("x", "floor", "ceiling")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    @cached_property
    def lo(self) -> Tensor:
        """(n, ...) float64, lowest perturbation, <= 0; ``x + lo`` may round past the floor."""
        return self.floor - self.x

    @cached_property
    def hi(self) -> Tensor:
        """(n, ...) float64, highest perturbation, >= 0."""
        return self.ceiling - self.x

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
