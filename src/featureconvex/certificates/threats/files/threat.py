"""What k operations on the bytes of a file do to its counts.

A file of which n-grams are counted (n = 1: single bytes), also in buckets, as long as every n-gram counts
+1 in its own. Theorem: k operations take ``x`` to ``x + u - d`` with ``u, d >= 0``, and

=========  =======================  =======================
operation  ``sum u``                ``sum d``
=========  =======================  =======================
append     at most ``k``            0
insert     at most ``k n``          at most ``k (n - 1)``
change     at most ``k n``          at most ``k n``
fill       at most ``k + r (n-1)``  at most ``k + r (n-1)``
=========  =======================  =======================

Proof. A byte at the end is the last of at most one new n-gram, and no n-gram goes. A byte put in between
breaks the at most n - 1 n-grams that reach across its place, and is part of at most n new ones. A changed
byte is part of at most n n-grams before and after. Operations add up, and what one adds and a later one
takes away again counts in both sums. Filling k bytes in r runs of neighbours changes the n-grams that touch
a run of length m: they begin at its bytes or at one of the n - 1 places before it, so there are at most
m + n - 1 of them, and as many before as after, since the file keeps its length.

With ``up`` and ``down`` the factors of ``k`` (and ``r (n - 1)`` more where runs are filled), an affine
minorant with curves ``h`` falls by at most
``D_up(up k) + D_down(down k)``: the worst cases of two l1 balls, one of rises and one of falls alone, since
``m_i(u_i - d_i) <= max(h_i^+(u_i), h_i^-(d_i))``. After a map without curves,
``||u - d||_s <= k (up^s + down^s)^(1/s)``, a convex function of u and d that is largest where each has one
coordinate only.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from featureconvex.certificates.drops import Curves, Drops, RoundedUp
from featureconvex.certificates.moves import Moves
from featureconvex.certificates.threats.ball.dual import best_multiplier
from featureconvex.certificates.threats.ball.l1 import LEAST, spending_slope
from featureconvex.certificates.threats.ball.projection import project_lp
from featureconvex.certificates.threats.ball.worst_case import worst_lp_drop
from featureconvex.certificates.threats.base import Threat
from featureconvex.certificates.threats.bisection import BITS
from featureconvex.errors import UserError
from featureconvex.given import whole_number
from featureconvex.rounding.directed import difference_down, quotient_down, upper


@dataclass(frozen=True)
class Ways(Curves):
    """Curves of rises and of falls.

    Attributes:
        up: where no coordinate may fall.
        down: where none may rise; None where none may fall either.
        shape: of one input.
        near: the same in ordinary arithmetic, where these are rounded up.
    """

    up: Curves
    down: Curves | None
    shape: tuple[int, ...]
    near: "Ways | None" = None

    @property
    def each(self) -> tuple[Curves, ...]:
        """Rises, and falls where there are any."""
        return (self.up,) if self.down is None else (self.up, self.down)

    def at(self, t: Tensor) -> Tensor:
        """Both together."""
        return self.up.at(t) if self.down is None else self.up.at(t) + self.down.at(t)

    def total(self) -> Tensor:
        """Both together."""
        return self.up.total() if self.down is None else self.up.total() + self.down.total()


class FileThreat(Threat):
    """So many operations on the bytes of a file; a radius of k covers k operations.

    Inputs are counts (d,).

    Args:
        ngram: how many bytes each count is about.
        size: ask for this number of operations only: the radius is ``size`` or 0. None: the most that
            can be certified.
        most: the bytes of a file above which a model refuses it, so that it is no longer flagged: radii of
            operations that make a file longer end there. None: any number.

    Raises:
        UserError: not whole numbers of at least 1.
    """

    counts: ClassVar[bool] = True
    NAME: ClassVar[str]
    LENGTHENS: ClassVar[bool] = True

    def __init__(self, ngram: Any = 1, size: Any = None, most: Any = None) -> None:
        self.ngram = whole_number("ngram", ngram, 1)
        self.size = None if size is None else whole_number("size", size, 1)
        self.most = None if most is None else whole_number("most", most, 1)

    @property
    def up(self) -> int:
        """How much one operation adds at most, all counts together."""
        return self.ngram

    @property
    def down(self) -> int:
        """How much one operation takes away at most."""
        return self.ngram

    @property
    def once(self) -> int:
        """How much more is added, and taken away, at most, once there is any operation."""
        return 0

    @property
    def name(self) -> str:
        """Such as ``append``, or ``append-64`` where only that size is asked for."""
        return self.NAME if self.size is None else f"{self.NAME}-{self.size}"

    def __repr__(self) -> str:
        size = "" if self.size is None else f", size={self.size}"
        most = "" if self.most is None else f", most={self.most}"
        return f"{type(self).__name__}({self.ngram}{size}{most})"

    def limited(self, radius: Tensor, x: Tensor) -> Tensor:
        """At most the operations after which counts are whole numbers of the model's dtype, and a file is
        below the cap.

        A file of N bytes has N - n + 1 n-grams, or none and fewer than n bytes. Counts that were rounded
        count for at least what they were. What nothing can take away, no rounding can.
        """
        eps, counts = torch.finfo(x.dtype).eps, x.double().flatten(1)
        left = (2 / eps - counts.amax(1) - self.once) / self.up
        radius = torch.minimum(radius, left.floor().clamp_min(0)).where(~radius.isinf(), radius)
        if self.most is None or not self.LENGTHENS:
            return self._of_size(radius)
        lost = torch.where(counts * eps >= 1, counts * eps, 0.0)
        size = (counts + lost).sum(1).ceil() + (self.ngram - 1)
        room = (self.most - size).clamp_min(0)
        return self._of_size(torch.minimum(radius, room), endless=False)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse what is no row of counts."""
        if len(shape) != 1:
            raise UserError(
                f"{type(self).__name__} is about counts (d,) of bytes or n-grams, got inputs of shape "
                f"{shape}: what it does to pictures of bytes is not known here"
            )

    def admits(self, x: Tensor) -> Tensor:
        """Counts are not negative."""
        return (x >= 0).flatten(1).all(1)

    def within(self, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
        """Counts stay counts."""
        return lo.clamp_min(0), hi

    def curves(self, moves: Moves) -> Ways:
        """Rises and falls apart."""
        up = moves.one_way(1)
        down = moves.one_way(-1) if self.down else None
        near = None if moves.near is None else self.curves(moves.near)
        return Ways(up, down, tuple(moves.x.shape[1:]), near)

    def norm_costs(self, s: float, shape: tuple[int, ...]) -> Tensor:
        """``1 / (up^s + down^s)^(1/s)`` everywhere, rounded down."""
        most = float(max(self.up, self.down))
        if not math.isinf(s) and self.down:
            most = (self.up**s + self.down**s) ** (1 / s)
        return torch.full(shape, 1 / most * (1 - 2.0**-40), dtype=torch.float64)

    def measure(self, delta: Tensor) -> Tensor:
        """The fewest operations whose sums cover each perturbation, inf where none do."""
        flat = delta.double().flatten(1)
        rises, falls = flat.clamp_min(0).sum(1), (-flat).clamp_min(0).sum(1)
        needed = ((rises - self.once) / self.up).ceil()
        if self.down:
            needed = torch.maximum(needed, ((falls - self.once) / self.down).ceil())
            return needed.clamp_min(1).where(rises + falls > 0, 0.0)
        return needed.masked_fill(falls > 0, torch.inf)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """Two l1 balls, of the whole part of the budget."""
        whole = budget.floor()
        found = torch.zeros_like(whole)
        once = self.once * (whole > 0).double()
        for curves, factor in zip(_ways(drops).each, (self.up, self.down), strict=False):
            found = found + worst_lp_drop(_plain(curves), factor * whole + once, 1.0)
        return found

    def largest_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """By bisection among whole numbers; of one size, that or 0."""
        return self._of_size(super().largest_budget(drops, margin))

    @torch.no_grad()
    def sound_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """The count that ordinary arithmetic finds, checked by duality with everything rounded up.

        For all multipliers ``lam, mu > 0`` and k up to K:
        ``drop(k) <= (lam up + mu down) k + sum_i max over [0, up K] of h_i^+(t) - lam t`` + the same of
        falls, so every k for which this is less than the margin is certified. What happens ``once`` costs
        ``(lam + mu) once``, and both budgets are longer by it.
        """
        ways = _ways(drops)
        if ways.near is None:
            return self.largest_budget(drops, margin)
        total = ways.total()
        endless = upper(total.sum(1), 2 * total.shape[1]) < margin
        most = self.largest_budget(ways.near, margin)
        # What rounding keeps from being endless may still be large.
        most = most.clamp_max(float(self.size or 2**BITS - 1))
        rate, spent = torch.zeros_like(margin), torch.zeros_like(margin)
        pairs = zip(ways.each, ways.near.each, (self.up, self.down), strict=False)
        for curves, near, factor in pairs:
            if not isinstance(curves, RoundedUp):
                raise UserError("level 'sound' asks with curves that are rounded up")
            # Rounded up, as whole numbers beyond 2^53 may be.
            budget = upper(factor * most + self.once, 2)
            lam = _multiplier(_plain(near), budget)
            rate = rate + factor * lam
            spent = spent + upper(curves.taxed(budget, lam) + self.once * lam, 2)
        # Two products and two sums, and the sum of what each way has gained.
        left = difference_down(margin, upper(spent, 4, spent > 0)).clamp_min(0)
        # Rounded down, so that this many take strictly less.
        count = torch.minimum(quotient_down(left, upper(rate, 4)).floor(), most)
        count = torch.where((margin > 0) & (left > 0), count, 0.0)
        return self._of_size(torch.where(endless & (margin > 0), torch.inf, count))

    def asked(self, budget: Tensor) -> Tensor:
        """A whole number less, without what happens once; of one size, that or 0."""
        once = self.once / min(self.up, self.down or self.up)
        return self._of_size(super().asked(budget - once))

    def _of_size(self, budget: Tensor, endless: bool = True) -> Tensor:
        if self.size is None:
            return budget
        found = self.size * (budget >= self.size).double()
        found = found.where(~budget.isnan(), torch.nan)
        return torch.where(torch.isinf(budget), budget, found) if endless else found

    def project(self, delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
        """The nearest rises and falls, cut to whole numbers."""
        delta, budget = delta.double(), budget.double().floor()
        once = self.once * (budget > 0).double()
        rises = project_lp(
            delta.clamp_min(0),
            self.up * budget + once,
            torch.zeros_like(lo),
            hi.clamp_min(0),
            1,
            None,
        )
        if not self.down:
            return rises.trunc()
        falls = project_lp(
            delta.clamp_max(0),
            self.down * budget + once,
            lo.clamp_max(0),
            torch.zeros_like(hi),
            1,
            None,
        )
        return (rises + falls).trunc()


class Append(FileThreat):
    """k bytes at the end of a file: counts only grow.

    >>> Append().measure(torch.tensor([[3.0, 0.0, 1.0], [1.0, -1.0, 0.0]]))
    tensor([4., inf], dtype=torch.float64)
    """

    NAME: ClassVar[str] = "append"

    @property
    def up(self) -> int:
        """1: the n-gram that ends with the byte."""
        return 1

    @property
    def down(self) -> int:
        """0."""
        return 0


class Insert(FileThreat):
    """k bytes put in anywhere, one by one.

    >>> Insert(ngram=2).up, Insert(ngram=2).down, Insert().down
    (2, 1, 0)
    """

    NAME: ClassVar[str] = "insert"

    @property
    def down(self) -> int:
        """n - 1: the n-grams that reach across the place."""
        return self.ngram - 1


class Change(FileThreat):
    """k bytes become others.

    >>> Change().measure(torch.tensor([[1.0, -2.0, 0.0]]))
    tensor([2.], dtype=torch.float64)
    """

    NAME: ClassVar[str] = "change"
    LENGTHENS: ClassVar[bool] = False


class Slack(FileThreat):
    """k bytes at known places become any others: slack between a file's parts, say.

    A radius is about every k bytes in so many runs of neighbours. What lies in the slack of a file is
    known, so only its n-grams can go: ``featureconvex certify --slack`` counts them for a domain of its own
    for each file.

    Args:
        ngram: how many bytes each count is about.
        runs: how many runs of neighbouring bytes there are.
        size: as for other threats to files.

    >>> Slack(ngram=2, runs=3).measure(torch.tensor([[5.0, -5.0], [3.0, -2.0], [0.0, 0.0]]))
    tensor([2., 1., 0.], dtype=torch.float64)
    """

    NAME: ClassVar[str] = "slack"
    LENGTHENS: ClassVar[bool] = False

    def __init__(self, ngram: Any = 1, runs: Any = 1, size: Any = None) -> None:
        super().__init__(ngram, size)
        self.runs = whole_number("runs", runs, 1)

    @property
    def up(self) -> int:
        """1: each byte of a run is where one n-gram begins."""
        return 1

    @property
    def down(self) -> int:
        """1: likewise."""
        return 1

    @property
    def once(self) -> int:
        """n - 1 for each run: n-grams that begin before it and reach into it."""
        return self.runs * (self.ngram - 1)

    def __repr__(self) -> str:
        size = "" if self.size is None else f", size={self.size}"
        return f"Slack({self.ngram}, {self.runs}{size})"


def _ways(curves: Curves) -> Ways:
    if not isinstance(curves, Ways):
        raise UserError("a threat to files takes the curves that its own curves() makes")
    return curves


def _plain(curves: Curves) -> Drops:
    if not isinstance(curves, Drops):
        raise UserError("curves that are rounded up are for level 'sound'")
    return curves


def _multiplier(drops: Drops, budget: Tensor) -> Tensor:
    """About the slope at which the steepest curves have spent the budget (n,), positive."""
    held = drops.within(budget)
    lam = spending_slope(held, budget) if held.concave else best_multiplier(held, budget, 1.0)
    return lam.nan_to_num(0.0, posinf=0.0).clamp_min(LEAST)
