"""Laws of radii that need no attack: about NaN, smaller domains, dearer costs and upper bounds.

A level without a search answers a question that is easier for the defender with no smaller radius. Level
``tight`` searches, and promises that of rows where both searches came to rest: where the radius meets an
attack, or is infinite. Of all rows it promises that no attack found in answer to the easier question is
nearer than the radius.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import LEVELS, Box, Certificate, Domain, Lp, Threat
from featureconvex.testing.soundness.cases.case import Case
from featureconvex.testing.soundness.tally import Check

# What a level may lose against its own answer to an easier question: rounding, or its tolerance.
ROUNDING = 1e-6
LOSS = {"domain": ROUNDING, "sound": ROUNDING, "tight": 0.02}
# Of level ``tight``.
ITERATIONS = 20


def law_checks(
    case: Case, index: int, rows: int = 12, levels: tuple[str, ...] = LEVELS[1:]
) -> list[Check]:
    """Every law on some rows of one setting, level by level.

    Args:
        case: with a budget that is a norm at ``index``; no laws for others.
        index: of the setting.
        rows: how many points.
        levels: to certify at.
    """
    threat, domain = case.settings[index]
    if threat.exponent is None:
        return []
    x = case.x[:rows]
    return [
        check for level in levels for check in Laws(case.model, x, threat, domain, level).checks()
    ]


@dataclass(frozen=True)
class Laws:
    """What is promised of radii at one level.

    Attributes:
        model: any.
        x: (n, ...), n >= 1.
        threat: whose budget is a norm.
        domain: with every row in it.
        level: ``"domain"``, ``"sound"`` or ``"tight"``.
    """

    model: fc.FeatureConvexModel
    x: Tensor
    threat: Threat
    domain: Domain
    level: str

    def checks(self) -> list[Check]:
        """Every law, with the number of rows that break it."""
        laws: dict[str, Callable[[], NDArray[np.bool_]]] = {
            "NaN proves nothing, and costs its own row only": self.nan,
            "a smaller domain never makes a radius smaller": self.smaller_domain,
            "a dearer cost never makes a radius smaller": self.dearer_cost,
            "radius <= upper": self.below_upper,
        }
        return [self._check(what, law) for what, law in laws.items()]

    def _check(self, what: str, law: Callable[[], NDArray[np.bool_]]) -> Check:
        try:
            count = int(law().sum())
        except Exception:
            # Legal calls all of them: whatever is raised is the violation that is counted.
            count = len(self.x)
        return Check("law", what, self.level, len(self.x), 0, count)

    def nan(self) -> NDArray[np.bool_]:
        """(n,): rows that a number missing in the first row changes."""
        spoilt = self.x.clone()
        spoilt[0].view(-1)[0] = math.nan
        found = self._certified(spoilt)
        wrong = np.isnan(found.radius) | self._smaller(self.own, found)
        # Neither row is the easier question.
        wrong |= self._smaller(found, self.own)
        wrong[0] = found.radius[0] != 0
        return wrong

    def smaller_domain(self) -> NDArray[np.bool_]:
        """(n,): rows with a smaller radius in a smaller domain."""
        near = _nearer(self.x, self.domain)
        return self._smaller(self._certified(self.x, domain=near), self.own)

    def dearer_cost(self) -> NDArray[np.bool_]:
        """(n,): rows with a smaller radius where moves cost more."""
        exponent = self.threat.exponent
        assert exponent is not None
        dear = Lp(exponent, _dearer(self.threat.cost, self.x))
        return self._smaller(self._certified(self.x, threat=dear), self.own)

    def below_upper(self) -> NDArray[np.bool_]:
        """(n,): rows with a radius beyond an attack."""
        return self.own.radius > np.nan_to_num(self.own.upper, nan=np.inf)

    @cached_property
    def own(self) -> Certificate:
        """Of the setting itself."""
        return self._certified(self.x)

    def _certified(
        self, x: Tensor, threat: Threat | None = None, domain: Domain | None = None
    ) -> Certificate:
        level = fc.levels.Tight(iterations=ITERATIONS) if self.level == "tight" else self.level
        return fc.certify(self.model, x, threat or self.threat, domain or self.domain, level)

    def _smaller(self, easier: Certificate, own: Certificate) -> NDArray[np.bool_]:
        """(n,): rows whose radius is smaller though the question is easier for the defender."""
        loss = LOSS[self.level]
        wrong = easier.radius < own.radius * (1 - loss)
        if self.level != "tight":
            return wrong
        contradicted = easier.upper < own.radius * (1 - ROUNDING)
        return wrong & _at_rest(easier, loss) & _at_rest(own, loss) | contradicted


def _at_rest(found: Certificate, loss: float) -> NDArray[np.bool_]:
    """(n,): rows whose radius leaves at most the share ``loss`` of the way to an attack, or is infinite."""
    return np.isinf(found.radius) | (found.radius >= found.upper * (1 - loss))


def _nearer(x: Tensor, domain: Domain) -> Domain:
    """A box inside the domain that still holds every row; what is fixed stays so."""
    least, most = x.double().amin(0), x.double().amax(0)
    if not isinstance(domain, Box):
        return Box(least - 3, most + 3)
    low, high = (end.expand_as(least) for end in (domain.lo.double(), domain.hi.double()))
    low, high = torch.minimum((low + least) / 2, least), torch.maximum((high + most) / 2, most)
    return Box(low, high, domain.immutable, domain.direction)


def _dearer(cost: Tensor | None, x: Tensor) -> Tensor:
    cost = torch.ones(x.shape[1:], dtype=torch.float64) if cost is None else cost
    return cost.double() * torch.linspace(1, 3, cost.numel(), dtype=torch.float64).view(cost.shape)
