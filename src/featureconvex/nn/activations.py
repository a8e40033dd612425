"""Activations that keep convexity: convex and nondecreasing, anything else is refused."""

import math

from torch import Tensor, nn

from featureconvex.errors import ConvexityError, UserError
from featureconvex.given import real_number
from featureconvex.nn.card import card
from featureconvex.nn.curves import SmoothRamp, smooth_ramp
from featureconvex.nn.elementwise import ElementwiseCard, activation_cards, not_an_activation
from featureconvex.rounding.activation import Curve


class Softplus(nn.Module):
    """``log(1 + exp(beta x)) / beta``, as ``logaddexp(0, beta x) / beta``.

    torch's own ``nn.Softplus`` switches to the identity above a threshold and jumps down there, so
    as computed it is neither monotone nor convex.
    """

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        try:
            beta = real_number("beta", beta)
        except UserError as error:
            raise ConvexityError(f"softplus needs a finite beta > 0: {error}") from error
        if not (0 < beta < math.inf):
            raise ConvexityError(f"softplus needs a finite beta > 0, got {beta}")
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, any shape."""
        return smooth_ramp(x, self.beta)

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        return f"beta={self.beta:g}"


@card(Softplus)
class SoftplusCard(ElementwiseCard[Softplus]):
    """For finite beta > 0."""

    name, parameter = "softplus", "beta"

    def curve(self, module: Softplus) -> Curve | None:
        """The integral of a logistic function."""
        return SmoothRamp(module.beta) if 0 < module.beta < math.inf else None


def check_activation(module: nn.Module) -> nn.Module:
    """Return ``module`` if it is convex and nondecreasing on all of R.

    Accepted: ``Identity``, and every module whose card is an :class:`ElementwiseCard` with a curve for the
    module's parameters: ``ReLU``; ``LeakyReLU`` with slope in [0, 1]; ``ELU`` with alpha in [0, 1] (above 1
    the slope jumps down at 0); ``CELU`` with alpha > 0; :class:`Softplus`.

    Raises:
        ConvexityError: for any other module; a curve that is neither convex nor monotone would make
            every certificate of the network wrong.

    >>> check_activation(nn.Tanh())
    Traceback (most recent call last):
        ...
    featureconvex.errors.ConvexityError: Tanh() is not convex and nondecreasing; use one of relu, ...
    """
    kind = type(module)  # exactly these classes: a subclass may override forward
    made = activation_cards().get(kind)
    if kind is not nn.Identity and (made is None or made.curve(module) is None):
        raise not_an_activation(module)
    return module


def activation(spec: str | nn.Module) -> nn.Module:
    """The activation for a name such as ``"relu"``, ``"leaky_relu:0.1"``, ``"softplus:5"``, or a module.

    Raises:
        ConvexityError: unknown name, or an activation that is not convex and nondecreasing.

    >>> activation("leaky_relu:0.1")
    LeakyReLU(negative_slope=0.1)
    """
    if isinstance(spec, nn.Module):
        return check_activation(spec)
    if not isinstance(spec, str):
        raise ConvexityError(
            f"an activation is a name such as 'relu' or a module such as nn.ReLU(), got {spec!r}"
        )
    name, _, value = spec.partition(":")
    named = {made.name: (kind, made.parameter) for kind, made in activation_cards().items()}
    named["identity"] = (nn.Identity, None)
    if name not in named:
        raise ConvexityError(f"unknown activation {spec!r}; use one of {', '.join(named)}")
    kind, parameter = named[name]
    if not value:
        return check_activation(kind())
    if parameter is None:
        raise ConvexityError(f"activation {spec!r}: {name} takes no parameter")
    try:
        number = float(value)
    except ValueError as error:
        raise ConvexityError(f"activation {spec!r}: {value!r} is not a number") from error
    return check_activation(kind(**{parameter: number}))


def activation_name(module: nn.Module) -> str:
    """The inverse of :func:`activation`, for model files.

    >>> activation_name(Softplus(5.0))
    'softplus:5.0'
    """
    made = activation_cards().get(type(module))
    if made is None:
        return "identity"
    if made.parameter is None:
        return made.name
    return f"{made.name}:{float(getattr(module, made.parameter))!r}"
