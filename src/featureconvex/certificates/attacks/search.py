"""A search over whole batches: the method for the threat, restarts, and the re-evaluation that counts."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.attacks.ball import THOROUGH, Pace, descend, smallest
from featureconvex.certificates.attacks.edits import cheapest_edits
from featureconvex.certificates.attacks.general import cheapest, lowest
from featureconvex.certificates.attacks.independent import foolbox_flips
from featureconvex.certificates.attacks.support import few, fewest, listed
from featureconvex.certificates.attacks.target import Margin, Target, column
from featureconvex.certificates.attacks.verify import STEPS, shortened, verified
from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import Edits, Threat
from featureconvex.certificates.threats.support import Support
from featureconvex.progress import Ticker, silent

# Rows searched at once.
CHUNK_NUMBERS = 2**19

Found = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Search:
    """How to look for flips.

    Attributes:
        threat: what the budget measures.
        steps: gradient evaluations per search and restart.
        restarts: searches; all but the first start at a random point.
        method: ``"descent"`` or ``"foolbox"``.
        seed: of the random starts.
        bisections: evaluations spent on pulling a flip back along its segment.
        pace: of a search without a limit.
    """

    threat: Threat
    steps: int
    restarts: int = 1
    method: str = "descent"
    seed: int = 0
    bisections: int = STEPS
    pace: Pace = THOROUGH

    def run(self, target: Target, limit: Tensor | None, safe: Tensor | None = None) -> Found:
        """The best of all restarts: points, margins (n,) and distances (n,), nan where none.

        Args:
            target: the inputs.
            limit: (n,), the largest budgets to use; None looks for the smallest.
            safe: (n,), budgets known to hold no flip, where it saves work to know.
        """
        best = (target.x.to(target.model.dtype), target.first, target.first * torch.nan)
        aim = None if limit is None or bool(beyond_numbers(target.model, limit).all()) else limit
        generator = torch.Generator(target.x.device).manual_seed(self.seed)
        for restart in range(1 if self.method == "foolbox" else self.restarts):
            start = None
            if restart:
                noise = torch.randn(
                    target.x.shape, generator=generator, dtype=torch.float64, device=target.x.device
                )
                start = noise.clamp(target.lo, target.hi)
            delta = self._delta(target, aim, start, safe)
            if aim is None and not self.threat.counts and self.threat.divisible:
                delta = shortened(target, delta, self.bisections)
            best = better(best, verified(target, delta, limit))
            if isinstance(self.threat, Support | Edits):
                break  # supports and edits are chosen, not drawn
        return best

    def _delta(
        self, target: Target, limit: Tensor | None, start: Tensor | None, safe: Tensor | None
    ) -> Tensor:
        threat = self.threat
        if self.method == "foolbox":
            return foolbox_flips(target, self.steps, limit)
        if isinstance(threat, Edits):
            return cheapest_edits(target, threat, self.steps)
        if isinstance(threat, Support):
            return self._in_supports(target, threat, limit, safe)
        if limit is None:
            if threat.convex:
                return smallest(target, threat, self.steps, start, self.pace)[0]
            return cheapest(target, threat, self.steps, start)
        if start is not None:
            start = threat.project(start, limit, target.lo, target.hi)
        if threat.convex:
            return descend(target, threat, limit, self.steps, start)[0]
        return lowest(target, threat, limit, self.steps, start)

    def _in_supports(
        self, target: Target, threat: Support, limit: Tensor | None, safe: Tensor | None
    ) -> Tensor:
        found = listed(target, threat, self.steps, 10 * self.restarts)
        if found is not None:
            delta = found[0]
            if limit is None:
                return delta
            return torch.where(column(threat.measure(delta) <= limit, delta), delta, 0.0)
        if limit is None:
            return fewest(target, threat, self.steps, safe)[0]
        return few(target, threat, limit, self.steps)[0]


def beyond_numbers(model: Margin, limit: Tensor) -> Tensor:
    """Budgets that could carry a coordinate to where margins overflow, ``inf`` included: (n,) bool.

    With such a budget the smallest flip is looked for, and then compared with it.
    """
    return limit > math.sqrt(torch.finfo(model.dtype).max)


def search_all(
    model: Margin,
    x: Tensor,
    domain: Domain,
    limit: Tensor | None,
    search: Search,
    safe: Tensor | None = None,
    tick: Ticker = silent,
) -> Found:
    """Points, margins and distances of all rows, in chunks; only sensitive rows are searched.

    Args:
        model: in eval mode.
        x: (n, ...) in its dtype.
        domain: where the attacker may move.
        limit: (n,), the largest budgets, or None.
        search: how to look.
        safe: see :meth:`Search.run`.
        tick: called with the rows done since the last call.
    """
    with torch.no_grad():
        margin = model(x)
    points, distance = x.clone(), torch.full_like(margin, torch.nan)
    usable = searchable(x, margin, domain, search.threat)
    distance[usable & (margin <= 0)] = 0.0
    rows = (usable & (margin > 0)).nonzero().squeeze(1)
    tick(len(x) - len(rows), "")
    size = max(1, CHUNK_NUMBERS // max(1, x[:1].numel()))
    groups = [rows]
    if limit is not None:
        vast = beyond_numbers(model, limit[rows])
        groups = [rows[~vast], rows[vast]]
    for part in (part for group in groups if len(group) for part in torch.split(group, size)):
        target = Target.of(model, x[part], search.threat, domain.rows(part))
        most, known = (None if each is None else each[part] for each in (limit, safe))
        points[part], _, distance[part] = search.run(target, most, known)
        tick(len(part), "")
    if limit is not None and (search.threat.convex or search.threat.counts):
        left = groups[0][torch.isnan(distance[groups[0]])]
        for part in torch.split(left, size) if len(left) else ():
            target = Target.of(model, x[part], search.threat, domain.rows(part))
            near, price = nearby(target, search, limit[part])
            paid = ~torch.isnan(price)
            points[part] = torch.where(column(paid, near), near, points[part])
            distance[part] = price
    # The one evaluation that counts: all final points, in one call.
    with torch.no_grad():
        margin = model(points)
    if limit is not None:
        # A margin near zero may change its sign with the batch: what this one calls a flip is one.
        floor, ceiling = search.threat.within(*domain.bounds(x))
        inside = ((points >= floor) & (points <= ceiling)).flatten(1).all(1)
        spent = search.threat.measure(points.double() - x.double())
        late = usable & inside & (spent <= limit) & torch.isnan(distance)
        distance = torch.where(late, spent, distance)
    return points, margin, torch.where(margin <= 0, distance, torch.nan)


def searchable(x: Tensor, margin: Tensor, domain: Domain, threat: Threat) -> Tensor:
    """(n,) bool: finite rows and margins, in the domain, of the kind that the threat is about."""
    finite = torch.isfinite(x).flatten(1).all(1) & torch.isfinite(margin)
    return finite & domain.contains(x) & threat.admits(x)


def nearby(target: Target, search: Search, limit: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest flips that the search finds, for rows whose budget held none: steps as long as a large
    budget pass over flips nearby, above all where coordinates differ in scale.

    Returns:
        Points (n, ...) and their distances (n,), nan where none is within ``limit`` (n,).
    """
    points, _, price = search.run(target, None)
    return points, torch.where(price <= limit, price, torch.nan)


def better(old: Found, new: Found) -> Found:
    """Row by row the nearer flip, or the lower margin where neither flipped."""
    distance = new[2].nan_to_num(torch.inf)
    nearer = distance < old[2].nan_to_num(torch.inf)
    neither = torch.isnan(old[2]) & torch.isnan(new[2]) & (new[1] < old[1])
    take = nearer | neither
    return (
        torch.where(column(take, old[0]), new[0], old[0]),
        torch.where(take, new[1], old[1]),
        torch.where(take, new[2], old[2]),
    )
