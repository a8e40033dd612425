"""torch's activations that are convex and nondecreasing, for the parameters for which they are."""

from torch import nn

from featureconvex.nn.card import card
from featureconvex.nn.curves import Exponential, Kink
from featureconvex.nn.elementwise import ElementwiseCard
from featureconvex.rounding.activation import Curve


@card(nn.ReLU)
class ReLUCard(ElementwiseCard[nn.ReLU]):
    """``max(z, 0)``."""

    name = "relu"

    def curve(self, module: nn.ReLU) -> Curve:
        """A kink."""
        return Kink(0.0)


@card(nn.LeakyReLU)
class LeakyReLUCard(ElementwiseCard[nn.LeakyReLU]):
    """``max(z, slope z)``: convex and nondecreasing for slopes in [0, 1]."""

    name, parameter = "leaky_relu", "negative_slope"

    def curve(self, module: nn.LeakyReLU) -> Curve | None:
        """A kink."""
        slope = module.negative_slope
        return Kink(float(slope)) if 0 <= slope <= 1 else None


@card(nn.ELU)
class ELUCard(ElementwiseCard[nn.ELU]):
    """For alpha in [0, 1]; above, the slope jumps down at 0."""

    name, parameter = "elu", "alpha"

    def curve(self, module: nn.ELU) -> Curve | None:
        """An exponential that meets the identity with slope alpha."""
        if not 0 <= module.alpha <= 1:
            return None
        height = float(module.alpha)
        return Kink(0.0) if height == 0 else Exponential(height, 1.0)


@card(nn.CELU)
class CELUCard(ElementwiseCard[nn.CELU]):
    """For alpha > 0."""

    name, parameter = "celu", "alpha"

    def curve(self, module: nn.CELU) -> Curve | None:
        """An exponential that meets the identity with slope 1."""
        alpha = float(module.alpha)
        return Exponential(alpha, alpha) if alpha > 0 else None
