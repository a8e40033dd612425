"""What a threat may ask of an attacker's moves: curves of a coordinate, and the fall of an exact move."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featureconvex.certificates.drops import Curves, Drops
from featureconvex.certificates.separable import separable_drops
from featureconvex.certificates.stretched import Stretched
from featureconvex.features import KinkedForm


@dataclass(frozen=True)
class Moves(ABC):
    """The moves of attackers at ``x`` inside ``[lo, hi]``, and how far a minorant falls with them.

    Attributes:
        x: (n, ...).
        lo, hi: (n, ...) float64.
    """

    x: Tensor
    lo: Tensor
    hi: Tensor

    @abstractmethod
    def curves(self, cost: Tensor | None) -> Curves:
        """One curve per row and coordinate, in budget units of ``cost``; inf: it cannot change."""

    def one_way(self, way: int) -> Curves:
        """Curves of moves up (1) or down (-1) only, at cost 1: as fine as the feature map knows them."""
        x = self.x.double()
        held = replace(self, lo=x) if way > 0 else replace(self, hi=x)
        return held.curves(None)

    @abstractmethod
    def falls(self, step: float) -> Tensor:
        """(n, d): at least what each coordinate takes off when it moves by exactly ``step``.

        Sums over coordinates that move together are upper bounds. Negative where the move helps
        the defender and the feature map lets that count.
        """

    @property
    def near(self) -> "SeparableMoves | None":
        """The same without rounding, to search with; None where these are not rounded."""
        return None


@dataclass(frozen=True)
class SeparableMoves(Moves):
    """The moves of a minorant with a separable form, in ordinary arithmetic.

    Attributes:
        form: coefficients, (n, ...).
        stretched: what is known of moves one way, stretch by stretch, or None.
    """

    form: KinkedForm
    stretched: Stretched | None = None

    def curves(self, cost: Tensor | None) -> Drops:
        """:func:`~featureconvex.certificates.separable.separable_drops`, differentiable in the form."""
        return separable_drops(self.form, self.x, self.lo, self.hi, cost)

    def one_way(self, way: int) -> Curves:
        """Differentiable in the form, too."""
        if self.stretched is None:
            return super().one_way(way)
        x = self.x.double()
        room = (self.hi - x if way > 0 else x - self.lo).clamp_min(0)
        return self.stretched.drops(x, room.flatten(1), way)

    def falls(self, step: float) -> Tensor:
        """``-w s - b (|x + s - z| - |x - z|)``, differentiable in the form."""
        fall = -self.form.w * step
        if self.form.b is not None and self.form.z is not None:
            gap = self.x.double() - self.form.z.to(self.x.device)
            fall = fall - self.form.b * ((gap + step).abs() - gap.abs())
        fall = fall if self.form.exact else fall.clamp_min(0)
        return torch.flatten(fall, 1)
