"""Laws of radii that need no attack: about NaN, smaller domains, dearer costs and upper bounds."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates import LEVELS, Box, Certificate, Domain, Lp, Threat
from featureconvex.testing.soundness.cases.case import Case
from featureconvex.testing.soundness.tally import Check

# What a level may lose against its own answer to an easier question: rounding, or its tolerance.
LOSS = {"domain": 1e-6, "sound": 1e-6, "tight": 0.02}
# Of level ``tight``, whose laws are about searches that have come to rest: a wild case at 6 fell by 10 %.
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
    p = threat.exponent
    if p is None:
        return []
    x = case.x[:rows]
    near = _nearer(x, domain)
    dear = Lp(p, _dearer(threat.cost, x))
    checks = []
    for level in levels:

        def certified(
            points: Tensor, threat: Threat, domain: Domain, level: str = level
        ) -> Certificate:
            chosen = fc.levels.Tight(iterations=ITERATIONS) if level == "tight" else level
            return fc.certify(case.model, points, threat, domain, chosen)

        def law(what: str, wrong: Callable[[], NDArray[np.bool_]], level: str = level) -> None:
            try:
                count = int(wrong().sum())
            except Exception:
                # Legal calls all of them: whatever is raised is the violation that is counted.
                count = len(x)
            checks.append(Check("law", what, level, len(x), 0, count))

        keep = 1 - LOSS[level]
        own: list[Certificate] = []

        def no_nan(level: str = level, own: list[Certificate] = own) -> NDArray[np.bool_]:
            spoilt = x.clone()
            spoilt[0].view(-1)[0] = math.nan
            own.append(certified(x, threat, domain))
            found = certified(spoilt, threat, domain)
            wrong = np.isnan(found.radius)
            wrong[0] |= found.radius[0] != 0
            wrong[1:] |= ~np.isclose(found.radius[1:], own[0].radius[1:], LOSS[level], 0)
            return wrong

        def smaller(own: list[Certificate] = own, keep: float = keep) -> NDArray[np.bool_]:
            return certified(x, threat, near).radius < own[0].radius * keep

        def dearer(own: list[Certificate] = own, keep: float = keep) -> NDArray[np.bool_]:
            return certified(x, dear, domain).radius < own[0].radius * keep

        def bracket(own: list[Certificate] = own) -> NDArray[np.bool_]:
            return own[0].radius > np.nan_to_num(own[0].upper, nan=np.inf)

        law("NaN proves nothing, and costs its own row only", no_nan)
        law("a smaller domain never makes a radius smaller", smaller)
        law("a dearer cost never makes a radius smaller", dearer)
        law("radius <= upper", bracket)
    return checks


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
