"""Whether a call of a module runs its class's ``forward`` and nothing else.

What is proved about a module is proved about the code of its class. Hooks, replaced methods and compiled
calls run other code, so a module that carries one is refused, with the way to remove it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

from featureconvex.errors import ConvexityError

# As torch has it: a class or a patch that replaces one of these runs code of its own.
_CALLS = {
    name: getattr(nn.Module, name) for name in ("__call__", "_call_impl", "_wrapped_call_impl")
}
_GLOBAL = ("_global_forward_hooks", "_global_forward_pre_hooks")


class DirectCall:
    """Marks the call of a frozen module (:mod:`featureconvex.nn.freezing.frozen`): its class's forward."""

    __slots__ = ()


def foreign_code(module: nn.Module) -> str | None:
    """What else than its class's ``forward`` a call of ``module`` runs, and the remedy; None: nothing."""
    own = vars(module)
    call = own.get("_compiled_call_impl")
    if isinstance(call, DirectCall):
        return None
    if "forward" in own:
        return f"a replaced forward method ({_named(own['forward'])}); remove it with del module.forward"
    if call is not None:
        return "a compiled forward pass; certify the module without calling its compile()"
    for kind in ("forward_pre_hooks", "forward_hooks"):
        hooks = getattr(module, f"_{kind}")
        if hooks:
            word = kind.removesuffix("s").replace("_", " ")
            return (
                f"a {word} ({_all_named(hooks.values())}); call remove() on the handle that registering it "
                f"returned, or module._{kind}.clear()"
            )
    for name, original in _CALLS.items():
        if getattr(type(module), name) is not original:
            return f"a {name} of its own in place of torch.nn.Module's; use a class without it"
    return None


def runs_as_written(module: nn.Module) -> bool:
    """Whether a call of this one module, children apart, runs its class's ``forward`` and nothing else."""
    return foreign_code(module) is None


def check_runs_as_written(module: nn.Module) -> None:
    """Refuse a module of which any part, itself included, runs other code than its class's ``forward``.

    Raises:
        ConvexityError: a hook, a replaced or a compiled forward pass, naming it and the way to remove it.
    """
    check_no_global_hook()
    for name, part in module.named_modules():
        other = foreign_code(part)
        if other is not None:
            place = f" (at {name!r})" if name else ""
            raise ConvexityError(f"{type(part).__qualname__}{place} has {other}")


def check_own_methods(
    module: nn.Module, written: Mapping[str, Callable[..., Any]], computes: str
) -> None:
    """Refuse a model some of whose methods are not those its answers are known by.

    Args:
        module: the model.
        written: the methods that count, by name, as its class of this library has them.
        computes: what it then computes, in words.

    Raises:
        ConvexityError: an overriding subclass, or a method that was replaced on the model itself.
    """
    kind = type(module)
    for name, method in written.items():
        if getattr(kind, name) is not method or name in vars(module):
            raise ConvexityError(
                f"{kind.__qualname__} has a {name} of its own, so what it computes is not {computes}; "
                "put the change into a feature map or a convex network with its own rule"
            )


def check_no_global_hook() -> None:
    """Refuse to look at any module while a forward hook is registered for all of them.

    Raises:
        ConvexityError: there is one.
    """
    for name in _GLOBAL:
        hooks = getattr(torch_module, name)
        if hooks:
            word = name.removeprefix("_global_").removesuffix("s").replace("_", " ")
            raise ConvexityError(
                f"a {word} is registered for all modules ({_all_named(hooks.values())}) and may change "
                "what they compute; call remove() on the handle that registering it returned"
            )


def _all_named(hooks: Iterable[Callable[..., Any]]) -> str:
    return ", ".join(_named(hook) for hook in hooks)


def _named(function: Any) -> str:
    """Where a function comes from: what a person searches for."""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', None) or type(function).__module__}.{name}"
