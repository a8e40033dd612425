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
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.nn.as_written import DirectCall

Module = TypeVar("Module", bound=nn.Module)

# Called with a frozen module and its inputs, instead of its forward; None as answer: let it run.
Handler = Callable[[nn.Module, tuple[Any, ...]], Tensor | None]
_HANDLER: ContextVar[Handler | None] = ContextVar("handler", default=None)

# What torch keeps in every module; neither the mode nor backward and state-dict hooks change a forward.
_TENSORS = ("_parameters", "_buffers")
_IGNORED = frozenset(vars(nn.Module())) - {"_forward_hooks", "_forward_pre_hooks"}
_RECORD = "_frozen_record"
_MISSING = object()


@dataclass(frozen=True)
class _Record:
    """What a module looked like when it was frozen.

    Attributes:
        kind: its class, with parametrisations.
        forward: the class's forward method.
        size: the number of its attributes.
        plain: its attributes that torch does not manage, as copied.
        children: the names of its parts.
        constraints: its parametrisations, frozen; the numbers that they give are tensors of the copy.
    """

    kind: type[nn.Module]
    forward: Any
    size: int
    plain: dict[str, Any]
    children: tuple[str, ...]
    constraints: tuple[nn.Module, ...]


def freeze(
    module: Module, kind: type[nn.Module] | None = None, dtype: torch.dtype | None = None
) -> Module:
    """A frozen copy of ``module``.

    Args:
        module: of any mode; not changed, and no code of it runs but its parametrisations.
        kind: the class of the copy; default: that of ``module``.
        dtype: of the copy's floating-point tensors; default: as they are.

    A part that occurs twice occurs twice in the copy, too.
    """
    with torch.no_grad():
        frozen: Module = _Freezing(dtype).module(module, kind)  # type: ignore[assignment]
    return frozen


def is_frozen(module: nn.Module) -> bool:
    """Whether ``module`` was made by :func:`freeze`."""
    return _RECORD in vars(module)


def unchanged(frozen: nn.Module, module: nn.Module) -> bool:
    """Whether freezing ``module`` again would give the same function: bit for bit, part by part."""
    with torch.no_grad():
        return _unchanged(frozen, module)


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
        self.foreign = not type(module).__module__.startswith(("torch.", "featureconvex."))

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
        plain = {name: self.value(value) for name, value in own.items() if name not in _IGNORED}
        state.update(plain)
        if state.get("inplace") is True:
            state["inplace"] = False
        constrained = _constrained(live)
        for group in _TENSORS:
            for name, value in own[group].items():
                state[group][name] = None if value is None else self.tensor(value)
        for name in constrained:
            state["_parameters"][name] = self.tensor(getattr(live, name))
        for name, part in own["_modules"].items():
            if not (constrained and name == "parametrizations"):
                state["_modules"][name] = None if part is None else self.module(part)
        state["training"] = False
        state[_RECORD] = _Record(
            kind=type(live),
            forward=type(live).forward,
            size=len(own),
            plain=plain,
            children=tuple(own["_modules"]),
            constraints=tuple(map(self.module, _constraints(live))),
        )
        # torch calls this in place of everything else that surrounds a forward pass.
        state["_compiled_call_impl"] = _Direct(frozen)
        return frozen

    def tensor(self, value: Tensor) -> Tensor:
        value = value.detach()
        if self.dtype is not None and value.is_floating_point():
            return value.to(self.dtype, copy=True)
        return value.clone()

    def value(self, value: Any) -> Any:
        """A copy of an attribute, with modules and tensors in it frozen."""
        if isinstance(value, Tensor):
            return value.detach().clone()
        if isinstance(value, nn.Module):
            return self.module(value)
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(self.value(part) for part in value)
        if type(value) is dict:
            return {name: self.value(part) for name, part in value.items()}
        try:
            return copy.deepcopy(value, self.memo)
        except Exception:
            # What cannot be copied is shared; it is compared with itself at every call.
            return value


def _constrained(module: nn.Module) -> list[str]:
    """The names of the parametrised tensors of a module, parts apart."""
    return list(module.parametrizations) if parametrize.is_parametrized(module) else []  # type: ignore[arg-type]


def _constraints(module: nn.Module) -> list[nn.Module]:
    """What its tensors are parametrised with."""
    lists: Any = getattr(module, "parametrizations", {})
    return [part for name in _constrained(module) for part in lists[name]]


def _unchanged(frozen: nn.Module, module: nn.Module) -> bool:
    kept = vars(frozen)
    record: _Record = kept[_RECORD]
    own, kind = vars(module), type(module)
    if kind is not record.kind or kind.forward is not record.forward or len(own) != record.size:
        return False
    parts = own["_modules"]
    if tuple(parts) != record.children:
        return False
    for name, value in record.plain.items():
        live = own.get(name, _MISSING)
        # Nearly always numbers, words and empty hooks.
        if live is not value and not (
            live == value if type(live) is type(value) in _SIMPLE else _same(live, value)
        ):
            return False
    for group in _TENSORS:
        mine, tensors = own[group], kept[group]
        if any(name not in tensors for name in mine):
            return False
        for name, value in tensors.items():
            # A parametrised tensor is no entry, but computed.
            live = mine[name] if name in mine else getattr(module, name, _MISSING)
            if live is not value and not _same(live, value):
                return False
    if record.constraints and not _same(_constraints(module), list(record.constraints)):
        return False
    for name, part in parts.items():
        if name not in kept["_modules"]:
            continue  # the parametrisations, see above
        other = kept["_modules"][name]
        if (part is None) != (other is None) or not (part is None or _unchanged(other, part)):
            return False
    return True


# Types whose == answers with a bool.
_SIMPLE = frozenset((int, float, str, bool, bytes))


def _same(live: Any, kept: Any) -> bool:
    if live is kept:
        return True
    if isinstance(kept, Tensor):
        return isinstance(live, Tensor) and same_bits(live, kept)
    if isinstance(kept, nn.Module) and is_frozen(kept):
        return isinstance(live, nn.Module) and _unchanged(kept, live)
    if type(live) is not type(kept):
        return False
    if isinstance(kept, list | tuple):
        return len(live) == len(kept) and all(map(_same, live, kept))
    if isinstance(kept, dict):
        return live.keys() == kept.keys() and all(_same(live[key], kept[key]) for key in kept)
    if isinstance(kept, np.ndarray):
        return bool(np.array_equal(live, kept))
    try:
        return bool(live == kept)
    except Exception:
        return False  # no answer is no proof


_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same bits in the same shape, on the same device."""
    if a.dtype != b.dtype or a.shape != b.shape or a.device != b.device:
        return False
    if a.is_complex():
        a, b = torch.view_as_real(a), torch.view_as_real(b)
    bits = _BITS[a.element_size()]
    return torch.equal(a.detach().view(bits), b.detach().view(bits))
