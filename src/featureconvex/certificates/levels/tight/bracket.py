"""The exact radius of an affine problem, between a proof and an attack: a cutting-plane method.

For affine ``phi`` the margin ``f(x) = g(phi(x)) + tau`` is convex in the input, and the largest radius any
minorant proves is the distance from x to ``{f <= 0}`` inside the domain (strong duality). Each round

1. solves the *master problem*: the cheapest attack ``e`` against all tangents found so far. Its
   multipliers, normalised, mix the tangents into one minorant: a proof of a radius;
2. takes the tangent at that attack, pulled a little towards the best attack known, which steadies
   the method where optima are many (p = 1 and inf);
3. improves the attack: a point with ``f <= 0`` is one, and with ``f(y) > 0 >= f(s)`` convexity makes
   ``y + t (s - y)`` one for ``t = f(y) / (f(y) - f(s))``.

The tangent at x is the first cut, so no row falls below level 0. Unlike the ascent on a network's
slopes this has no wrong place to end, as the problem is concave in the weights of the tangents; where
coordinates differ in scale by orders of magnitude it takes more rounds.
"""

from dataclasses import replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.tight.cuts import Cuts, tangent_at
from featureconvex.certificates.levels.tight.dual_value import dual_radius
from featureconvex.certificates.levels.tight.geometry import Geometry
from featureconvex.certificates.levels.tight.interior_point import (
    LinearPrograms,
    interior_point,
)
from featureconvex.certificates.levels.tight.newton import (
    LARGEST_POWER,
    Dual,
    combine,
    is_cube,
    is_linear,
    newton_master,
    start_multiplier,
)
from featureconvex.certificates.levels.tight.state import State
from featureconvex.certificates.minorant import Minorant
from featureconvex.models.model import FeatureConvexModel

# Where the cube of p = inf lies between the proved radius and the attack.
AIM = 0.4
# What rounding |w| off may cost, relative to the open part of the bracket; less round by round.
ROUNDING, FADING = 0.3, 0.95
# How far beyond the master problem's attack the first search for one goes.
BEYOND, NEAR_TRIES = 1.15, 4
NEWTON_STEPS = 2
# Coordinates in the linear program of p = 1: an attack of small l1 norm changes few, fewer still
# where no border stops it. Twice as many for rows that stay open for so many rounds.
WORKING_SET, DOUBLING = 48, 8
WORKING_SET_UNBOUNDED, DOUBLING_UNBOUNDED = 32, 16
# Cuts in it: the newest, and those of the largest multipliers; a share of all, or it might cycle.
LIVE_CUTS, LIVE_SHARE = 10, 0.7


