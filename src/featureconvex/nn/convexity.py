"""A calculus of curvature: which modules are affine or convex, and when compositions are.

Each rule is one small function under the theorem it implements. A module without a rule is refused
by name, never guessed; :func:`rule` registers one::

    @rule(MyLayer)
    def _(layer: MyLayer) -> Curvature:
        return MONOTONE_CONVEX

A rule covers the exact class, not its subclasses: a subclass may override ``forward``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError
from featureconvex.nn.activations import Softplus, check_activation
from featureconvex.nn.as_written import foreign_code
from featureconvex.nn.convnet import ConvexBlock, ConvexConvNet
from featureconvex.nn.max_affine import MaxAffine
from featureconvex.nn.mlp import ConvexMLP
from featureconvex.nn.nonnegative import (
    MonotoneBatchNorm1d,
    MonotoneBatchNorm2d,
    NonNegativeConv2d,
    NonNegativeLinear,
    is_nonnegative,
)


@dataclass(frozen=True)
class Curvature:
    """What is proved about a module: every output is convex in the input, and perhaps more."""

    affine: bool
    nondecreasing: bool

    def after(self, inner: "Curvature") -> "Curvature | None":
        """The curvature of ``self o inner``, or None where nothing is proved.

        convex o affine is convex; (convex, nondecreasing) o convex is convex (Boyd and
        Vandenberghe, Convex Optimization, section 3.2.4).
        """
        if not inner.affine and not self.nondecreasing:
            return None
        return Curvature(self.affine and inner.affine, self.nondecreasing and inner.nondecreasing)

    def plus(self, other: "Curvature") -> "Curvature":
        """The curvature of a sum."""
        return Curvature(self.affine and other.affine, self.nondecreasing and other.nondecreasing)


AFFINE = Curvature(affine=True, nondecreasing=False)
MONOTONE_AFFINE = Curvature(affine=True, nondecreasing=True)
CONVEX = Curvature(affine=False, nondecreasing=False)
MONOTONE_CONVEX = Curvature(affine=False, nondecreasing=True)

# The proof, and the forward method it is about.
_RULES: dict[type[nn.Module], tuple[Callable[[Any], Curvature], Any]] = {}
_M = TypeVar("_M", bound=nn.Module)


def rule(*kinds: type[_M]) -> Callable[[Callable[[_M], Curvature]], Callable[[_M], Curvature]]:
    """Register what is proved about modules of exactly these classes (in eval mode)."""

    def register(function: Callable[[_M], Curvature]) -> Callable[[_M], Curvature]:
        _RULES.update({kind: (function, kind.forward) for kind in kinds})
        return function

    return register


def curvature(module: nn.Module) -> Curvature:
    """What is proved about ``module`` in eval mode.

    Raises:
        ConvexityError: no rule for the module's class, or its rule does not apply.
    """
    kind = parametrize.type_before_parametrizations(module)
    if kind not in _RULES:
        raise ConvexityError(
            f"no convexity rule for {kind.__module__}.{kind.__qualname__}; if it is convex in its "
            "input, register the proof with featureconvex.nn.convexity.rule"
        )
    other = foreign_code(module)
    if other is not None:
        raise ConvexityError(f"{kind.__qualname__} has {other}; it may compute anything")
    proof, written = _RULES[kind]
    if kind.forward is not written:
        raise ConvexityError(
            f"the forward method of {kind.__qualname__} was replaced since its rule was registered; "
            "restore it, or put the change into a class with its own rule"
        )
    return proof(module)


def prove_convex(module: nn.Module) -> Curvature:
    """Prove that ``module`` is convex in its input, or raise :class:`ConvexityError` saying why not."""
    return curvature(module)


def _compose(outer: nn.Module, inner: Curvature) -> Curvature:
    result = curvature(outer).after(inner)
    if result is None:
        raise ConvexityError(
            f"{outer!r} follows a convex, non-affine module and is not nondecreasing; "
            "use NonNegativeLinear, NonNegativeConv2d or MonotoneBatchNorm there"
        )
    return result


@rule(nn.Linear, nn.Conv1d, nn.Conv2d)
def _affine(_: nn.Module) -> Curvature:
    """An affine map is affine whatever its weights."""
    return AFFINE


@rule(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(norm: nn.modules.batchnorm._BatchNorm) -> Curvature:
    """Eval-mode batch norm is affine when it uses running statistics."""
    if norm.running_mean is None or norm.running_var is None:
        raise ConvexityError(
            f"{norm!r} uses batch statistics in eval mode; set track_running_stats=True"
        )
    return AFFINE


@rule(NonNegativeLinear, NonNegativeConv2d, MonotoneBatchNorm1d, MonotoneBatchNorm2d)
def _nonnegative(layer: nn.Module) -> Curvature:
    """``A x + b`` with ``A >= 0`` is affine and nondecreasing, as long as the constraint is there."""
    if not is_nonnegative(layer):
        kind = parametrize.type_before_parametrizations(layer).__qualname__
        raise ConvexityError(
            f"the nonnegativity of a {kind} was removed or altered; build the layer anew to restore it"
        )
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        _batch_norm(layer)
    return MONOTONE_AFFINE


@rule(nn.Identity, nn.Flatten, nn.Dropout, nn.AvgPool2d)
def _average(module: nn.Module) -> Curvature:
    """A selection or an average with nonnegative weights (dropout: in eval mode)."""
    if (getattr(module, "divisor_override", None) or 1) < 0:
        raise ConvexityError(f"{module!r} divides by a negative number; use a positive divisor")
    return MONOTONE_AFFINE


@rule(nn.MaxPool2d)
def _maximum(_: nn.Module) -> Curvature:
    """A maximum of coordinates is convex and nondecreasing."""
    return MONOTONE_CONVEX


@rule(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, Softplus)
def _activation(module: nn.Module) -> Curvature:
    """Convex and nondecreasing for the parameters that :func:`check_activation` admits."""
    check_activation(module)
    return MONOTONE_CONVEX


@rule(nn.Sequential)
def _sequential(module: nn.Sequential) -> Curvature:
    result = MONOTONE_AFFINE
    for part in module:
        result = _compose(part, result)
    return result


@rule(ConvexBlock)
def _block(block: ConvexBlock) -> Curvature:
    """``s(y + conv(y))``, ``y = bn(z)``: a sum of nondecreasing maps, then ``s``."""
    inner = curvature(block.norm)
    return _compose(block.activation, _compose(block.conv, inner).plus(inner))


@rule(ConvexMLP)
def _mlp(net: ConvexMLP) -> Curvature:
    result = curvature(net.input_layers[0])
    for i, layer in enumerate(net.hidden_layers):
        result = _compose(net.activation, result)
        if len(net.norms):
            result = _compose(net.norms[i], result)
        result = _compose(layer, result)
        if len(net.input_layers) > 1:
            result = result.plus(curvature(net.input_layers[i + 1]))
    return result


@rule(ConvexConvNet)
def _convnet(net: ConvexConvNet) -> Curvature:
    result = _compose(net.first_conv, curvature(net.first_norm))
    for part in (net.activation, *net.blocks, net.pooling, net.last_norm, net.readout):
        result = _compose(part, result)
    return result


@rule(MaxAffine)
def _max_affine(net: MaxAffine) -> Curvature:
    """A maximum of affine functions is convex."""
    curvature(net.affine)
    return CONVEX
