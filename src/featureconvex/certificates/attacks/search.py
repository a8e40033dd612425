"""The public attack: checks, the choice of a search, and the re-evaluation that counts."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featureconvex.certificates.arguments import (
    check_domain,
    check_inputs,
    check_model,
    check_threats,
)
from featureconvex.certificates.attacks.ball import descend, smallest
from featureconvex.certificates.attacks.final import settled, shortened
from featureconvex.certificates.attacks.independent import foolbox_flips
from featureconvex.certificates.attacks.result import AttackResult
from featureconvex.certificates.attacks.support import few, fewest, window
from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.certify import evaluating
from featureconvex.certificates.domain import Domain
from featureconvex.certificates.threats import L0, Lp, Patch, Threat
from featureconvex.errors import UserError
from featureconvex.model import FeatureConvexModel

METHODS = ("descent", "foolbox")
# Rows searched at once.
CHUNK_NUMBERS = 2**19


def attack(
    clf_or_model: Any,
    X: Any,
    threat: Threat | None = None,
    domain: Domain | None = None,
    budget: Any = None,
    *,
    steps: int = 100,
    restarts: int = 1,
    method: str = "descent",
    seed: int = 0,
) -> AttackResult:
    """Look for points that leave the sensitive class: an upper bound on every radius.

    For an affine feature map and an Lp threat the search is convex, and converges to the exact robust
    radius as ``steps`` grows (within about 1 % at the default on networks for MNIST). For other maps
    and threats it is an honest try.

    Args:
        clf_or_model: a :class:`~featureconvex.FeatureConvexModel`, or an estimator that holds one.
        X: (n, ...) inputs, as for ``certify``.
        threat: what the budget measures, default ``Lp(2)``.
        domain: where the attacker may move, default everywhere.
        budget: the largest budget to use, a number or (n,); None looks for the smallest one.
        steps: gradient evaluations per search and restart.
        restarts: searches; all but the first start at a random point. For a patch: windows tried are
            ten times this.
        method: ``"descent"``, or ``"foolbox"`` for an independent opinion (extra ``attacks``).
        seed: of the random starts.

    Raises:
        UserError: a negative budget, an unknown method, or what foolbox cannot do.

    >>> import featureconvex as fc
    >>> net = fc.nn.MaxAffine(2, pieces=1)
    >>> _ = net.affine.weight.data.copy_(torch.tensor([[3.0, 4.0]])), net.affine.bias.data.zero_()
    >>> model = fc.FeatureConvexModel(fc.features.Identity(), net)
    >>> result = attack(model, torch.tensor([[1.0, 0.5]]), fc.Lp(2))
    >>> bool(result.found[0]), round(float(result.distance[0]), 4)
    (True, 1.0)
    """
    model = check_model(getattr(clf_or_model, "model_", clf_or_model))
    threat, domain = check_threats(threat)[0], check_domain(domain)
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}; use one of {', '.join(METHODS)}")
    if steps < 1 or restarts < 1:
        raise UserError(f"steps and restarts must be >= 1, got {steps} and {restarts}")
    x = torch.as_tensor(check_inputs(X)).to(model.device, model.dtype)
    threat.check(tuple(x.shape[1:]))
    limit = _limit(budget, len(x), x.device)
    search = _Search(threat, steps, restarts, method, seed)
    with evaluating(model):
        points, margin, distance = _over(model, x, threat, domain, limit, search)
    return AttackResult(
        adversarial=points.cpu().numpy(),
        found=~np.isnan(distance.cpu().numpy()),
        distance=distance.cpu().numpy(),
        margin=margin.cpu().numpy(),
        threat=threat,
        domain=domain,
        budget=None if limit is None else limit.cpu().numpy(),
        method=method,
    )


def _limit(budget: Any, count: int, device: torch.device) -> Tensor | None:
    if budget is None:
        return None
    limit = torch.as_tensor(budget, dtype=torch.float64, device=device)
    if limit.ndim > 1 or (limit.ndim == 1 and len(limit) != count):
        raise UserError(f"budget takes a number or one per row, got shape {tuple(limit.shape)}")
    if not bool((limit >= 0).all()):
        raise UserError(f"a budget must be >= 0, got {budget}")
    return limit.expand(count).clone()


def _over(
    model: FeatureConvexModel,
    x: Tensor,
    threat: Threat,
    domain: Domain,
    limit: Tensor | None,
    search: "_Search",
) -> tuple[Tensor, Tensor, Tensor]:
    """Points, margins and distances of all rows, in chunks; only sensitive rows are searched."""
    with torch.no_grad():
        margin = model(x)
    points, distance = x.clone(), torch.full_like(margin, torch.nan)
    usable = torch.isfinite(x).flatten(1).all(1) & torch.isfinite(margin) & domain.contains(x)
    distance[usable & (margin <= 0)] = 0.0
    rows = (usable & (margin > 0)).nonzero().squeeze(1)
    size = max(1, CHUNK_NUMBERS // max(1, x[:1].numel()))
    for at in range(0, len(rows), size):
        part = rows[at : at + size]
        target = Target.of(model, x[part], threat, domain)
        most = None if limit is None else limit[part]
        points[part], _, distance[part] = search.run(target, most)
    # The one evaluation that counts: all final points, in one call.
    with torch.no_grad():
        margin = model(points)
    return points, margin, torch.where(margin <= 0, distance, torch.nan)


@dataclasses.dataclass(frozen=True)
class _Search:
    threat: Threat
    steps: int
    restarts: int
    method: str
    seed: int

    def run(self, target: Target, limit: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The best of all restarts, settled."""
        best = settled(target, torch.zeros_like(target.x), limit)
        generator = torch.Generator(target.x.device).manual_seed(self.seed)
        for restart in range(1 if self.method == "foolbox" else self.restarts):
            start = None
            if restart:
                noise = torch.randn(
                    target.x.shape, generator=generator, dtype=torch.float64, device=target.x.device
                )
                start = noise.clamp(target.lo, target.hi)
            delta = self._delta(target, limit, start)
            if limit is None:
                delta = shortened(target, delta)
            best = _better(best, settled(target, delta, limit))
            if not isinstance(self.threat, Lp):
                break  # supports are chosen, not drawn
        return best

    def _delta(self, target: Target, limit: Tensor | None, start: Tensor | None) -> Tensor:
        threat = self.threat
        if self.method == "foolbox":
            return foolbox_flips(target, self.steps, limit)
        if isinstance(threat, Lp):
            if limit is None:
                return smallest(target, threat, self.steps, start)[0]
            # The cast to the model's dtype may cost a little budget.
            inner = limit * (1 - 4 * torch.finfo(target.model.dtype).eps)
            if start is not None:
                start = threat.project(start, inner, target.lo, target.hi)
            return descend(target, threat, inner, self.steps, start)[0]
        if isinstance(threat, L0):
            if limit is None:
                return fewest(target, threat, self.steps)[0]
            return few(target, threat, limit, self.steps)[0]
        if isinstance(threat, Patch):
            delta = window(target, threat, self.steps, 10 * self.restarts)[0]
            if limit is not None:
                delta = torch.where(column(limit >= threat.size, delta), delta, 0.0)
            return delta
        raise UserError(f"no attack is known for {threat!r}")


_Found = tuple[Tensor, Tensor, Tensor]


def _better(old: _Found, new: _Found) -> _Found:
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
