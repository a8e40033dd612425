"""Models that do not run what would be proved: every one has to be refused, or certified as it runs.

A subclass with its own ``forward``, a replaced method, and hooks of every kind, on the model, on a part of
it and on all modules. Whatever changes the margins must be refused. A hook that changes gradients alone
leaves the function as it is: a certificate must then be that of the model without it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

import featureconvex as fc
from featureconvex.certificates import LEVELS
from featureconvex.errors import UserError
from featureconvex.testing.soundness.tally import Check

Intrusion = Callable[[fc.FeatureConvexModel], Any]
# How much larger than without the intruder a radius may be: nothing but rounding.
SLACK = 1e-6


class Rescaled(fc.FeatureConvexModel):
    """Answers for ten times its input."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n,)."""
        return super().forward(10 * x)


def _subclass(model: fc.FeatureConvexModel) -> fc.FeatureConvexModel:
    other = Rescaled(model.feature_map, model.convex_net, float(model.tau))
    return other.train(model.training)


def _replaced(model: fc.FeatureConvexModel) -> fc.FeatureConvexModel:
    true = model.forward
    model.forward = lambda x: true(10 * x)  # type: ignore[method-assign]
    return model


def _replaced_part(model: fc.FeatureConvexModel) -> fc.FeatureConvexModel:
    true = model.convex_net.forward
    model.convex_net.forward = lambda u: true(10 * u)
    return model


def _ten_times_in(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(10 * value for value in args)


def _less_out(_: nn.Module, args: Any, out: Tensor) -> Tensor:
    # What is called without arguments is a parametrization; what gets no rows is one's inside.
    if not args or out.ndim < 1 or len(args[0]) != len(out):
        return out
    lost: Tensor = 20 + 10 * args[0].flatten(1).abs().amax(1)
    return out - lost.view(-1, *[1] * (out.ndim - 1))


def _ten_times_gradient(_: nn.Module, grad_in: Any, __: Any) -> Any:
    return tuple(None if g is None else 0.1 * g for g in grad_in)


def _hooked(register: Callable[[fc.FeatureConvexModel], Any]) -> Intrusion:
    def intrude(model: fc.FeatureConvexModel) -> fc.FeatureConvexModel:
        register(model)
        return model

    return intrude


def _first_linear(model: fc.FeatureConvexModel) -> nn.Module:
    return next(part for part in model.modules() if isinstance(part, nn.Linear))


CHANGES: dict[str, Intrusion] = {
    "subclass with its own forward": _subclass,
    "replaced forward": _replaced,
    "replaced forward of the network": _replaced_part,
    "forward hook": _hooked(lambda m: m.register_forward_hook(_less_out)),
    "forward pre-hook": _hooked(lambda m: m.register_forward_pre_hook(_ten_times_in)),
    "forward hook on the network": _hooked(lambda m: m.convex_net.register_forward_hook(_less_out)),
    "forward pre-hook on a layer": _hooked(
        lambda m: _first_linear(m).register_forward_pre_hook(_ten_times_in)
    ),
}
# torch's own annotation denies that such a hook may answer.
GLOBAL: dict[str, Callable[[], Any]] = {
    "forward hook on all modules": lambda: register_module_forward_hook(
        _less_out  # type: ignore[arg-type]
    ),
    "forward pre-hook on all modules": lambda: register_module_forward_pre_hook(
        _ten_times_in  # type: ignore[arg-type]
    ),
}
GRADIENTS: dict[str, Intrusion] = {
    "backward hook": _hooked(
        lambda m: m.convex_net.register_full_backward_hook(_ten_times_gradient)
    ),
}
INTRUDERS = (*CHANGES, *GLOBAL, *GRADIENTS)


@contextmanager
def intruded(name: str, model: fc.FeatureConvexModel) -> Iterator[fc.FeatureConvexModel]:
    """The model with the intruder; a hook on all modules is gone afterwards."""
    if name in GLOBAL:
        handle = GLOBAL[name]()
        try:
            yield model
        finally:
            handle.remove()
    else:
        yield ({**CHANGES, **GRADIENTS})[name](model)


def _radius(model: fc.FeatureConvexModel, x: Tensor, level: str) -> NDArray[np.float64]:
    chosen = fc.levels.Tight(iterations=1) if level == "tight" else level
    return fc.certify(model, x, fc.Lp(2), None, chosen).radius


def intruder_checks(
    make: Callable[[], fc.FeatureConvexModel], x: Tensor, names: tuple[str, ...] = INTRUDERS
) -> list[Check]:
    """Try to certify with every intruder at every level.

    Args:
        make: the model without, a fresh copy at every call.
        x: (n, ...) of its inputs.
        names: of the intruders.
    """
    checks = []
    for name in names:
        for level in LEVELS:
            own = _radius(make(), x, level)
            with intruded(name, make()) as model:
                try:
                    with torch.enable_grad():
                        found = _radius(model, x, level)
                except UserError:
                    refused, wrong = 1, False
                except Exception:
                    # No refusal: nobody is told what to remove.
                    refused, wrong = 0, True
                else:
                    refused = 0
                    wrong = name not in GRADIENTS or bool(np.any(found > own * (1 + SLACK)))
            checks.append(Check("must be refused", name, level, 1, refused, int(wrong)))
    return checks
