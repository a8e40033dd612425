"""A network that nothing but evidence against the flag can bring down: one-sided in every input."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from featureconvex.nn.nonnegative import NonNegativeLinear
from featureconvex.training.points import Points


class ThreeWays(nn.Module):
    """ELU on a third of the units, ``-ELU(-h)`` on another, ``h`` cut to [-1, 1] on the rest.

    With nonnegative weights a convex activation alone makes a convex function; convex, concave and
    bounded units together approximate every monotone one (Runje and Shankaranarayana, ICML 2023,
    arXiv 2205.11775).

    >>> ThreeWays()(torch.tensor([[-2.0, -2.0, -2.0]])).round(decimals=3)
    tensor([[-0.8650, -2.0000, -1.0000]])
    """

    def forward(self, h: Tensor) -> Tensor:
        """(n, k) -> (n, k), nondecreasing in every entry."""
        convex, concave, bounded = h.tensor_split(3, dim=1)
        return torch.cat((elu(convex), -elu(-concave), bounded.clamp(-1, 1)), dim=1)


class OneSidedNetwork(nn.Module):
    """``m(s (x - centre))`` with a nondecreasing ``m``: (n, *shape) -> (n,).

    The sign ``s_i`` says in which direction feature ``i`` speaks for the sensitive class: -1, +1, or 0
    for a feature that is left out. A feature that moves in its direction never lowers the score, so
    over the linf ball of radius ``r`` the lowest score is at the one corner ``x - r s``: exact.

    Args:
        inputs: the number of coordinates ``d``.
        hidden: the widths of the layers between.

    Attributes:
        sign, centre: (d,), set by :meth:`orient_`.
    """

    sign: Tensor
    centre: Tensor

    def __init__(self, inputs: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (inputs, *hidden)
        layers: list[nn.Module] = []
        for below, above in itertools.pairwise(sizes):
            layers += [_layer(below, above), ThreeWays()]
        self.monotone = nn.Sequential(*layers, _layer(sizes[-1], 1))
        self.register_buffer("sign", torch.ones(inputs))
        self.register_buffer("centre", torch.zeros(inputs))

    @torch.no_grad()
    def orient_(self, points: Points) -> None:
        """Take the signs of the differences of the class means, and the mean as the centre.

        A feature whose means coincide (one that is constant, say) is left out: its weight could only
        help the attacker.
        """
        x, sensitive = points.x.flatten(1).double(), points.y == 1
        difference = x[sensitive].mean(dim=0) - x[~sensitive].mean(dim=0)
        self.sign.copy_(difference.sign())
        self.centre.copy_(x.mean(dim=0))

    def lowered(self, x: Tensor, r: Tensor) -> Tensor:
        """The corner ``x - r s`` of the linf ball of radius ``r`` (n,): (n, *shape) -> the same."""
        steps = r.to(x.dtype)[:, None] * self.sign.to(x.dtype)
        return x - steps.reshape(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The score, in the network's own precision."""
        u = self.sign * (x.flatten(1).to(self.centre.dtype) - self.centre)
        score: Tensor = self.monotone(u)[:, 0]
        return score


def _layer(inputs: int, outputs: int) -> NonNegativeLinear:
    """Weights ``|N(0, 1)| / inputs``: a sum of nonnegative terms stays of the inputs' size."""
    layer = NonNegativeLinear(inputs, outputs)
    with torch.no_grad():
        layer.weight = torch.randn(outputs, inputs).abs() / inputs
        layer.bias.uniform_(-1, 1)
    return layer
