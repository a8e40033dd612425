"""Points just inside a radius: the steepest directions, descent, known flips, and their neighbours."""

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import Domain, Threat
from featureconvex.certificates.attacks.independent import plain_norm
from featureconvex.errors import UserError
from featureconvex.testing.attack_reference import best_move, reference_attack
from featureconvex.testing.law import seeded
from featureconvex.testing.soundness.cases.case import Case

# The share of a radius that an attack leaves unspent.
UNSPENT = 1e-12
# How far an attack goes where the radius is infinite and the domain is not bounded.
FAR = 1e3
# Of descent inside a radius; of the search for flips.
STEPS, RESTARTS, SEARCH = 4, 2, 20


@dataclass(frozen=True)
class Attacker:
    """Attacks on one case under one threat, shared by all ways to certify it.

    Attributes:
        model: in float64.
        x: (n, ...) float64.
        threat: the budget.
        domain: holds every x.
        slope: (n, ...) float64, where the first move goes against.
        flips: points that leave the class, each (n, ...), with their budgets (n,), nan where none.
        seed: of random neighbours.
        failed: what our own attack said instead of an answer, in wild cases.
    """

    model: fc.FeatureConvexModel
    x: Tensor
    threat: Threat
    domain: Domain
    slope: Tensor
    flips: list[tuple[Tensor, Tensor]]
    seed: int
    failed: list[str] = field(default_factory=list)

    @staticmethod
    def of(case: Case, index: int) -> "Attacker":
        """Find the flips of setting ``index``: by our own search, and by foolbox where the case says so."""
        threat, domain = case.settings[index]
        model, x = copy.deepcopy(case.model).double(), case.x.double()
        z = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(z).sum(), z)
        methods = ["descent", "foolbox"] if index in case.foolbox else ["descent"]
        flips, failed = [], []
        for method in methods:
            try:
                found = fc.attack(
                    model, x, threat, domain, steps=SEARCH, method=method, seed=case.seed
                )
            except Exception as error:
                if case.remake is None:
                    raise
                failed.append(f"{type(error).__name__}: {error}")
                continue
            flips.append((torch.from_numpy(found.adversarial), torch.from_numpy(found.distance)))
        slope = slope if case.slope is None else case.slope.expand_as(x)
        return Attacker(model, x, threat, domain, slope, flips, case.seed, failed)

    def points(self, radius: Tensor) -> Tensor:
        """(claims, n) radii -> (claims, n, tries, ...) float64, about as far as each radius reaches.

        Rounding may put some points outside domain or budget; x itself is the last of the tries.
        """
        claims, count = radius.shape
        many = (claims, *[1] * (self.x.ndim - 1))
        x, slope = self.x.repeat(many), self.slope.repeat(many)
        budget = self._budget(radius).flatten()
        deltas = [self._steepest(x, slope, budget), self._descended(x, budget)]
        deltas += [
            self._along(flip.repeat(many) - x, spent.repeat(claims), budget)
            for flip, spent in self.flips
        ]
        points = [x + delta for delta in deltas]
        with seeded(self.seed):
            neighbours = [_neighbour(point, x) for point in points[:2] for _ in range(2)]
        single = torch.where(points[0] == x, x, points[0].float().double())
        points += [*neighbours, single, x]
        low, high = self.domain.bounds(x)
        inside = [torch.minimum(torch.maximum(point, low), high) for point in points]
        return torch.stack(inside, dim=1).view(claims, count, len(points), *self.x.shape[1:])

    def _budget(self, radius: Tensor) -> Tensor:
        """What an attack may spend."""
        if not self.threat.counts:
            return radius.clamp(max=FAR * self._dearest()) * (1 - UNSPENT)
        return radius.clamp(max=self.x[0].numel())

    def _dearest(self) -> float:
        """What one unit of the dearest coordinate costs, a fixed one apart."""
        if self.threat.cost is None:
            return 1.0
        cost = self.threat.cost.double()
        return (
            float(cost[torch.isfinite(cost)].amax().clamp_min(1.0))
            if cost.isfinite().any()
            else 1.0
        )

    def _steepest(self, x: Tensor, slope: Tensor, budget: Tensor) -> Tensor:
        low, high = self.domain.bounds(x)
        down, up = (x - low).clamp_min(0), (high - x).clamp_min(0)
        return best_move(slope, self.threat, budget, down, up)

    def _descended(self, x: Tensor, budget: Tensor) -> Tensor:
        found = reference_attack(
            self.model, x, self.threat, budget, self.domain, steps=STEPS, restarts=RESTARTS
        )
        return found.points - x

    def _along(self, delta: Tensor, spent: Tensor, budget: Tensor) -> Tensor:
        """Towards a flip; a count cannot be spent in part."""
        share = (budget / spent).nan_to_num(0.0, posinf=0.0).clamp(max=1.0)
        if self.threat.counts:
            share = (share >= 1).double()
        # The last ulp of a share of 1 may be outside.
        return delta * share.view(-1, *[1] * (delta.ndim - 1))


def _neighbour(point: Tensor, x: Tensor) -> Tensor:
    """Up to two units in the last place away in every coordinate that moved."""
    noise = torch.randint(-2, 3, point.shape).double() * 2.0**-52
    return torch.where(point == x, x, point * (1 + noise))


def foolbox_knows(threat: Threat, domain: Domain) -> bool:
    """Whether foolbox has an attack: boxes with Lp(1), Lp(2), Lp(inf) without costs, and plain L0."""
    if (
        not isinstance(domain, fc.Box)
        or domain.immutable is not None
        or domain.direction is not None
    ):
        return False
    return plain_norm(threat) in (0, 1, 2, float("inf"))


def check_domain_holds(case: Case) -> None:
    """Refuse a case with points outside their own domain.

    Raises:
        UserError: naming the setting.
    """
    for threat, domain in case.settings:
        if not bool(domain.contains(case.x).all()):
            raise UserError(f"points of {case.architecture} lie outside {domain!r} of {threat!r}")