class Bracketing:
    """The method for a batch of sensitive inputs with finite tangents.

    Args:
        model: with an affine feature map.
        geometry: the attackers.
        line: the tangents at x.
        keep_points: remember where the cuts touch.
    """

    def __init__(
        self, model: FeatureConvexModel, geometry: Geometry, line: Minorant, keep_points: bool
    ) -> None:
        self.model, self.geometry = model, geometry
        pulled = model.feature_map.pullback(line.slope).flatten(1)
        shared = pulled.data_ptr() == line.slope.data_ptr() and bool((geometry.scale == 1).all())
        self.cuts = Cuts.empty(geometry, line.slope[:1].numel(), shared, keep_points)
        self.cuts.add(geometry, geometry.x, line, pulled, model.tau)
        self.state = self._start(line.value)
        self.pull = _pull(geometry)
        self.open = torch.arange(len(line.value), device=line.value.device)

    def _start(self, value: Tensor) -> State:
        geometry = self.geometry
        w = self.cuts.slopes[:, 0]
        steep = geometry.steepness(w)
        mu = 1 / steep if is_linear(geometry.p) else start_multiplier(geometry, value, w)
        low = dual_radius(geometry, value, w)
        one = torch.ones_like(low)
        return State(
            low=low,
            high=torch.full_like(low, torch.inf),
            weights=one[:, None],
            mu=mu.nan_to_num(0.0, 0.0, 0.0)[:, None],
            attack=geometry.x,
            deep=geometry.x,
            depth=value,
            tries=one - 1,
            score=geometry.steep(w),
        )

    def round(self) -> None:
        """One master problem, one tangent for every open row."""
        geometry, state, cuts = self.geometry, self.state, self.cuts
        state.mu, e, w = self._master()
        value = (state.mu * cuts.heights).sum(1)
        found = dual_radius(geometry, value, w)
        better = found > state.low
        state.low = torch.where(better, found, state.low)
        share = state.mu / state.mu.sum(1, keepdim=True)
        state.weights = torch.where(better[:, None], share, state.weights)
        point = self._query(e, w)
        line, pulled = tangent_at(self.model, geometry, point)
        cuts.add(geometry, point, line, pulled, self.model.tau)
        state.score = torch.maximum(state.score, geometry.steep(cuts.slopes[:, -1]))
        empty = torch.zeros_like(state.mu[:, :1])
        state.mu = torch.cat((state.mu, empty), 1)
        state.weights = torch.cat((state.weights, empty), 1)
        self._flat_cuts()
        self._attack(point, line.value)

    def _flat_cuts(self) -> None:
        """A newest cut that cannot fall and is positive is a proof on its own, with no master problem."""
        state, cuts = self.state, self.cuts
        alone = (cuts.slopes[:, -1] == 0).all(1) & (cuts.heights[:, -1] > 0)
        if bool(alone.any()):
            only = torch.zeros_like(state.weights)
            only[:, -1] = 1.0
            state.low = torch.where(alone, torch.inf, state.low)
            state.weights = torch.where(alone[:, None], only, state.weights)

    def _master(self) -> tuple[Tensor, Tensor, Tensor]:
        """Multipliers, the attack on the cuts (n, d), and the mixture's slope (n, d)."""
        geometry, state, cuts = self.geometry, self.state, self.cuts
        if is_linear(geometry.p):
            return self._linear_master()
        mu, e = newton_master(self._dual(), cuts.slopes, cuts.heights, state.mu, NEWTON_STEPS)
        return mu, e, combine(mu, cuts.slopes)

    def _dual(self) -> Dual:
        geometry, state = self.geometry, self.state
        dtype = geometry.x.dtype
        found = torch.isfinite(state.high)
        # Rows proved unbounded are closed; here they must only not disturb.
        low = torch.where(torch.isinf(state.low), 1.0, state.low)
        top = torch.where(found, state.high, 1.3 * low)
        reach = (geometry.side * (low + AIM * (top - low)).to(dtype)).unsqueeze(1)
        if geometry.enclosed:
            # Where no attack is near, perhaps there is none in the whole domain.
            room = torch.maximum(geometry.down, geometry.up).amax(1, keepdim=True)
            whole = ~found & (state.tries >= NEAR_TRIES) & (state.tries % 2 == 0)
            reach = torch.where(whole.unsqueeze(1), torch.maximum(reach, room), reach)
        margin = self.cuts.heights[:, :1]
        half = torch.minimum(geometry.down, reach) + torch.minimum(geometry.up, reach)
        allowed = ROUNDING * FADING**self.cuts.count * (1 - low / top).unsqueeze(1) * margin
        eps = 2 * allowed / half.sum(1, keepdim=True, dtype=torch.float64)
        cube = is_cube(geometry.p)
        # Where no attack exists the multipliers have no limit, and damping would hold them back.
        return Dual(
            geometry,
            reach,
            eps.clamp_min(torch.finfo(dtype).tiny ** 0.25).to(dtype),
            kappa=margin if cube else torch.zeros_like(margin),
            damping=torch.ones_like(margin) if cube else 0.1 ** state.tries.clamp(max=9)[:, None],
        )

    def _linear_master(self) -> tuple[Tensor, Tensor, Tensor]:
        geometry, state, cuts = self.geometry, self.state, self.cuts
        size, rounds = WORKING_SET, DOUBLING
        if geometry.unbounded:
            size, rounds = WORKING_SET_UNBOUNDED, DOUBLING_UNBOUNDED
        size = min(size * 2 ** (cuts.count // rounds), state.score.shape[1])
        chosen = state.score.topk(size, dim=1, sorted=False).indices
        top = 2 * torch.where(torch.isfinite(state.high), state.high, 2 * state.low)[:, None].to(
            geometry.x.dtype
        )
        live = self._live()
        rows = torch.arange(len(live), device=live.device).view(-1, 1, 1)
        slopes = cuts.store[rows, live.unsqueeze(2), chosen.unsqueeze(1)]
        solution, some = interior_point(
            LinearPrograms(
                slopes,
                cuts.heights.gather(1, live).to(slopes.dtype),
                torch.minimum(geometry.down.gather(1, chosen), top),
                torch.minimum(geometry.up.gather(1, chosen), top),
                state.mu.gather(1, live).to(slopes.dtype),
            ),
            (2 * (1 - state.low / state.high)).clamp(max=0.3),
        )
        mu = torch.zeros_like(state.mu).scatter_(1, live, solution.double())
        w = combine(mu, cuts.slopes)
        # A coordinate outside the working set whose slope pays belongs into it.
        pays = geometry.steep(w)
        urgent = state.score.amax(1, keepdim=True) * pays.clamp(max=1.5)
        state.score = torch.maximum(state.score, torch.where(pays > 1, urgent, 0.0))
        e = torch.zeros_like(geometry.x).scatter_(1, chosen, some.to(geometry.x.dtype))
        return mu, e, w

    def _live(self) -> Tensor:
        """The cuts in the linear program: (n, k) indices."""
        rank = self.state.mu.clone()
        rank[:, -2:] = torch.inf
        most = min(max(LIVE_CUTS, int(LIVE_SHARE * rank.shape[1])), rank.shape[1])
        return rank.topk(most, dim=1).indices

    def _query(self, e: Tensor, w: Tensor) -> Tensor:
        """Where to take the next tangent."""
        geometry, state = self.geometry, self.state
        point = geometry.point(e)
        lost = torch.isinf(state.high)
        # A distant attack says little about where the best one is.
        pull = (self.pull * state.low / state.high).to(point.dtype).unsqueeze(1)
        point = torch.lerp(point, state.attack, pull)
        if not bool(lost.any()):
            return point
        further = geometry.point(self._search(e, w))
        state.tries = state.tries + lost
        return torch.where(lost[:, None], further, point)

    def _search(self, e: Tensor, w: Tensor) -> Tensor:
        """For rows without an attack: beyond the master problem's attack, every other time at it, (n, d).

        At first a little further the same way; later straight down the mixture's slope, to
        twice its zero and beyond: a long way in the budget's norm, but into the depth that the
        interpolation needs.
        """
        geometry, state = self.geometry, self.state
        if is_linear(geometry.p):
            # Where a coordinate ends at its border, others that nearly pay go with it.
            room = geometry.room(w)
            step = torch.minimum(room, e.abs().amax(1, keepdim=True))
            pays = (BEYOND * w.abs() > 1) & torch.isfinite(room)
            near = torch.where(pays, -torch.sign(w) * step, BEYOND * e)
        else:
            dual = self._dual()
            near, _ = replace(dual, reach=BEYOND * dual.reach).respond(BEYOND * w)
        steep = geometry.steep(w)
        value = (state.mu * self.cuts.heights).sum(1)
        far = 2 * 1.3 ** (state.tries / 2) * value / steep.square().sum(1)
        # A mixture that no move makes fall points nowhere.
        steps = far.to(w.dtype).unsqueeze(1)
        down = torch.where(torch.isfinite(steps), -w * steps, near)
        tries = state.tries.unsqueeze(1)
        return torch.where(tries % 2 == 1, e, torch.where(tries < NEAR_TRIES, near, down))

    def _attack(self, point: Tensor, margin: Tensor) -> None:
        """Let ``point`` (n, d) with its margin improve the best attack."""
        state = self.state
        deeper = margin < state.depth
        share = torch.where((margin > 0) & (state.depth <= 0), margin / (margin - state.depth), 0.0)
        best = point + share.to(point.dtype).unsqueeze(1) * (state.deep - point)
        best = torch.clamp(best, self.geometry.lo, self.geometry.hi)
        budget = self.geometry.budget(best)
        better = ((margin <= 0) | (state.depth <= 0)) & (budget < state.high)
        state.high = torch.where(better, budget, state.high)
        state.attack = torch.where(better.unsqueeze(1), best, state.attack)
        state.deep = torch.where(deeper.unsqueeze(1), point, state.deep)
        state.depth = torch.where(deeper, margin, state.depth)

    def keep(self, index: Tensor) -> None:
        """Go on with some of the open rows only."""
        self.open = self.open[index]
        self.geometry, self.cuts = self.geometry.rows(index), self.cuts.rows(index)
        self.state = self.state.rows(index)


def _pull(geometry: Geometry) -> float:
    """How far a query is pulled from the master problem's attack to the best one known: by trial.

    The more optima a norm has, the more it takes; the strictly convex norms need little.
    """
    if is_linear(geometry.p):
        return 0.5 if geometry.unbounded else 0.2
    return 0.15 if geometry.p <= LARGEST_POWER else 0.2
