"""Weights that cannot be negative: the parametrisation every convex network rests on.

A convex nondecreasing activation of ``A z + ...`` keeps convexity in the input when ``A >= 0``
elementwise (Amos, Xu and Kolter 2017, Proposition 1). The constraint is a parametrisation
(:mod:`torch.nn.utils.parametrize`), so no negative weight can reach the forward pass: not in
training, not after loading a state dict, not after assignment.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError
from featureconvex.given import real_number, whole_number
from featureconvex.nn.card import card
from featureconvex.nn.constraint import Constraint, constrained_parameters, hold
from featureconvex.nn.curvature import Curvature
from featureconvex.nn.freezing.as_written import runs_as_written
from featureconvex.nn.freezing.code import check_unchanged, remember
from featureconvex.nn.freezing.frozen import is_frozen
from featureconvex.nn.torch_modules.affine import (
    BatchNorm1dCard,
    BatchNorm2dCard,
    Conv2dCard,
    LinearCard,
)


class NonNegative(Constraint):
    """The set ``{w : w >= minimum}`` as a parametrisation ``w = max(raw, minimum)``.

    The clamp is the identity inside the set, so a stored weight comes back bit for bit. Its gradient
    vanishes where ``raw < minimum``: call :func:`project_` after each optimiser step, which makes a
    step projected gradient descent (the paper's clamping).
    """

    def __init__(self, minimum: float = 0.0) -> None:
        super().__init__()
        minimum = real_number("minimum", minimum)
        if not 0 <= minimum < math.inf:
            raise ConvexityError(f"the smallest weight must be >= 0 and finite, got {minimum}")
        self.minimum = minimum

    def forward(self, raw: Tensor) -> Tensor:
        """Into the set."""
        return raw.clamp_min(self.minimum)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Accept an assigned weight, or refuse one outside the set."""
        if not isinstance(weight, Tensor):
            raise ConvexityError(
                f"a convex path needs a tensor of weights >= {self.minimum:g}, got {weight!r}"
            )
        if not self.contains(weight):
            raise ConvexityError(
                f"a convex path needs finite weights >= {self.minimum:g}, "
                f"got values in [{weight.min():g}, {weight.max():g}]; "
                "clamp them first if that is what you mean"
            )
        return weight

    def contains(self, weight: Tensor) -> bool:
        """Membership: all entries finite and at least ``minimum``."""
        return bool(torch.isfinite(weight).all() and (weight >= self.minimum).all())

    def config(self) -> dict[str, Any]:
        """The smallest weight."""
        return {"minimum": self.minimum}

    @torch.no_grad()
    def keep(self, raw: Tensor) -> None:
        """Clamp: ``minimum`` is another number in another precision."""
        if bool((raw < self.minimum).any()):
            self.project_(raw)

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """Clamp: outside the set the gradient vanishes."""
        raw.clamp_(min=self.minimum)

    def extra_repr(self) -> str:
        """Shown by ``print(model)``."""
        return f"minimum={self.minimum:g}"


def constrain_(module: nn.Module, name: str = "weight", minimum: float = 0.0) -> None:
    """Make ``module.<name>`` nonnegative for good, starting from its absolute values."""
    weight = getattr(module, name)
    with torch.no_grad():
        weight.abs_().clamp_(min=minimum)
    hold(module, name, NonNegative(minimum))


def is_nonnegative(module: nn.Module, name: str = "weight") -> bool:
    """Whether ``module.<name>`` is held to the nonnegative numbers by its last parametrisation.

    The weight in use is looked at as well: a constraint that was tampered with does not count. A frozen
    module needs no constraint: its weight stays as it is.
    """
    if is_frozen(module):
        return not bool((getattr(module, name) < 0).any())
    if not parametrize.is_parametrized(module, name):
        return False
    chain: Any = module.parametrizations[name]  # type: ignore[index]
    last = chain[len(chain) - 1]
    if type(last) is not NonNegative or not (runs_as_written(chain) and runs_as_written(last)):
        return False
    # NaN passes: it is no negative weight, and a margin of NaN has a status of its own.
    return last.minimum >= 0 and not bool((getattr(module, name) < 0).any())


class _Constrained(nn.Module):
    """Lets ``layer.weight = nn.Parameter(w)`` mean what it says: a checked assignment of values.

    torch refuses to register a parameter under a parametrised name, with a message about something
    else.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Parameter) and parametrize.is_parametrized(self, name):
            value = value.detach()
        super().__setattr__(name, value)


@torch.no_grad()
def project_(module: nn.Module) -> None:
    """Move every raw weight below ``module`` to the nearest point of its set, in place."""
    for raw, constraint in constrained_parameters(module):
        constraint.project_(raw)


class NonNegativeLinear(_Constrained, nn.Linear):
    """``x -> A x + b`` with ``A >= 0``: affine and nondecreasing in every coordinate."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(
            whole_number("in_features", in_features, 1),
            whole_number("out_features", out_features, 1),
            bias,
        )
        constrain_(self)


