"""Feature maps that apply one nondecreasing function to every coordinate."""

import math
from abc import abstractmethod

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap, constant, per_cost
from featureconvex.features.kinked_form import Around, KinkedForm
from featureconvex.norms import check_exponent, dual_exponent, vector_norm
from featureconvex.rounding.elementwise import Monotone
from featureconvex.rounding.graph import Graph

# On which a slope is asked for, too: points and intervals about 0, and half lines.
PARTS = [(-1, -1), (0, 0), (1, 1), (-1e3, 1e3), (-math.inf, 0), (0, math.inf)]


class Elementwise(FeatureMap):
    """``phi(x)_i = s(x_i)`` with one nondecreasing ``s``.

    A subclass writes ``forward`` and :meth:`steepest`, and for level ``sound`` :meth:`rounding`; constants,
    drop curves and rounded steps follow from these.
    """

    coordinatewise = True
    claims = (*FeatureMap.claims, "steepest", "rounding")

    @abstractmethod
    def steepest(self, a: Tensor, b: Tensor) -> Tensor:
        """At least the slope of ``s`` everywhere on ``[a, b]``, in exact arithmetic.

        Args:
            a: float64, any shape, ``-inf`` included.
            b: the same shape, ``>= a``, ``inf`` included.

        Returns:
            float64, >= 0, in the same shape.
        """

    def rounding(self) -> tuple[float, float]:
        """``(relative, absolute)``: with unit roundoff u, ``forward`` errs by at most
        ``u (relative |x| + absolute)``.

        Raises:
            UserError: not known.
        """
        raise UserError(
            f"level 'sound' has no rounding rule for {type(self).__name__}; give it the method rounding"
        )

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """The largest slope, also to every larger norm."""
        widens = check_exponent(p if s is None else s) >= check_exponent(p)
        return self._steepest_of_all() if widens else math.inf

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        """The largest slope times ``||v / cost||_q``."""
        v = v.double()
        v = v if cost is None else per_cost(v, cost)
        return constant(self, p, p) * vector_norm(v, dual_exponent(p))

    def kinked_form(self, v: Tensor, around: Around) -> KinkedForm:
        """Two slopes on the side where ``v_i s`` falls: up to a kink half way to the end, and beyond it.

        Up to the kink ``s`` changes by at most its steepest slope there per unit, beyond it by at most the
        steepest one there. On the other side ``v_i s`` does not fall.
        """
        lo, below, above, hi = around.ends()
        up = v < 0
        z = torch.where(up, _between(above, hi, 1.0), _between(below, lo, -1.0))
        near = self._steepest(torch.where(up, below, z), torch.where(up, z, above))
        far = self._steepest(torch.where(up, z, lo), torch.where(up, hi, z))
        turn = torch.where(up, far - near, near - far)
        return KinkedForm(v * (near + far) / 2, v * turn / 2, z, rounding=2.0**-50)

    def _steepest(self, a: Tensor, b: Tensor) -> Tensor:
        return self._slopes(self.steepest(torch.minimum(a, b), torch.maximum(a, b)))

    def _steepest_of_all(self) -> float:
        """The slope on the whole line, which is no less than those of a few parts."""
        far = torch.tensor(math.inf, dtype=torch.float64)
        whole = float(self._slopes(self.steepest(-far, far)))
        parts = self._slopes(self.steepest(*torch.tensor(PARTS, dtype=torch.float64).T))
        if float(parts.max()) > whole:
            raise UserError(
                f"{type(self).__name__}.steepest says {float(parts.max()):g} of a part of the line and "
                f"{whole:g} of all of it; it must be at least the slope everywhere between its ends, "
                "which may be negative, -inf or inf"
            )
        return whole

    def _slopes(self, stated: Tensor) -> Tensor:
        if not bool((stated >= 0).all()):
            raise UserError(
                f"{type(self).__name__}.steepest must return slopes >= 0, got "
                f"{float(stated[~(stated >= 0)].flatten()[0]):g}; its ends may be negative, -inf or inf"
            )
        return stated

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step."""
        relative, absolute = self.rounding()
        if not (relative >= 0 and absolute >= 0):
            raise UserError(
                f"{type(self).__name__}.rounding must return two numbers >= 0, got {relative!r} and "
                f"{absolute!r}"
            )
        return graph.apply(
            Monotone(self.forward, self.lipschitz(math.inf), relative, absolute), node
        )


def _between(x: Tensor, end: Tensor, side: float) -> Tensor:
    """A number between them, finite."""
    return torch.where(torch.isfinite(end), x / 2 + end / 2, x + side * (1 + x.abs()))
