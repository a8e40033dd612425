"""A model taken as a function: what certificates, attacks and validation evaluate and prove things about.

:func:`frozen_model` checks that a call of the model runs the code that is known, copies its weights, proves
the copy convex and its rows independent, and compares the copy's answers with the model's own. The
copy is kept, and used again as long as the model is bit for bit what it was; that is looked at every
time, since ``w.data.mul_(2)`` leaves no trace.
"""

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError, UserError
from featureconvex.features.base import FeatureMap
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn.convexity import prove_convex
from featureconvex.nn.freezing.as_written import (
    check_no_global_hook,
    check_own_methods,
    check_runs_as_written,
)
from featureconvex.nn.freezing.code import check_unchanged
from featureconvex.nn.freezing.frozen import freeze, is_frozen, is_known
from featureconvex.nn.freezing.snapshot import Snapshot
from featureconvex.nn.rows import prove_rows_independent

# A model whose answers differ by more than this from its parts' is not the composition of its parts:
# far more than rounding, relative to the numbers of the precision.
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-7}
# Rows on which the two are compared.
COMPARED = 4


@dataclass
class _Kept:
    """A frozen model, what it was taken from, and the shapes it was proved for."""

    frozen: FeatureConvexModel
    taken_from: Snapshot
    shapes: set[tuple[int, ...]] = field(default_factory=set)


_KEPT: "WeakKeyDictionary[FeatureConvexModel, _Kept]" = WeakKeyDictionary()
# The methods that make a call of a model what it is.
_METHODS = ("__call__", "__getattr__", "__getattribute__", "_call_impl", "forward", "logits")
_WRITTEN = {name: getattr(FeatureConvexModel, name) for name in _METHODS}


def frozen_model(model: FeatureConvexModel, x: Tensor | None = None) -> FeatureConvexModel:
    """The function that ``model`` computes in eval mode, proved convex; a frozen one is returned as it is.

    Nothing about ``model`` changes, its mode included; it may be in use in other threads.

    Args:
        model: the model.
        x: rows (m, ...) that it will be used on, in its dtype: their shape must be fit for it, rows must
            not see each other, and where the model is in eval mode it must answer as the copy does.

    Raises:
        ConvexityError: no proof, code that is not the model's class's own (a hook, a replaced method, an
            overriding subclass), or rows that see each other.
        UserError: a half-precision model, or rows of a shape that the model does not take.
    """
    if is_frozen(model):
        return model
    check_no_global_hook()
    kept = _KEPT.get(model)
    written = all(getattr(type(model), name) is method for name, method in _WRITTEN.items())
    if kept is None or not written or not kept.taken_from.matches(model):
        _check_model_runs_as_written(model)
        check_precision(model)
        # Also where it lives: a constraint that was removed may be broken by the next step of training.
        prove_convex(model.convex_net)
        # First, so that a change meanwhile is seen at the next call.
        now = Snapshot(model)
        frozen = freeze(model, FeatureConvexModel)
        prove_convex(frozen.convex_net)
        now.share(frozen)
        kept = _KEPT[model] = _Kept(frozen, now)
    if x is not None and len(x):
        # What a class from elsewhere does may depend on the number of rows, too.
        known = all(is_known(type(part)) for part in kept.frozen.modules())
        shape = tuple(x.shape[1:]) if known else tuple(x.shape)
        if shape not in kept.shapes:
            _check_rows(model, kept.frozen, x)
            kept.shapes.add(shape)
    return kept.frozen


def in_precision(model: FeatureConvexModel, dtype: torch.dtype) -> FeatureConvexModel:
    """The function of ``model.to(dtype)``: a frozen model with its weights rounded to ``dtype``."""
    frozen = frozen_model(model)
    if frozen.dtype == dtype:
        return frozen
    rounded = freeze(frozen, dtype=dtype)
    # As in FeatureConvexModel: the threshold keeps its precision.
    rounded.tau = frozen.tau.clone()
    prove_convex(rounded.convex_net)
    return rounded


def check_precision(model: nn.Module) -> None:
    """Refuse numbers that are no plain float32 or float64 ones, or networks of mixed precision.

    Neither is certified or stored.

    Raises:
        UserError: naming the tensor and the remedy.
    """
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, value in tensors:
        if type(value) not in (Tensor, nn.Parameter):
            raise UserError(
                f"{name} is a {type(value).__qualname__}, which may compute anything; replace it by a "
                "plain tensor with .as_subclass(torch.Tensor)"
            )
        if value.is_meta:
            raise UserError(
                f"{name} is on the meta device and holds no numbers; move the model with "
                "model.to_empty(device='cpu') and load its weights"
            )
        if (value.is_floating_point() or value.is_complex()) and value.element_size() < 4:
            raise UserError(
                f"{name} is {str(value.dtype).removeprefix('torch.')}: a half-precision model is neither "
                "certified nor stored; convert it with model.float() and evaluate that one, too"
            )
    kinds = {
        value.dtype
        for name, value in tensors
        if name.startswith("convex_net.") and value.is_floating_point()
    }
    if len(kinds) > 1:
        raise UserError(
            f"the convex network mixes {' and '.join(sorted(map(str, kinds)))}; convert it with "
            "model.float() or model.double()"
        )


def _check_model_runs_as_written(model: FeatureConvexModel) -> None:
    check_runs_as_written(model)
    for part in model.feature_map.modules():
        check_unchanged(parametrize.type_before_parametrizations(part))
        if isinstance(part, FeatureMap):
            _check_claims(part)
    check_own_methods(model, _WRITTEN, "g(phi(x)) + tau")


def _check_claims(part: FeatureMap) -> None:
    """What a feature map claims has to be about its own ``forward``."""
    kind = type(part)
    claim = kind.inherited_claim()
    if claim is not None:
        raise ConvexityError(
            f"{kind.__qualname__} overrides forward and inherits {claim}, which is about another map; "
            f"give it a {claim} of its own"
        )
    for name in (*kind.claims, *kind.optional):
        if name in vars(part):
            raise ConvexityError(
                f"a {kind.__qualname__} has a replaced {name} method; remove it with del map.{name}, and "
                "write a FeatureMap of its own"
            )


@torch.no_grad()
def _check_rows(model: FeatureConvexModel, frozen: FeatureConvexModel, x: Tensor) -> None:
    """The rows' shape fits, rows are independent, and ``model`` answers as ``frozen`` does."""
    shape = tuple(x.shape[1:])
    try:
        prove_rows_independent(frozen, x)
        few = x[:COMPARED]
        answer = frozen(few)
    except (RuntimeError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"the model does not take rows of shape {shape}: {reason}; give it inputs of the shape that it "
            "was built or trained for"
        ) from error
    if any(part.training for part in model.modules()):
        return  # batch statistics: another function, and evaluating it would change them
    own = model(few.clone())
    size = 1 + answer.abs() + own.abs()
    # Not "apart > tolerance": where one is not a number, both have to be.
    close = (answer - own).abs() <= TOLERANCE[frozen.dtype] * size
    same = close | (answer == own) | (answer.isnan() & own.isnan())
    if not bool(same.all()):
        row = int((~same).nonzero()[0])
        raise ConvexityError(
            f"the model answers {float(own[row]):g} for an input where g(phi(x)) + tau, taken from its "
            f"parts, is {float(answer[row]):g}; something changes its forward pass, remove it"
        )
