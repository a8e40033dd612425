"""CROWN: an affine lower bound on a ReLU network over a ball, found layer by layer, last layer first.

Over pre-activations in ``[l, u]`` with ``l < 0 < u``, ``relu(z)`` lies below ``u (z - l) / (u - l)``
and above ``a z`` for every ``a`` in [0, 1] (Zhang et al. 2018). Whatever is positive in front of it is
replaced by the lower line, whatever is negative by the upper one, from the last layer to the first;
what is left is affine in the input, and its least value over a ball is a dual norm. A split
``s z >= 0`` of a neuron (``s`` = 1 or -1) enters with a multiplier ``beta >= 0`` as ``- beta s z``
(Wang et al. 2021). Every slope and every multiplier gives a valid bound.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.baselines.relu.network import Affine


@dataclass(frozen=True)
class BallImage:
    """What the first layer makes of the unit ball of perturbations.

    Attributes:
        matrix: (h, k) with ``||a W_1||_q = ||a matrix||_q`` for every row ``a``: the first weight, or
            for p = 2 its triangular factor, which has fewer columns.
        p: 1, 2 or inf.
    """

    matrix: Tensor
    p: float

    @classmethod
    def of(cls, weight: Tensor, p: float) -> "BallImage":
        """Of a first layer's weight (h, d)."""
        if p == 2:
            return cls(torch.linalg.qr(weight.T, mode="r").R.T.contiguous(), p)
        return cls(weight, p)

    def reach(self, rows: Tensor) -> Tensor:
        """``||rows W_1||_q``, the most that ``rows W_1 delta`` can be for ``||delta||_p <= 1``, (m,).

        Args:
            rows: (m, h).
        """
        if self.p != 1:
            products = rows @ self.matrix
            return products.norm(dim=1) if self.p == 2 else products.abs().sum(dim=1)
        with torch.no_grad():
            largest = (rows @ self.matrix).abs().argmax(dim=1)
        # Only the largest entry has a gradient: no second product with the whole matrix.
        return (rows * self.matrix[:, largest].T).sum(dim=1).abs()


@dataclass(frozen=True)
class BoundProblem:
    """``n`` points of one network, prepared for bounds over balls around them.

    Hidden neurons are numbered through, first layer first: ``H`` in all.

    Attributes:
        ball: the perturbations, through the first layer.
        centre: (n, h_1), the first layer's pre-activations at the points.
        later: the layers after the first; the last one has one row, with the threshold in its bias.
    """

    ball: BallImage
    centre: Tensor
    later: Sequence[Affine]

    @classmethod
    def at(cls, layers: Sequence[Affine], x: Tensor, p: float) -> "BoundProblem":
        """Of points ``x`` (n, *shape) in float64, and layers with the threshold in the last bias."""
        (weight, bias), *later = layers
        return cls(BallImage.of(weight, p), x.flatten(1).to(weight) @ weight.T + bias, later)

    def part(self, rows: Tensor) -> "BoundProblem":
        """Only the points in ``rows``: a mask or indices."""
        return BoundProblem(self.ball, self.centre[rows], self.later)

    def __len__(self) -> int:
        return len(self.centre)

    @property
    def widths(self) -> list[int]:
        """Of the hidden layers."""
        return [weight.shape[1] for weight, _ in self.later]

    @property
    def margins(self) -> Tensor:
        """The score at the points, threshold included, (n,)."""
        z = self.centre
        for weight, bias in self.later:
            z = z.relu() @ weight.T + bias
        return z[:, 0]

    def spans(self) -> list[slice]:
        """Where each hidden layer's neurons are among all H."""
        ends = torch.tensor([0, *self.widths]).cumsum(0).tolist()
        return [slice(a, b) for a, b in itertools.pairwise(ends)]


@dataclass(frozen=True)
class ReluLines:
    """The two lines around each neuron's ReLU, one row per bound, over the layers known so far.

    Attributes:
        slope, intercept: (m, k), of the upper line.
        free: (m, k) bool, where the lower line's slope may be chosen.
        fixed: (m, k), its slope elsewhere: 1 where the neuron is active, 0 where not.
    """

    slope: Tensor
    intercept: Tensor
    free: Tensor
    fixed: Tensor

    @classmethod
    def over(cls, low: Tensor, high: Tensor) -> "ReluLines":
        """Of pre-activations between ``low`` and ``high``, (m, k)."""
        active = low >= 0
        free = ~active & (high > 0)
        fixed = active.to(low)
        slope = torch.where(free, high / torch.where(free, high - low, 1.0), fixed)
        return cls(slope, torch.where(free, -slope * low, 0.0), free, fixed)

    def rows(self, chosen: Tensor) -> "ReluLines":
        """The rows with these indices."""
        parts = (self.slope, self.intercept, self.free, self.fixed)
        return ReluLines(*(part[chosen] for part in parts))


def first_slopes(low: Tensor, high: Tensor) -> Tensor:
    """CROWN's own lower slopes: 1 where the triangle is smaller above it, else 0."""
    return (high > -low).to(low)


def affine_bound(
    problem: BoundProblem,
    rows: Tensor,
    constant: Tensor,
    relaxation: ReluLines,
    slopes: Tensor,
    pull: Tensor | None = None,
    trace: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """``(value, reach)``, (m,) each: ``value - r reach`` is below the function within radius ``r``.

    Valid as long as the relaxation is, for every ``slopes`` in [0, 1] and ``pull = beta s``.

    Args:
        problem: its points stand row by row (m of them).
        rows: (m, width), what is in front of the activations of the last layer that the relaxation
            knows.
        constant: (m,), what is added.
        relaxation: with m rows over the first layers.
        slopes: (m, k), of the lower lines; read only where the relaxation leaves them free.
        pull: (m, k), subtracted from what is in front of each pre-activation.
        trace: gets what stands in front of each layer's activations, last layer first.
    """
    lower = torch.where(relaxation.free, slopes, relaxation.fixed)
    spans = [span for span in problem.spans() if span.stop <= relaxation.slope.shape[1]]
    for layer in range(len(spans) - 1, -1, -1):
        span = spans[layer]
        if trace is not None:
            trace.append(rows)
        below = rows.clamp(max=0)
        constant = constant + (below * relaxation.intercept[:, span]).sum(dim=1)
        rows = (rows - below) * lower[:, span] + below * relaxation.slope[:, span]
        if pull is not None:
            rows = rows - pull[:, span]
        if layer > 0:
            weight, bias = problem.later[layer - 1]
            constant = constant + rows @ bias
            rows = rows @ weight
    return constant + (rows * problem.centre).sum(dim=1), problem.ball.reach(rows)
