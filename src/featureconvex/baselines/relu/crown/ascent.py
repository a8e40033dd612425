"""Gradient ascent on the free numbers of a bound: any iterate is valid, the best one is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Bound = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]
"""Free numbers, (m, k) each -> what to climb (m,), differentiable, and what to keep the best of (m,)."""

LAST = 0.2
"""The last step's length, relative to the first; in between it falls geometrically."""


@dataclass(frozen=True)
class Free:
    """Numbers (m, k) to choose in ``[0, top]``, and the length of a first step: (k,) or a number."""

    start: Tensor
    top: float
    step: Tensor | float


def ascend(free: Sequence[Free], bound: Bound, steps: int) -> tuple[Tensor, list[Tensor]]:
    """The best value of every row in ``steps`` steps of Adam, (m,), and the numbers that gave it.

    Rows do not influence one another, so a batch gives what its rows give alone. With 0 steps: the
    value at the start.
    """
    now = [part.start for part in free]
    kept = list(now)
    best: Tensor | None = None
    decay = LAST ** (1 / max(1, steps - 1))
    first = [torch.zeros_like(part) for part in now]
    second = [torch.zeros_like(part) for part in now]
    for count in range(steps + 1):
        last = count == steps
        now = [part.detach().requires_grad_(not last) for part in now]
        with torch.set_grad_enabled(not last):
            climbed, value = bound(now)
        value = value.detach()
        better = torch.ones_like(value, dtype=torch.bool) if best is None else value > best
        best = value if best is None else torch.where(better, value, best)
        kept = [torch.where(better[:, None], b.detach(), a) for a, b in zip(kept, now, strict=True)]
        if last:
            break
        gradients = torch.autograd.grad(climbed.sum(), now)
        for index, (part, gradient) in enumerate(zip(free, gradients, strict=True)):
            first[index].mul_(0.9).add_(gradient, alpha=0.1)
            second[index].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            mean = first[index] / (1 - 0.9 ** (count + 1))
            size = (second[index] / (1 - 0.999 ** (count + 1))).sqrt() + 1e-9
            moved = now[index].detach() + decay**count * part.step * mean / size
            now[index] = moved.clamp(0, part.top)
    assert best is not None
    return best, kept
