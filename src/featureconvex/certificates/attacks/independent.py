"""foolbox as an independent check: other people's attacks on the same model."""

import math
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.certificates.attacks.target import Margin, Target, column
from featureconvex.certificates.threats import L0, Threat
from featureconvex.errors import UserError


class Stretched(nn.Module):
    """Two logits, for with a single one foolbox finds nothing; its box [0, 1] becomes the attack's."""

    def __init__(self, model: Margin, lo: float, hi: float) -> None:
        super().__init__()
        self.logits, self.dtype = model.two_logits(), model.dtype
        self.lo, self.width = lo, hi - lo

    def forward(self, z: Tensor) -> Tensor:
        """(n, ...) in [0, 1] -> (n, 2)."""
        out: Tensor = self.logits((self.lo + z.double() * self.width).to(self.dtype))
        return out.float()


def foolbox_flips(target: Target, steps: int, budget: Tensor | None) -> Tensor:
    """The cheapest perturbation that foolbox's attacks found, 0 where none: (n, ...) float64.

    Minimal-norm attacks (Brendel-Bethge, DDN or EAD, FMN, DeepFool) in the threat's norm, inside the
    smallest common box of all rows; what does not fit a row's own domain is discarded later.

    Raises:
        UserError: foolbox is missing; an unbounded domain; costs, or a threat without a foolbox attack.
    """
    try:
        foolbox: Any = import_module("foolbox")
    except ImportError as error:
        raise UserError(
            "method='foolbox' needs foolbox: pip install 'featureconvex[attacks]'"
        ) from error
    lo = target.floor.amin(0, keepdim=True)
    hi = target.ceiling.amax(0, keepdim=True)
    if not bool(torch.isfinite(hi - lo).all()):
        raise UserError("foolbox attacks inside a box; give the attack a domain such as Box(0, 1)")
    low, high = float(lo.min()), float(hi.max())
    if high <= low:
        return torch.zeros_like(target.x)
    # One scale for all coordinates keeps the norms' proportions.
    logits = Stretched(target.model, low, high)
    model = foolbox.models.PyTorchModel(logits.eval(), bounds=(0, 1), device=target.x.device)
    start = ((target.x - low) / (high - low)).float()
    labels = torch.ones(len(start), dtype=torch.long, device=start.device)
    best = torch.zeros_like(target.x)
    least = torch.full((len(start),), torch.inf, dtype=torch.float64, device=start.device)
    for attack in _attacks(foolbox, target, steps):
        found = _run(attack, model, start, labels)
        delta = (low + found.double() * (high - low) - target.x).clamp(target.lo, target.hi)
        spent = target.threat.measure(delta)
        won = (target.margin(delta) <= 0) & (spent < least)
        least = torch.where(won, spent, least)
        best = torch.where(column(won, best), delta, best)
    if budget is not None:
        best = torch.where(column(least <= budget, best), best, 0.0)
    return best


def _run(attack: Any, model: Any, start: Tensor, labels: Tensor) -> Tensor:
    """What an attack found, (n, ...); a row that it gives up on stays where it is.

    DeepFool and Brendel-Bethge raise where one row of a batch leads nowhere, L0FMN where every coordinate
    of one has to change: the others are tried without it, half by half.
    """
    try:
        found: Tensor = attack(model, start, labels, epsilons=None)[1]
    except (ValueError, AssertionError, RuntimeError, IndexError):
        if len(start) == 1:
            return start
        rows = zip(start.chunk(2), labels.chunk(2), strict=True)
        return torch.cat([_run(attack, model, half, of_half) for half, of_half in rows])
    return found


def plain_norm(threat: Threat) -> float | None:
    """``p`` of the l_p norm, without costs, that the budget is; 0 for a count of coordinates, None else."""
    if isinstance(threat, L0) and threat.groups is None:
        return 0.0
    return None if threat.cost is not None else threat.exponent


def _attacks(foolbox: Any, target: Target, steps: int) -> list[Any]:
    threat, fb = target.threat, foolbox.attacks
    norm = plain_norm(threat)
    if norm == 0:
        return [fb.L0FMNAttack(steps=steps)]
    if norm == 1:
        return [fb.L1FMNAttack(steps=steps), fb.EADAttack(binary_search_steps=4, steps=steps)]
    if norm == 2:
        return [
            fb.L2FMNAttack(steps=steps),
            fb.DDNAttack(steps=steps),
            fb.L2DeepFoolAttack(steps=min(steps, 50)),
        ]
    if norm == math.inf:
        return [fb.LInfFMNAttack(steps=steps), fb.LinfDeepFoolAttack(steps=min(steps, 50))]
    raise UserError(
        f"foolbox has no attack for {threat!r}; it knows Lp(1), Lp(2), Lp(inf) without costs and L0()"
    )
