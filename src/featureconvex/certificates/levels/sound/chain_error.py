"""How far a deployed feature map can be from exact arithmetic, as a whole, in one norm.

Entry by entry the error of a learned map grows with ``|W|`` from step to step, and ``|| |W| ||`` is many
times the norm of an orthogonal ``W``. In a norm s in which every step has a constant it does not.

Theorem. Let ``phi = T_m o ... o T_1`` with ``c_k`` at least the constant of ``T_k`` in l_s, and let a
computed step err by at most ``a_k ||z||_s + o_k ||T_k(z)||_s + d_k`` at every real z (:class:`.OwnError`).
Let the computed numbers in front of step k be within ``here + rate ||x' - x||_s`` of the exact ones at
x', and the norm of these at most ``size + lip ||x' - x||_s``. Then after it, with ``out`` the norm at x,

    here' = c here + a (size + here) + o (out + c here) + d,
    rate' = c rate + a (lip + rate) + o c (lip + rate),      lip' = c lip.

Proof: ``fl(T(z)) - T(y) = (fl(T(z)) - T(z)) + (T(z) - T(y))`` for the computed z and the exact y,
``||z||_s <= ||y||_s + ||z - y||_s`` and ``||T(z)||_s <= ||T(y)||_s + c ||z - y||_s``. The input is rounded:
``here = u size`` and what underflows, ``rate = u``, ``lip = 1``.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.norms import dual_exponent, widening
from featureconvex.rounding.ball import Ball
from featureconvex.rounding.directed import FLOAT64, Rounding, dual_norm_up, upper
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Mode, Step

CHAIN_NORMS = (2.0, math.inf)
# Covers the few roundings of one step of the recursion in float64.
ROUND_UP = 1 + 2.0**-40


@dataclass(frozen=True)
class ChainError:
    """``||fl(phi(x')) - phi(x')||_s <= here + rate ||x' - x||_s`` for every real x'.

    Attributes:
        norm: s.
        here: (n,) float64.
        rate: a number.
        lipschitz: at least the constant in l_s, in exact arithmetic.
    """

    norm: float
    here: Tensor
    rate: float
    lipschitz: float

    @staticmethod
    def of_input(x: Tensor, norm: float, arithmetic: Rounding) -> "ChainError":
        """Of rounding ``x`` (n, ...) itself."""
        underflow = arithmetic.underflow * widening(x[:1].numel(), norm, math.inf) * ROUND_UP
        here = upper(arithmetic.unit * _length(Ball.exact(x), norm) + underflow, 2)
        return ChainError(norm, here, arithmetic.unit, 1.0)

    def after(self, step: Step, x: Ball, y: Ball, arithmetic: Rounding) -> "ChainError | None":
        """After one more step, which makes ``y`` of ``x``; None where too little is known of it."""
        constant = step.constant(self.norm, self.norm)
        own = step.own_error(self.norm, torch.zeros_like(x.centre[:1]), arithmetic)
        if own is None or not math.isfinite(constant + sum(own)):
            return None
        moved, steeper = constant * self.here, own.inputs + own.outputs * constant
        here = moved + own.inputs * (_length(x, self.norm) + self.here)
        here += own.outputs * (_length(y, self.norm) + moved) + own.offset
        rate = constant * self.rate + steeper * (self.lipschitz + self.rate)
        lipschitz = constant * self.lipschitz * ROUND_UP
        return ChainError(self.norm, upper(here, 8), rate * ROUND_UP, lipschitz)

    def felt(self, growing: Ball) -> tuple[Tensor, Tensor]:
        """``(at, per)``: how much more than at phi(x) a network errs, at most ``at + per ||x' - x||_s``.

        Args:
            growing: weights of the network's error bound at ``phi(x)``, of one row: of an arriving error as
                centre, of a change as radius (:meth:`.Graph.growth`).
        """
        dual = [dual_norm_up(part, self.norm) for part in (growing.centre, growing.radius)]
        at = upper(dual[0] * self.here, 2)
        per = upper(dual[0] * self.rate + dual[1] * self.lipschitz, 4)
        return at, per


def chain_errors(features: Graph, x: Tensor, arithmetic: Rounding) -> tuple[Ball, list[ChainError]]:
    """``phi(x)`` enclosed in float64, and the error of the map around the rows of ``x`` (n, ...) float64.

    In every norm in which each step has a constant and a known rounding: in none where the steps are no
    chain.
    """
    ball = Ball.exact(x)
    found = [ChainError.of_input(x, norm, arithmetic) for norm in CHAIN_NORMS]
    for k, (step, parents) in enumerate(features.nodes[1:], start=1):
        if step is None or parents != (k - 1,) or not found:
            return ball, []
        image, _ = step.forward(ball, Mode(FLOAT64, relaxed=False), None)
        after = [error.after(step, ball, image, arithmetic) for error in found]
        found, ball = [error for error in after if error is not None], image
    return ball, found


def _length(ball: Ball, norm: float) -> Tensor:
    """(n,): at least the norm of everything in the ball."""
    size = ball.centre.abs() + ball.radius
    return dual_norm_up(upper(size, 1, size > 0), dual_exponent(norm))
