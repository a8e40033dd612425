"""The moves of a sound line, rounded up."""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.drops import Curves
from featureconvex.certificates.levels.sound.fall import RoundedCurves, fall_of, room_between
from featureconvex.certificates.levels.sound.kinks import Kinked
from featureconvex.certificates.moves import Moves, SeparableMoves
from featureconvex.certificates.separable import is_plain
from featureconvex.features import KinkedForm
from featureconvex.rounding.directed import FLOAT64, TINY

U = FLOAT64.unit


@dataclass(frozen=True)
class RoundedMoves(Moves):
    """As :class:`~featureconvex.certificates.moves.Moves`, every answer an upper bound.

    Attributes:
        form: of the line, exact numbers, as x, lo and hi are.
        reach: beyond it the line says nothing about a coordinate.
    """

    form: Kinked
    reach: float

    def curves(self, cost: Tensor | None) -> RoundedCurves:
        """Curves whose sums are upper bounds."""
        fall = fall_of(self.form, self.x, self.lo, self.hi, cost)
        whole, cheapest = fall, 1.0
        if cost is not None:
            cheapest = min(1.0, float(cost.min()))
            if not is_plain(cost):
                free = torch.where(torch.isinf(cost), torch.inf, 1.0)
                whole = fall_of(self.form, self.x, self.lo, self.hi, free)
        return RoundedCurves(fall, whole.totals(self.reach), self.reach, cheapest)

    def one_way(self, way: int) -> Curves:
        """Upper bounds, too."""
        known = self.form.stretched
        if known is None:
            return super().one_way(way)
        room = room_between(self.hi, self.x) if way > 0 else room_between(self.x, self.lo)
        return known.rounded(self.x, room.flatten(1), way, self.form.slack, self.reach)

    def falls(self, step: float) -> Tensor:
        """``-w s - b (|x + s - z| - |x - z|) + slack |s|``, rounded up so that sums of d are bounds."""
        form, size = self.form, abs(step)
        fall = form.slack * size - form.w * step
        # Everything is at most this, and a dozen roundings relative to it cover the sum of a few.
        whole = (form.w.abs() + form.slack) * size
        if form.b is not None and form.z is not None:
            gap = self.x - form.z
            fall = fall - form.b * ((gap + step).abs() - gap.abs())
            whole = whole + form.b.abs() * (2 * gap.abs() + size)
        fall = fall + (16 * U) * whole + (whole > 0).double() * TINY
        fall = fall if form.exact else fall.clamp_min(0)
        return torch.flatten(
            fall.masked_fill(torch.full_like(fall, size) > self.reach, torch.inf), 1
        )

    @property
    def near(self) -> SeparableMoves:
        """The same coefficients in ordinary arithmetic."""
        form = self.form
        plain = KinkedForm(form.w, form.b, form.z, exact=form.exact)
        return SeparableMoves(self.x, self.lo, self.hi, plain, form.stretched)
