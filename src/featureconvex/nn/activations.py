"""Activations that keep convexity: convex and nondecreasing, anything else is refused."""

import math

import torch
from torch import Tensor, nn

from featureconvex.errors import ConvexityError, UserError
from featureconvex.given import real_number


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


def smooth_ramp(x: Tensor, beta: float) -> Tensor:
    """``logaddexp(0, beta x) / beta``, and ``max(0, x)``, its limit, where the product overflows."""
    if beta > torch.finfo(x.dtype).max:
        return x.clamp_min(0)
    product = beta * x
    far = ~torch.isfinite(product) & torch.isfinite(x)
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    if not bool(far.any()):
        return torch.logaddexp(zero, product) / beta
    # Masked before the product, so that no gradient meets an infinity.
    near = torch.logaddexp(zero, beta * x.masked_fill(far, 0.0)) / beta
    return torch.where(far, x.clamp_min(0), near)


def check_activation(module: nn.Module) -> nn.Module:
    """Return ``module`` if it is convex and nondecreasing on all of R.

    Accepted: ``ReLU``; ``LeakyReLU`` with slope in [0, 1]; ``ELU`` with alpha in [0, 1] (above 1 the
    slope jumps down at 0); ``CELU`` with alpha > 0; :class:`Softplus`; ``Identity``.

    Raises:
        ConvexityError: for any other module; a curve that is neither convex nor monotone would make
            every certificate of the network wrong.

    >>> check_activation(nn.Tanh())
    Traceback (most recent call last):
        ...
    featureconvex.errors.ConvexityError: Tanh() is not convex and nondecreasing; use one of relu, ...
    """
    kind = type(module)  # exactly these classes: a subclass may override forward
    fits = (
        kind in (nn.ReLU, nn.Identity)
        or (kind is Softplus and 0 < module.beta < math.inf)  # type: ignore[operator]
        or (kind is nn.LeakyReLU and 0 <= module.negative_slope <= 1)  # type: ignore[operator]
        or (kind is nn.ELU and 0 <= module.alpha <= 1)  # type: ignore[operator]
        or (kind is nn.CELU and module.alpha > 0)  # type: ignore[operator]
    )
    if not fits:
        hint = (
            " (torch's version is not convex as computed)"
            if isinstance(module, nn.Softplus)
            else ""
        )
        raise ConvexityError(
            f"{module!r} is not convex and nondecreasing{hint}; use one of {', '.join(_NAMED)}, or "
            "LeakyReLU with slope in [0, 1], ELU with alpha in [0, 1], CELU with alpha > 0"
        )
    return module


_NAMED = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "softplus": Softplus,
    "identity": nn.Identity,
}
_PARAMETER = {nn.LeakyReLU: "negative_slope", nn.ELU: "alpha", nn.CELU: "alpha", Softplus: "beta"}


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
    if name not in _NAMED:
        raise ConvexityError(f"unknown activation {spec!r}; use one of {', '.join(_NAMED)}")
    kind = _NAMED[name]
    if not value:
        return check_activation(kind())
    try:
        return check_activation(kind(**{_PARAMETER[kind]: float(value)}))
    except (KeyError, ValueError) as error:
        raise ConvexityError(f"activation {spec!r}: {name} takes no such parameter") from error


def activation_name(module: nn.Module) -> str:
    """The inverse of :func:`activation`, for model files.

    >>> activation_name(Softplus(5.0))
    'softplus:5.0'
    """
    name = next(name for name, kind in _NAMED.items() if type(module) is kind)
    parameter = _PARAMETER.get(type(module))
    return name if parameter is None else f"{name}:{float(getattr(module, parameter))!r}"
