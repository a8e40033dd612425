"""Curves of coordinates that move one way only, after a map that knows its own stretch by stretch.

A minorant falls by at most ``|v_i|`` times what the map changes, if ``v_i`` has the sign against which the
coordinate moves, and not at all otherwise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, Drops, Rise, RoundedUp
from featureconvex.features import FeatureMap
from featureconvex.rounding.directed import FLOAT64, upper

U = FLOAT64.unit


@dataclass(frozen=True)
class Stretched:
    """A coordinatewise map and the slope after it.

    Attributes:
        feature_map: with :meth:`~featureconvex.features.FeatureMap.stretches`.
        v: (n, ...) float64, differentiable.
    """

    feature_map: FeatureMap
    v: Tensor

    def rows(self, index: slice) -> "Stretched":
        """Some of the rows."""
        return Stretched(self.feature_map, self.v[index])

    def _weight(self, way: int) -> Tensor:
        return (-way * self.v).clamp_min(0).flatten(1)

    def drops(self, x: Tensor, room: Tensor, way: int) -> Drops:
        """Curves in ordinary arithmetic, of a coordinate that moves up to ``room`` (n, d)."""
        weight = self._weight(way)
        start = torch.zeros_like(room)
        room = room.clamp_max(FAR)
        rises = []
        for stretch in self.feature_map.stretches(x, way) or []:
            end = torch.minimum(stretch.end.flatten(1), room)
            rises.append(Rise(start, torch.maximum(start, end), weight * stretch.slope.flatten(1)))
            start = rises[-1].end
        return Drops(tuple(rises), tuple(x.shape[1:]))

    def rounded(
        self, x: Tensor, room: Tensor, way: int, slack: Tensor, reach: float
    ) -> "RoundedStretches":
        """The same rounded up, with ``slack`` (n, d) per unit on top."""
        weight, slack = self._weight(way), slack.flatten(1)
        ends, slopes = [], []
        for stretch in self.feature_map.stretches(x, way) or []:
            ends.append(torch.minimum(stretch.end.flatten(1), room))
            slopes.append(upper(weight * stretch.slope.flatten(1) + slack, 2))
        return RoundedStretches(
            torch.stack(ends), torch.stack(slopes), room, reach, tuple(x.shape[1:])
        )


@dataclass(frozen=True)
class RoundedStretches(RoundedUp):
    """Curves as exact numbers that are upper bounds.

    Attributes:
        ends: (k, n, d), where each stretch ends, nondecreasing.
        slopes: (k, n, d).
        room: (n, d).
        reach: no coordinate may move further.
        shape: of one input.
    """

    ends: Tensor
    slopes: Tensor
    room: Tensor
    reach: float
    shape: tuple[int, ...]

    def _heights(self, t: Tensor | None) -> tuple[Tensor, Tensor]:
        """(k, n, d): where each stretch ends by ``t`` (n,), and at least what is gained by then."""
        ends = self.ends if t is None else torch.minimum(self.ends, t[:, None])
        starts = torch.cat((torch.zeros_like(ends[:1]), ends[:-1]))
        width = torch.where(ends > starts, ends - starts, 0.0)
        gains = torch.where(width > 0, self.slopes * width, 0.0)
        count = len(ends)
        return ends, upper(gains.cumsum(0), 2 * count + 2, width.amax(0) > 0)

    def _summed(self, most: Tensor) -> Tensor:
        return upper(most, 2 * most.shape[1], most > 0)

    def at(self, t: Tensor) -> Tensor:
        """At least ``h_i(t)``, inf where a coordinate may move beyond the reach."""
        far = (self.room > self.reach) & (t > self.reach)[:, None]
        return self._summed(self._heights(t)[1][-1]).masked_fill(far, torch.inf)

    def total(self) -> Tensor:
        """At least ``h_i(inf)``."""
        most = self._summed(self._heights(None)[1][-1])
        return most.masked_fill(~(most < FAR / 2) | (self.room > self.reach), torch.inf)

    def taxed(self, budget: Tensor, price: Tensor) -> Tensor:
        """At least ``sum_i max over [0, budget] of h_i(t) - price t``: at the end of a stretch, or 0."""
        ends, gained = self._heights(budget)
        toll = price[:, None] * ends
        best = gained - toll * (1 - 8 * U) + (8 * U) * (gained + toll)
        most = upper(best.clamp_min(0).amax(0).sum(1), best.shape[2])
        far = (self.room > self.reach).any(1) & (budget > self.reach)
        return most.masked_fill(far, torch.inf)
