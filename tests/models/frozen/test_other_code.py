"""A model that runs other code than what was proved is refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.models.frozen.cases import LEVELS, X, equal, radii, radii_of_small, small
from torch import Tensor, nn

import featureconvex as fc
from featureconvex import ConvexityError, FeatureConvexModel
from featureconvex.features import (
    AbsConcat,
)
from featureconvex.nn import (
    ConvexMLP,
    MaxAffine,
    NonNegativeLinear,
)


class Rescaled(FeatureConvexModel):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(20 * x)


class Relogit(FeatureConvexModel):
    def logits(self, x: Tensor) -> Tensor:
        return super().logits(20 * x)


class Recalled(FeatureConvexModel):
    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(20 * x)  # type: ignore[no-any-return]


class Rewired(FeatureConvexModel):
    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return MaxAffine(6, 1) if name == "convex_net" else found


def doubled(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return -2 * output


def shifted(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (20 * inputs[0],)


def of_class(kind: type[FeatureConvexModel]) -> Callable[[FeatureConvexModel], Any]:
    def change(model: FeatureConvexModel) -> Any:
        before = model.__class__
        model.__class__ = kind
        return lambda: setattr(model, "__class__", before)

    return change


def on_class(kind: type[nn.Module], name: str = "forward") -> Callable[[FeatureConvexModel], Any]:
    def change(_: FeatureConvexModel) -> Any:
        before = getattr(kind, name)
        setattr(kind, name, lambda self, x: before(self, 20 * x))
        return lambda: setattr(kind, name, before)

    return change


def on_torch(owner: Any, name: str) -> Callable[[FeatureConvexModel], Any]:
    def change(_: FeatureConvexModel) -> Any:
        # Classes show what they inherit: it must be gone again, not be written down.
        own = name in vars(owner)
        before = getattr(owner, name)
        setattr(owner, name, lambda *given, **named: before(*given, **named) - 3)
        return lambda: setattr(owner, name, before) if own else delattr(owner, name)

    return change


def replaced(model: FeatureConvexModel) -> Any:
    model.forward = lambda x: FeatureConvexModel.forward(model, 20 * x)  # type: ignore[method-assign]
    return lambda: delattr(model, "forward")


def part_replaced(model: FeatureConvexModel) -> Any:
    phi = model.feature_map
    phi.forward = lambda x: torch.cat((20 * x, x), 1)  # type: ignore[method-assign]
    return lambda: delattr(phi, "forward")


def compiled(model: FeatureConvexModel) -> Any:
    model._compiled_call_impl = lambda x: FeatureConvexModel.forward(model, 20 * x)
    return lambda: model.__dict__.pop("_compiled_call_impl")


GLOBAL = torch.nn.modules.module
CHANGES: dict[str, tuple[Callable[[FeatureConvexModel], Any], str]] = {
    "subclass with a forward": (of_class(Rescaled), "forward of its own"),
    "subclass with logits": (of_class(Relogit), "logits of its own"),
    "subclass with a call": (of_class(Recalled), "__call__ of its own"),
    "subclass with other parts": (of_class(Rewired), "__getattr__ of its own"),
    "forward hook": (lambda m: m.register_forward_hook(doubled).remove, "doubled"),
    "pre-hook": (lambda m: m.register_forward_pre_hook(shifted).remove, "shifted"),
    "forward replaced": (replaced, "replaced forward"),
    "hook of all modules": (
        lambda _: GLOBAL.register_module_forward_hook(doubled).remove,  # type: ignore[arg-type]
        "doubled.*remove",
    ),
    "pre-hook of all modules": (
        lambda _: GLOBAL.register_module_forward_pre_hook(shifted).remove,  # type: ignore[arg-type]
        "shifted.*remove",
    ),
    "hook of a layer": (
        lambda m: m.convex_net.input_layers[0].register_forward_hook(doubled).remove,  # type: ignore[index,union-attr]
        r"input_layers.0.*doubled.*_forward_hooks.clear\(\)",
    ),
    "hook of the map": (
        lambda m: m.feature_map.register_forward_pre_hook(shifted).remove,
        r"feature_map.*shifted.*_forward_pre_hooks.clear\(\)",
    ),
    "map's forward replaced": (part_replaced, "replaced forward"),
    "compiled": (compiled, "compiled"),
    "class's forward replaced": (on_class(FeatureConvexModel), "forward of its own"),
    "class's logits replaced": (on_class(FeatureConvexModel, "logits"), "logits of its own"),
    "network's class changed": (on_class(ConvexMLP), "forward method of ConvexMLP"),
    "layer's class changed": (on_class(NonNegativeLinear), "forward method of NonNegativeLinear"),
    "map's class changed": (on_class(AbsConcat), "forward method of AbsConcat"),
    "call of the network's class": (on_class(ConvexMLP, "__call__"), "ConvexMLP.* __call__"),
    "call of a layer's class": (on_class(nn.Linear, "_call_impl"), "_call_impl of its own"),
    "function of the activation": (
        on_torch(nn.functional, "relu"),
        "relu of torch.nn.functional, which ReLU uses",
    ),
    "function of a function": (on_torch(torch, "relu"), "relu of torch, which ReLU uses"),
    "function of the layers": (on_torch(nn.functional, "linear"), "linear of torch.nn.functional"),
    "method of tensors in the network": (on_torch(Tensor, "squeeze"), "squeeze method of Tensor"),
    "method of tensors in the map": (on_torch(Tensor, "abs"), "abs method of Tensor"),
    "method of tensors in the weights": (
        on_torch(Tensor, "clamp_min"),
        "clamp_min method of Tensor",
    ),
    "function of the map": (on_torch(torch, "cat"), "cat of torch, which AbsConcat uses"),
}


@pytest.mark.parametrize("before", [False, True], ids=["first", "after a certificate"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_model_that_runs_other_code_is_refused_by_name(name: str, before: bool) -> None:
    change, words = CHANGES[name]
    model = small()
    if before:
        radii(model)
    undo = change(model)
    try:
        for level in LEVELS:
            with pytest.raises(ConvexityError, match=words):
                radii(model, level=level)
        with pytest.raises(ConvexityError, match=words):
            fc.attack(model, X)
    finally:
        undo()
    assert equal(radii(model), radii_of_small("domain"))


@pytest.mark.parametrize("level", LEVELS)
def test_backward_hooks_have_no_say(level: str) -> None:
    """A gradient that is scaled on its way back is no subgradient."""
    model, expected = small(), radii_of_small(level)

    def tenth(_: nn.Module, inputs: Any, __: Any) -> Any:
        return tuple(None if g is None else g / 10 for g in inputs)

    handles = [
        model.convex_net.register_full_backward_hook(tenth),
        GLOBAL.register_module_full_backward_hook(tenth),
    ]
    try:
        assert equal(radii(model, level=level), expected)
    finally:
        for handle in handles:
            handle.remove()
