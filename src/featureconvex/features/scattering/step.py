"""How the scattering transform rounds, and how steep it is at most.

The exact map is real arithmetic on the stored filters and colour matrix, as rounded to the model's
dtype, with exact Fourier transforms: :mod:`.cascade`. It mixes all pixels, so its errors and
slopes are bounded in norms: :meth:`Scattered.lipschitz`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from featureconvex.features.scattering.cascade import Cascade, Limits, Maps
from featureconvex.features.scattering.constants import Transform, constants_of
from featureconvex.norms import widening
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import Rounding, euclidean_up, upper
from featureconvex.rounding.steps import Mode, OwnError, Step


@dataclass(frozen=True)
class Scattered(Step):
    """The transform as one step, in feature maps only, so it has no minorant.

    Attributes:
        cascade: the filters.
        colour: (c, c) float64; None for no rotation of colours.
        constant_in: at least the constant of the whole step in l_p.
        shape: of one input.
    """

    cascade: Cascade
    colour: Tensor | None
    constant_in: Callable[[float], float]
    shape: tuple[int, ...] = (1,)
    mixes: ClassVar[bool] = True

    def forward(self, x: Ball, mode: Mode, choice: Tensor | None) -> tuple[Ball, None]:
        """Every entry of an output map errs by at most the l2 error of the map."""
        height, width = self.cascade.low.shape()
        maps = self._rotated(x, mode.arithmetic)
        pad = (0, width - maps.centre.shape[-1], 0, height - maps.centre.shape[-2])
        maps = Maps(F.pad(maps.centre, pad).unsqueeze(2), maps.error.unsqueeze(2))
        found = self.cascade.forward(maps, mode.arithmetic)
        centre = torch.cat([part.centre for part in found], dim=2).flatten(1, 2)
        error = torch.cat([part.error for part in found], dim=2).flatten(1, 2)
        return Ball(centre, error[..., None, None].expand_as(centre)), None

    def _rotated(self, x: Ball, arithmetic: Rounding) -> Maps:
        """The colours of (n, c, h, w), with errors (n, c): three products for every pixel."""
        maps = Maps(x.centre, euclidean_up(x.radius.flatten(2)))
        if self.colour is None:
            return maps
        terms = self.colour.shape[1]
        gamma = arithmetic.gamma(terms + 2)
        size = maps.error * (1 + 2 * gamma) + gamma * (maps.norm() + maps.error)
        error = (
            size @ self.colour.abs().T + Limits((1, x.centre[0, 0].numel()), arithmetic).underflow
        )
        centre = torch.einsum("dc,nchw->ndhw", self.colour, x.centre)
        return Maps(centre, upper(error, terms + 8))

    def _after_colours(self, unit: Tensor, arithmetic: Rounding) -> tuple[Tensor, Tensor]:
        """The largest a channel's norm and error get for an input of length 1, and what products round."""
        if self.colour is None:
            return unit, 0 * unit
        longest = upper(self.colour.abs().sum(1).max().view(1), self.colour.shape[1])
        rounding = 4 * arithmetic.gamma(self.colour.shape[1] + 2)
        return longest, upper(rounding * longest, 4)

    def backward(self, g: Ball, shape: torch.Size, choice: Tensor | None) -> Ball:
        """Not affine."""
        raise TypeError("the scattering transform has no affine minorant that holds for both signs")

    def growth(self, g: Ball, shape: torch.Size, arithmetic: Rounding) -> Ball:
        """Weights of the l2 norm of a change, given to every pixel."""
        unit = torch.ones(1, dtype=torch.float64, device=g.centre.device)
        norm, error = self._after_colours(unit, arithmetic)
        changed = self.cascade.growth(norm, error, arithmetic)
        arriving = self.cascade.growth(0 * unit, upper(norm + error, 1), arithmetic)
        weight = g.centre.flatten(2).sum(-1).reshape(len(g.centre), -1, len(changed)).sum(1)
        count = g.centre[0].numel() + 4
        q, p = upper(weight @ arriving, count), upper(weight @ changed, count)
        wide = (-1, *[1] * (len(shape) - 1))
        pulled = self.pull(g.radius, shape)
        return Ball(q.view(wide).expand_as(pulled), upper(pulled + p.view(wide), 1))

    def own_error(self, s: float, zero: Tensor, arithmetic: Rounding) -> OwnError | None:
        """Every map errs by ``changed`` per unit of the input's length, and by what underflows at zero."""
        if s != 2:
            return None
        unit = torch.ones(1, dtype=torch.float64, device=zero.device)
        changed = self.cascade.growth(*self._after_colours(unit, arithmetic), arithmetic)
        lost = self.forward(Ball.exact(zero), Mode(arithmetic, relaxed=False), None)[0].radius
        rate = float(euclidean_up(changed)) * math.sqrt(zero.shape[1]) * (1 + 2.0**-40)
        return OwnError(rate, 0.0, float(euclidean_up(lost[:, :, 0, 0])))

    def pull(self, p: Tensor, shape: torch.Size) -> Tensor:
        """``<p, |change of the output|> <= ||p||_2 Lip_2 ||change||_2``."""
        norm = euclidean_up(p.flatten(1))
        most = upper(norm * self.constant_in(2.0), 1, norm > 0)
        return most.view(-1, *[1] * (len(shape) - 1)).expand(-1, *shape[1:])

    def constant(self, p: float, s: float) -> float:
        """From l_p to itself and larger norms, also through l2."""
        own = self.constant_in(p) if s >= p else math.inf
        inputs = math.prod(self.shape)
        through = self.constant_in(2.0) * widening(inputs, 2.0, p) * (1 + 2.0**-50)
        return min(own, through if s >= 2 else math.inf)

    def lipschitz(self, p: float) -> float:
        """At least the constant in l_p."""
        return self.constant_in(p)

    @property
    def amplification(self) -> float:
        """Sums over all pixels and all aliases."""
        height, width = self.cascade.low.shape()
        spread = 4.0 * height * width * self.cascade.low.stride**2
        return spread if self.colour is None else spread * float(self.colour.abs().sum(1).max())


def scattered(phi: Transform, dtype: torch.dtype) -> Scattered:
    """The step of a transform, as a forward pass in ``dtype`` computes it."""
    colour = phi.colour.to(dtype).double() if phi.opponent else None
    cascade = Cascade.of(phi.cascade, dtype)
    return Scattered(cascade, colour, constants_of(phi, dtype), phi.image_shape)
