"""Every decision of the base classifier, for every offset of the splits, counted exactly.

**The smoothed classifier, on real inputs.** Let ``z_i`` be the level of coordinate i (a real number),
``u`` in (0, 1) and ``q_i(u) = floor(z_i) + [z_i - floor(z_i) > u]``: the levels rounded, all with the
same threshold ``u``. The base classifier ``f`` sees the whole levels ``q(u)`` through the splits of
offset ``t``. The vote is

    votes(x) = sum over t = 0 .. Q - 1 of the length of {u in (0, 1): f(split_t(q(u))) = 1},

and ``x`` is flagged if ``votes(x) > Q / 2``. On a grid point (``z`` whole) ``u`` does not matter, and
this is the classifier of Levine and Feizi.

**Its radius.** What ``f`` sees of coordinate i depends on ``[q_i(u) > b_i(t)]`` only, which is
``[z_i > b_i(t) + u]``. As ``t`` and ``u`` run through their range, ``b_i(t) + u`` runs through [0, Q)
once; so for levels ``z`` and ``z'`` the bits of coordinate i differ on a part of length
``|z_i - z'_i|``, and those of any coordinate on at most ``||z - z'||_1``. Elsewhere ``f`` sees the same
twice. Hence

    |votes(x) - votes(x')| <= ||z - z'||_1,

and ``x`` stays flagged while ``||z - z'||_1 < votes(x) - Q / 2``: under every perturbation, on the grid
or not. With ``p = votes / Q`` that is the paper's ``2 lambda (p - 1/2)``.

**Enumeration.** While ``u`` grows from 0 to 1, each of the m coordinates off the grid changes once, and
the change is seen at one offset only. So ``Q + m`` decisions are all there are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.baselines.splitting.network import WEIGHT_UNIT, SplitNetwork, check_exact
from featureconvex.baselines.splitting.noise import SplitNoise

CHUNK = 2**15


@dataclass(frozen=True)
class Decisions:
    """All decisions on one input.

    Attributes:
        scores: (k,) float64, of the base classifier.
        lengths: (k,) float64, how much of (t, u) each stands for; together Q.
    """

    scores: Tensor
    lengths: Tensor

    def votes(self, tau: Tensor) -> float:
        """The length on which ``score + tau > 0``; exact on a grid point."""
        return float(self.lengths[self.scores > -tau].sum())

    def majority_score(self) -> float:
        """The largest s with more than half of the length at scores >= s: flagged iff s + tau > 0."""
        scores, order = self.scores.sort(descending=True)
        reached = self.lengths[order].cumsum(0) > self.lengths.sum() / 2
        return float(scores[reached][0])


class SplitVotes:
    """Enumerates the decisions of a network with rounded weights.

    The first layer's product at offset ``t`` is a part that no input changes plus, for every
    coordinate above its split, ``start_i + slope_i b_i(t)``: straight in ``t`` while the split climbs
    from cell 0 to the coordinate's level. A few numbers per coordinate in a sparse matrix, summed up
    twice along ``t``, give the products for all offsets at once.

    Args:
        network: after :meth:`.SplitNetwork.round_weights`.
        noise: the levels and offsets.
        starts: (d,) long, the ``v_i``.
    """

    def __init__(self, network: SplitNetwork, noise: SplitNoise, starts: Tensor) -> None:
        self.network, self.noise, self.starts = network, noise, starts
        self.first_offset = -starts % noise.offsets
        self.input_of = network.input_of_coordinate()
        # In whole numbers: s is 2 b + 1, 1 - s is 2 R - 2 b - 1 and 1 is 2 R, all over 2 R.
        self.denominator = 2 * noise.top * network.square**2
        above, split, below, rest = network.channel_weights()
        above, below = 2 * noise.top * above, 2 * noise.top * below
        last = 2 * noise.top - 1
        self.start, self.slope = above + split - below - last * rest, 2 * (split + rest)
        # Of each coordinate, this bounds its part; its differences, and all that they sum to on the
        # way, are at most 8 times as large.
        largest = above.abs() + below.abs() + 2 * noise.top * (split.abs() + rest.abs())
        check_exact(8 * network.square**2 * float(largest.sum(dim=0).amax()), WEIGHT_UNIT)
        # With every coordinate below its split, wherever that is within reach.
        reached = torch.full_like(starts, noise.top)
        self.below = self._products(reached, below + last * rest, -2 * rest)

    def _products(self, levels: Tensor, start: Tensor, slope: Tensor) -> Tensor:
        """``f(t) = sum_i [b_i(t) < levels_i] (start_i + slope_i b_i(t))`` for all t: (Q, hidden)."""
        total = start.new_zeros(self.noise.offsets, start.shape[1])
        for some in torch.split(torch.nonzero(levels).flatten(), CHUNK):
            row = self.input_of[some]
            weights = torch.cat((start[row], slope[row]))
            total += torch.sparse.mm(self._jumps(levels[some], self.first_offset[some]), weights)
        # Summed along columns that lie together in memory.
        return total.T.contiguous().cumsum(dim=1).cumsum(dim=1).T

    def _jumps(self, q: Tensor, first: Tensor) -> Tensor:
        """What, summed up twice along t, gives f: a sparse (Q, 2 m) matrix for start and slope.

        A coordinate's part is 0 .. 0, start, start + slope, .., start + slope (q - 1), 0 .. 0 from its
        first offset on, continued from the last offset to offset 0. In row t >= 2 are its second
        differences; row 0 has f(0) itself and row 1 ``f(1) - 2 f(0)``, so that the sums begin right.

        Args:
            q, first: (m,) levels >= 1 and first offsets.
        """
        count = self.noise.offsets
        one, nil = torch.ones_like(q), torch.zeros_like(q)
        places = torch.stack((first, first + 1, first + q, first + q + 1)) % count
        of_start, of_slope = torch.stack((one, -one, -one, one)), torch.stack((nil, one, -q, q - 1))
        of_start, of_slope = of_start * (places >= 2), of_slope * (places >= 2)
        cell = torch.stack((-first % count, (1 - first) % count))
        active = (cell < q).long()
        begin = torch.stack((active[0], active[1] - 2 * active[0]))
        climb = torch.stack((active[0] * cell[0], active[1] * cell[1] - 2 * active[0] * cell[0]))
        places = torch.cat((places, torch.stack((nil, one))))
        column = torch.arange(len(q), device=q.device).expand_as(places)
        return torch.sparse_coo_tensor(
            torch.stack(
                (torch.cat((places, places)), torch.cat((column, column + len(q))))
            ).flatten(1),
            torch.cat((of_start, begin, of_slope, climb)).flatten().double(),
            (count, 2 * len(q)),
            check_invariants=True,
        )

    def _scores(self, products: Tensor) -> Tensor:
        return self.network.scores(products / self.denominator)

    @torch.no_grad()
    def decide(self, x: Tensor) -> Decisions:
        """All decisions on one input, (*shape) -> Q + m of them."""
        whole, part = self.noise.levels(x.flatten().to(self.starts.device))
        # At u -> 0 every coordinate off the grid is rounded up.
        products = self.below + self._products(whole + (part > 0), self.start, self.slope)
        lengths = torch.ones(len(products), dtype=part.dtype, device=part.device)
        off = torch.nonzero(part).flatten()
        if not len(off):
            return Decisions(self._scores(products), lengths)
        offset = (whole[off] - self.starts[off]) % self.noise.offsets
        order = torch.argsort(part[off], stable=True)
        order = order[torch.argsort(offset[order], stable=True)]
        off, offset = off[order], offset[order]
        fresh = torch.ones_like(offset, dtype=torch.bool)
        fresh[1:] = offset[1:] != offset[:-1]
        lengths[offset[fresh]] = part[off][fresh]
        until = torch.ones_like(part[off])
        until[:-1] = torch.where(fresh[1:], until[1:], part[off][1:])
        later = products[offset] + self._drops(off, whole[off], fresh)
        scores = self._scores(torch.cat((products, later)))
        return Decisions(scores, torch.cat((lengths, until - part[off])))

    def _drops(self, off: Tensor, cell: Tensor, fresh: Tensor) -> Tensor:
        """What coordinates ``off`` the grid change, one after the other, as they are rounded down.

        Args:
            off: (m,) coordinates, ordered by offset and then by ``u``.
            cell: (m,) whole levels: above a split in this cell before, below it after.
            fresh: (m,) whether the offset differs from the one before.
        """
        row = self.input_of[off]
        drops = -(self.start[row] + self.slope[row] * cell[:, None])
        running = drops.cumsum(dim=0)
        return running - (running - drops)[fresh][fresh.cumsum(dim=0) - 1]
