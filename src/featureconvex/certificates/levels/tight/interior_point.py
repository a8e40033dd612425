"""The master problem for p = 1: a small linear program per row, solved by a batched interior-point method.

    min sum_i |e_i| + C xi   with   value_k + <w_k, e> <= xi for all cuts k,  -down <= e <= up,  xi >= 0.

``e = y+ - y-`` with ``0 <= y+ <= up``, ``0 <= y- <= down``. The penalty ``C`` keeps the program feasible
where the cuts admit no attack at all; the multipliers then sum to ``C`` and prove just that. Mehrotra's
predictor-corrector; every Newton system is reduced to one row and column per cut.

All nonnegative variables stand in one row, ``(y+, y-, room left of both, slacks of the cuts, xi)``, and
their multipliers in another of the same layout, so that complementarity is one product.
"""

import torch
from torch import Tensor

# Fraction of the way to the border that a step may take.
STEP = 0.99
FEWEST, MOST = 4, 14


class LinearPrograms:
    """One linear program per row, at one point.

    Args:
        slopes: (n, k, t) float64, the cuts on t coordinates.
        values: (n, k) float64, the cuts at ``e = 0``.
        down: (n, t), finite, >= 0.
        up: (n, t), likewise.
        guess: (n, k) >= 0, multipliers to start near; the penalty ``C`` is 20 times their sum.
    """

    def __init__(
        self,
        slopes: Tensor,
        values: Tensor,
        down: Tensor,
        up: Tensor,
        guess: Tensor,
    ) -> None:
        self.slopes, self.values = slopes, values
        self.penalty = 20 * guess.sum(1, keepdim=True)
        _, k, t = slopes.shape
        self.two, self.four, self.end = 2 * t, 4 * t, 4 * t + k
        bound = torch.cat((up, down), 1)
        largest = bound.amax(1, keepdim=True).clamp_min(torch.finfo(bound.dtype).tiny)
        # A coordinate that cannot move keeps a sliver of room, so that logarithms exist.
        self._start(torch.maximum(bound, 1e-9 * largest), 0.05 * largest, guess)

    def _start(self, bound: Tensor, typical: Tensor, guess: Tensor) -> None:
        k = self.values.shape[1]
        y = torch.minimum(0.5 * bound, typical)
        active = self.values + self._fall(y)
        size = active.abs().amax(1, keepdim=True) + torch.finfo(active.dtype).tiny ** 0.5
        xi = active.amax(1, keepdim=True).clamp_min(0) + 1e-2 * size
        self.primal = torch.cat((y, bound - y, xi - active, xi), 1)
        mu = guess + 0.1 * guess.sum(1, keepdim=True) / k
        reduced = 1 + self._signed(mu)
        z = reduced.clamp_min(0) + 0.1 * reduced.abs() + 0.1
        self.dual = torch.cat((z, z - reduced, mu, self.penalty - mu.sum(1, keepdim=True)), 1)

    def _fall(self, y: Tensor) -> Tensor:
        """``W e`` of (y+, y-): (n, 2t) -> (n, k)."""
        half = self.two // 2
        return torch.bmm(self.slopes, (y[:, :half] - y[:, half:]).unsqueeze(2)).squeeze(2)

    def _signed(self, mu: Tensor) -> Tensor:
        """``(W^T mu, -W^T mu)``: (n, k) -> (n, 2t)."""
        w = torch.bmm(mu.unsqueeze(1), self.slopes).squeeze(1)
        return torch.cat((w, -w), 1)

    @property
    def multipliers(self) -> Tensor:
        """(n, k) >= 0."""
        return self.dual[:, self.four : self.end]

    @property
    def e(self) -> Tensor:
        """(n, t)."""
        half = self.two // 2
        return self.primal[:, :half] - self.primal[:, half : self.two]

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows only: (m,) int64."""
        for name in ("slopes", "values", "penalty", "primal", "dual"):
            setattr(self, name, getattr(self, name)[rows])

    def gap(self) -> Tensor:
        """(n,): the duality gap, relative to the budget."""
        spent = self.primal[:, : self.two].sum(1)
        return (self.primal * self.dual).sum(1) / spent

    def step(self) -> None:
        """One predictor and one corrector; rows that would leave the finite numbers stay."""
        system = _System(self)
        product = self.primal * self.dual
        predictor = system.solve(-product)
        gap = product.sum(1, keepdim=True)
        ahead, over = self._moved(predictor, 1.0)
        share = (ahead * over).sum(1, keepdim=True) / gap
        centre = share.clamp(0, 1) ** 3 * gap / product.shape[1]
        direction = system.solve(centre - product - predictor[0] * predictor[1])
        primal, dual = self._moved(direction, STEP)
        fine = torch.isfinite(primal.sum(1) + dual.sum(1)).unsqueeze(1)
        self.primal = torch.where(fine, primal, self.primal)
        self.dual = torch.where(fine, dual, self.dual)

    def _moved(self, direction: tuple[Tensor, Tensor], fraction: float) -> tuple[Tensor, Tensor]:
        """As far along the direction as keeps everything positive, at most once."""
        moved = []
        for at, change in zip((self.primal, self.dual), direction, strict=True):
            worst = (change / at).amin(1, keepdim=True).neg_() / fraction
            moved.append(at + change / worst.clamp_min_(1.0))
        return moved[0], moved[1]


class _System:
    """The Newton equations at one point, factorised once for predictor and corrector."""

    def __init__(self, program: LinearPrograms) -> None:
        self.program = program
        primal, dual = program.primal, program.dual
        two, four, end = program.two, program.four, program.end
        self.ratio = dual / primal
        mu, slack, xi, zeta = dual[:, four:end], primal[:, four:end], primal[:, end:], dual[:, end:]
        self.res_dual = 1 + program._signed(mu) - dual[:, :two] + dual[:, two:four]
        self.res_cuts = program.values + program._fall(primal[:, :two]) - xi + slack
        self.res_penalty = program.penalty - mu.sum(1, keepdim=True) - zeta
        self.theta = 1 / (self.ratio[:, :two] + self.ratio[:, two:four])
        both = self.theta[:, : two // 2] + self.theta[:, two // 2 :]
        matrix = torch.bmm(program.slopes * both.unsqueeze(1), program.slopes.mT)
        matrix += (xi / zeta).unsqueeze(2)
        diagonal = matrix.diagonal(dim1=1, dim2=2)
        diagonal += slack / mu + 1e-12 * diagonal
        self.factor = torch.linalg.cholesky_ex(matrix.double())[0]

    def solve(self, goal: Tensor) -> tuple[Tensor, Tensor]:
        """The direction that meets the residuals, and the products ``goal``, to first order."""
        program, ratio = self.program, self.ratio
        primal, dual = program.primal, program.dual
        two, four, end = program.two, program.four, program.end
        over = goal / primal
        q = over[:, :two] - over[:, two:four] - self.res_dual
        xi, zeta = primal[:, end:], dual[:, end:]
        cuts = goal[:, four:end] / dual[:, four:end]
        right = program._fall(self.theta * q) + cuts + self.res_cuts
        right -= (goal[:, end:] - xi * self.res_penalty) / zeta
        mu = (
            torch.cholesky_solve(right.double().unsqueeze(2), self.factor)
            .squeeze(2)
            .to(right.dtype)
        )
        y = self.theta * (q - program._signed(mu))
        d_zeta = self.res_penalty - mu.sum(1, keepdim=True)
        d_slack = cuts - mu / ratio[:, four:end]
        d_xi = (goal[:, end:] - xi * d_zeta) / zeta
        d_z = over[:, :two] - ratio[:, :two] * y
        d_t = over[:, two:four] + ratio[:, two:four] * y
        return torch.cat((y, -y, d_slack, d_xi), 1), torch.cat((d_z, d_t, mu, d_zeta), 1)


def interior_point(programs: LinearPrograms, tolerance: Tensor) -> tuple[Tensor, Tensor]:
    """Solve one linear program per row, approximately: every row for itself, whatever the others need.

    Args:
        programs: at their start; afterwards those of the rows that were solved last.
        tolerance: (n,), duality gap relative to the budget at which a row is solved.

    Returns:
        The multipliers (n, k), >= 0, and e (n, t).
    """
    multipliers, e = programs.multipliers.clone(), programs.e
    rows = torch.arange(len(tolerance), device=tolerance.device)
    for k in range(1, MOST + 1):
        programs.step()
        if k < FEWEST:
            continue
        solved = (programs.gap() <= tolerance[rows]) | (k == MOST)
        if bool(solved.any()):
            multipliers[rows[solved]] = programs.multipliers[solved]
            e[rows[solved]] = programs.e[solved]
            left = (~solved).nonzero().squeeze(1)
            if not len(left):
                break
            programs.keep(left)
            rows = rows[left]
    return multipliers, e
