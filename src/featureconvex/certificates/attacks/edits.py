"""Attacks on tables: edits of categories and booleans one by one, and numeric moves beside them.

A flip lands on a real row: one-hot codes stay codes, whole numbers whole, everything inside its domain.
"""

from dataclasses import replace

import torch
from torch import Tensor

from featureconvex.certificates.attacks.ball import QUICK, smallest
from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.threats import Edits, Lp

# Edits before numeric moves are no longer looked at beside them.
MOST_MIXED = 4
# Single steps of whole numbers, to bring back a flip that rounding lost.
STEPS_BACK = 16


def cheapest_edits(target: Target, threat: Edits, steps: int) -> Tensor:
    """The perturbation of the cheapest flip found, else of the lowest margin: (n, d) float64.

    Edits are taken by what the tangent promises, per price or in all; after each one the cheapest numeric
    move that finishes is looked for. Edits that turn out not to be needed are taken back.
    """
    best = _Best(target, threat)
    for per_price in (True, False):
        delta = torch.zeros_like(target.x)
        for taken in range(len(threat.blocks) + 1):
            if taken <= MOST_MIXED:
                best.take(_with_numbers(target, threat, delta, max(1, steps // 2)))
            best.take(delta)
            # Rows that flipped without numbers only get dearer.
            after, more = _one_more(target, threat, delta, per_price)
            delta = torch.where((more & (target.margin(delta) > 0))[:, None], after, delta)
            if not bool(more.any()):
                break
        best.take(delta)
    for block in threat.blocks.coordinates:
        without = best.delta.clone()
        without[:, list(block)] = 0
        best.take(without)
    return best.delta


class _Best:
    """The cheapest flips so far; rows without one keep the lowest margin."""

    def __init__(self, target: Target, threat: Edits) -> None:
        self.target, self.threat = target, threat
        self.delta = torch.zeros_like(target.x)
        self.price = torch.full_like(target.first, torch.inf)
        self.margin = target.first.clone()

    def take(self, delta: Tensor) -> None:
        """Keep what is better, row by row."""
        margin, price = self.target.margin(delta), self.threat.measure(delta)
        price = price.where(margin <= 0, torch.inf)
        better = price < self.price
        better |= torch.isinf(self.price) & torch.isinf(price) & (margin < self.margin)
        self.delta = torch.where(column(better, delta), delta, self.delta)
        self.price = torch.where(better, price, self.price)
        self.margin = torch.where(better, margin, self.margin)


def _one_more(
    target: Target, threat: Edits, delta: Tensor, per_price: bool
) -> tuple[Tensor, Tensor]:
    """The edit that the tangent promises most for, of a block not edited yet; and whether there is one."""
    blocks, count = threat.blocks, target.x.shape[1]
    _, gradient = target.slope(delta)
    level = blocks.level(target.x)
    prices = blocks.prices.leaving(level)
    # Where the attacker cannot stand still, nothing but the edit itself may move.
    stuck = (target.lo > 0) | (target.hi < 0)
    can_rise = (target.lo <= 1) & (target.hi >= 1)
    can_sink = (target.lo <= -1) & (target.hi >= -1)
    score = torch.zeros_like(target.first)
    after = delta
    for block, coordinates in enumerate(blocks.coordinates):
        untouched = (delta[:, list(coordinates)] == 0).all(1)
        own, price = level[:, block, None], prices[:, block, : max(2, len(coordinates))]
        members = blocks.members[block, : price.shape[1]].to(delta.device)
        slope, off = gradient[:, members], stuck[:, members]
        if len(coordinates) == 1:
            # Levels 0 and 1 of one coordinate.
            way = torch.tensor([-1.0, 1.0], dtype=slope.dtype, device=delta.device)
            gain = -slope * way
            inside = torch.where(way > 0, can_rise[:, members], can_sink[:, members])
            freed = off.long()
        else:
            gain = slope.gather(1, own) - slope
            inside = can_rise[:, members] & can_sink[:, members].gather(1, own)
            freed = off.long() + off.gather(1, own)
        inside &= stuck.sum(1, keepdim=True) == freed
        possible = untouched[:, None] & inside & (price > 0) & torch.isfinite(price)
        promise = (gain / price if per_price else gain).where(possible, -torch.inf)
        most, to = promise.max(1)
        step = blocks.step(level[:, block], block, to, count)
        better = most > score
        score = torch.where(better, most, score)
        after = torch.where(better[:, None], delta + step, after)
    return after, score > 0


def _with_numbers(target: Target, threat: Edits, delta: Tensor, steps: int) -> Tensor:
    """``delta`` with the cheapest numeric move found beside its edits."""
    cost = threat.numeric_cost(target.x.shape[1])
    if bool(torch.isinf(cost).all()):
        return delta
    fixed = torch.isinf(cost).to(target.x.device)
    x = target.x + delta
    floor, ceiling = torch.where(fixed, x, target.floor), torch.where(fixed, x, target.ceiling)
    edited = replace(target, x=x, floor=floor, ceiling=ceiling, threat=Lp(1, cost))
    moved = smallest(edited, edited.threat, steps, pace=QUICK)[0]
    return delta + _whole(edited, threat, moved)


def _whole(target: Target, threat: Edits, moved: Tensor) -> Tensor:
    """The move with whole numbers where they are needed: away from the input, while the domain lasts."""
    if not threat.whole:
        return moved
    whole = torch.zeros(moved.shape[1], dtype=torch.bool, device=moved.device)
    whole[list(threat.whole)] = True
    further = moved.sign() * moved.abs().ceil()
    inside = (further >= target.lo) & (further <= target.hi)
    moved = torch.where(whole, torch.where(inside, further, moved.trunc()), moved)
    cost = threat.numeric_cost(moved.shape[1]).to(moved.device)
    for _ in range(STEPS_BACK):
        margin, gradient = target.slope(moved)
        lost = margin > 0
        if not bool(lost.any()):
            break
        step = moved - gradient.sign()
        free = whole & (step >= target.lo) & (step <= target.hi)
        rate = (gradient.abs() / cost).masked_fill(~free, 0.0)
        most, at = rate.max(1, keepdim=True)
        one = torch.zeros_like(moved).scatter(1, at, -gradient.sign().gather(1, at))
        moved = torch.where(lost[:, None] & (most > 0), moved + one, moved)
    return moved
