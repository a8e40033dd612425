"""A module taken as a function: its tensors, settings and wiring at one moment, and nothing else.

What is proved about a network has to be proved about the function that is evaluated. A *frozen* module
is a private copy in eval mode whose tensors are clones, whose constrained weights are the numbers in use,
and whose calls run the class's ``forward`` directly: hooks, the module's own or those of all modules, do
not exist for it, and activations that overwrite their input do not. The module it was taken from is
only read, so that other threads may use it meanwhile.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.errors import ConvexityError
from featureconvex.nn.freezing.as_written import DirectCall

Module = TypeVar("Module", bound=nn.Module)

# Called with a frozen module and its inputs, instead of its forward; None as answer: let it run.
Handler = Callable[[nn.Module, tuple[Any, ...]], Tensor | None]
_HANDLER: ContextVar[Handler | None] = ContextVar("handler", default=None)

# What torch keeps in every module; neither the mode nor backward and state-dict hooks change a forward.
TENSORS = ("_parameters", "_buffers")
IGNORED = frozenset(vars(nn.Module())) - {"_forward_hooks", "_forward_pre_hooks"}
_MARK = "_frozen"


def freeze(
    module: Module, kind: type[nn.Module] | None = None, dtype: torch.dtype | None = None
) -> Module:
    """A frozen copy of ``module``.

    Args:
        module: of any mode; not changed, and no code of it runs but its parametrisations.
        kind: the class of the copy; default: that of ``module``.
        dtype: of the copy's floating-point tensors; default: as they are.

    A part that occurs twice is one part in the copy, too.
    """
    with torch.no_grad():
        frozen: Module = _Freezing(dtype).module(module, kind)  # type: ignore[assignment]
    return frozen


def is_frozen(module: nn.Module) -> bool:
    """Whether ``module`` was made by :func:`freeze`."""
    return _MARK in vars(module)


def is_known(kind: type[nn.Module]) -> bool:
    """Whether a class is torch's or this library's."""
    return kind.__module__.startswith(("torch.", "featureconvex."))


@contextmanager
def intercepting(handler: Handler) -> Iterator[None]:
    """Let ``handler`` answer calls of frozen modules, in this thread only.

    It is given the module and its inputs, and answers with the output, or with None to let the module run.
    """
    token = _HANDLER.set(handler)
    try:
        yield
    finally:
        _HANDLER.reset(token)


class _Direct(DirectCall):
    """The call of one frozen module."""

    __slots__ = ("foreign", "module")

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        # A class from elsewhere may overwrite its input.
        self.foreign = not is_known(type(module))

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        handler = _HANDLER.get()
        if handler is not None:
            answer = handler(self.module, inputs)
            if answer is not None:
                return answer
        if self.foreign:
            inputs = tuple(x.clone() if isinstance(x, Tensor) else x for x in inputs)
        return self.module.forward(*inputs, **named)


class _Freezing:
    """One pass over a module; parts that are shared stay shared."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        self.dtype = dtype
        self.made: dict[int, nn.Module] = {}
        self.memo: dict[int, Any] = {}

    def module(self, live: nn.Module, kind: type[nn.Module] | None = None) -> nn.Module:
        if id(live) in self.made:
            return self.made[id(live)]
        kind = kind or parametrize.type_before_parametrizations(live)
        frozen = kind.__new__(kind)
        nn.Module.__init__(frozen)
        self.made[id(live)] = frozen
        state, own = vars(frozen), vars(live)
        state.update(
            (name, copied(part, self.module, self.memo))
            for name, part in own.items()
            if name not in IGNORED
        )
        if state.get("inplace") is True:
            state["inplace"] = False
        constrained = list(live.parametrizations) if parametrize.is_parametrized(live) else []  # type: ignore[arg-type]
        for group in TENSORS:
            for name, value in own[group].items():
                state[group][name] = None if value is None else self.tensor(value)
        for name in constrained:
            state["_parameters"][name] = self.tensor(self.constrained(live, name))
        for name, part in own["_modules"].items():
            if not (constrained and name == "parametrizations"):
                state["_modules"][name] = None if part is None else self.module(part)
        state["training"] = False
        state[_MARK] = True
        # torch calls this in place of everything else that surrounds a forward pass.
        state["_compiled_call_impl"] = _Direct(frozen)
        return frozen

    def constrained(self, live: nn.Module, name: str) -> Tensor:
        """A parametrised tensor in eval mode, from the parametrisations' own copies."""
        chain: Any = live.parametrizations[name]  # type: ignore[index]
        whole = chain.is_tensor
        given = (
            [chain.original]
            if whole
            else [getattr(chain, f"original{k}") for k in range(chain.ntensors)]
        )
        first, second = (self._through(chain, given) for _ in range(2))
        if not bool(((first == second) | (first.isnan() & second.isnan())).all()):
            raise ConvexityError(
                f"the parametrisation of {name} in {type(live).__qualname__} answers differently each time "
                "it is asked; remove it with torch.nn.utils.parametrize.remove_parametrizations"
            )
        return first

    def _through(self, chain: Any, given: list[Tensor]) -> Tensor:
        parts = [self.module(part) for part in chain]
        value: Tensor = parts[0](*(one.detach().clone() for one in given))
        for part in parts[1:]:
            value = part(value)
        return value

    def tensor(self, value: Tensor) -> Tensor:
        value = value.detach()
        if self.dtype is not None and value.is_floating_point():
            return value.to(self.dtype, copy=True)
        return value.clone()


def copied(value: Any, module: Callable[[nn.Module], Any], memo: dict[int, Any]) -> Any:
    """A copy of an attribute: tensors in it cloned, modules in it turned into ``module(part)``.

    Args:
        value: anything; what cannot be copied is shared.
        module: what a module becomes.
        memo: as for :func:`copy.deepcopy`.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, nn.Module):
        return module(value)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(copied(part, module, memo) for part in value)
    if type(value) is dict:
        return {name: copied(part, module, memo) for name, part in value.items()}
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value
