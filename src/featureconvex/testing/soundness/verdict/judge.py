"""The verdict on a point: the sign of the exact margin."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from torch import nn

from featureconvex.errors import UserError
from featureconvex.features import Distances, Scattering
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import Softplus
from featureconvex.testing.exact import ExactMargin

# Roots, exponentials and moduli: balls only.
SMOOTH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.ELU, nn.CELU, Softplus, Scattering)
PRECISIONS = (96, 384, 1536, 6144)


@dataclass(frozen=True)
class Verdict:
    """The margin of one point.

    Attributes:
        positive: certain.
        margin: rounded.
        exact: as it was found.
    """

    positive: bool
    margin: float
    exact: Any

    def distance(self, computed: Any) -> float:
        """``|computed - exact|``, rounded, for a number of float64 or longer."""
        import flint

        exact = self.exact
        if isinstance(exact, Fraction):
            exact = flint.fmpq(exact.numerator, exact.denominator)
        high = float(computed)
        with flint.ctx.workprec(PRECISIONS[1]):
            apart = (
                flint.arb(exact)
                - flint.arb(high)
                - flint.arb(float(computed - type(computed)(high)))
            )
            return abs(float(apart.mid()))


class Judge:
    """Exact margins of one model: balls of growing precision, then rational numbers for ties."""

    def __init__(self, model: FeatureConvexModel) -> None:
        import flint

        self.model = model
        self.balls = ExactMargin(model, flint.arb)
        self.rational = not any(
            isinstance(part, SMOOTH) or (isinstance(part, Distances) and part.p == 2)
            for part in model.modules()
        )

    def verdict(self, point: np.ndarray) -> Verdict:
        """The sign of the exact margin at a point in the shape of one input.

        Raises:
            UserError: the sign cannot be told even at thousands of bits.
        """
        import flint

        for precision in PRECISIONS:
            with flint.ctx.workprec(precision):
                margin = self.balls(point)
                if margin > 0 or margin < 0:
                    return Verdict(bool(margin > 0), float(margin.mid()), margin)
        if not self.rational:
            raise UserError(
                "a margin is zero to thousands of bits, which smooth models cannot settle"
            )
        exact = ExactMargin(self.model, Fraction)(point)
        return Verdict(exact > 0, float(exact), exact)