class NonNegativeConv2d(_Constrained, nn.Conv2d):
    """A convolution with ``weight >= 0``, zero padding: affine and nondecreasing."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0
    ) -> None:
        super().__init__(
            whole_number("in_channels", in_channels, 1),
            whole_number("out_channels", out_channels, 1),
            whole_number("kernel_size", kernel_size, 1),
            padding=whole_number("padding", padding, 0),
        )
        constrain_(self)


# The paper's code keeps batch-norm scales at least this large; zero would cut a channel off for good.
SMALLEST_SCALE = 1e-3


class MonotoneBatchNorm1d(_Constrained, nn.BatchNorm1d):
    """Batch norm with scale >= 0.001: in eval mode affine and nondecreasing."""

    def __init__(self, num_features: int) -> None:
        super().__init__(whole_number("num_features", num_features, 1))
        constrain_(self, minimum=SMALLEST_SCALE)


class MonotoneBatchNorm2d(_Constrained, nn.BatchNorm2d):
    """Batch norm with scale >= 0.001: in eval mode affine and nondecreasing."""

    def __init__(self, num_features: int) -> None:
        super().__init__(whole_number("num_features", num_features, 1))
        constrain_(self, minimum=SMALLEST_SCALE)


remember(NonNegative)


def _monotone(layer: nn.Module, free: Curvature) -> Curvature:
    """``A x + b`` with ``A >= 0`` is affine and nondecreasing, as long as the constraint is there."""
    check_unchanged(NonNegative)
    if not is_nonnegative(layer):
        kind = parametrize.type_before_parametrizations(layer).__qualname__
        raise ConvexityError(
            f"the nonnegativity of a {kind} was removed or altered; build the layer anew to restore it"
        )
    return Curvature(free.affine, nondecreasing=True)


@card(NonNegativeLinear)
class NonNegativeLinearCard(LinearCard):
    """A linear layer that is nondecreasing."""

    def curvature(self, module: nn.Linear) -> Curvature:
        """Nonnegative weights."""
        return _monotone(module, super().curvature(module))


@card(NonNegativeConv2d)
class NonNegativeConv2dCard(Conv2dCard):
    """A convolution that is nondecreasing."""

    def curvature(self, module: nn.Conv1d | nn.Conv2d) -> Curvature:
        """Nonnegative weights."""
        return _monotone(module, super().curvature(module))


@card(MonotoneBatchNorm1d)
class MonotoneBatchNorm1dCard(BatchNorm1dCard):
    """A batch norm that is nondecreasing."""

    def curvature(self, module: _BatchNorm) -> Curvature:
        """Nonnegative scales."""
        return _monotone(module, super().curvature(module))


@card(MonotoneBatchNorm2d)
class MonotoneBatchNorm2dCard(BatchNorm2dCard):
    """A batch norm that is nondecreasing."""

    def curvature(self, module: _BatchNorm) -> Curvature:
        """Nonnegative scales."""
        return _monotone(module, super().curvature(module))
