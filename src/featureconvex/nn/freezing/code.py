"""The code that a call of a class runs, and whether it is still what it was when something was proved.

``nn.ReLU`` computes whatever ``torch.nn.functional.relu`` is at the moment. So with a class's ``forward``
goes all that it looks up by name: functions of modules, methods of the class and of tensors, and the
same for the functions of torch's layers, of this library and of the class's own file that it finds.
"""

import dis
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from torch import Tensor, nn

from featureconvex.errors import ConvexityError

# What a call of a module goes through on its way to ``forward``.
_CALL = ("__call__", "_call_impl", "_wrapped_call_impl")
# Functions whose own look-ups count, too. What torch's layers call is compiled.
_FOLLOWED = ("torch.nn.", "featureconvex.")
# How a name is looked up, the name, what was found, and where.
Use = tuple[Callable[[str], Any], str, Any, str]
_USES: dict[type[nn.Module], list[Use]] = {}


def remember(kind: type[nn.Module]) -> None:
    """Note what calls of a class run now: what is proved about the class is proved about this."""
    _USES[kind] = _Walk(kind).uses


def uses(kind: type[nn.Module]) -> list[Use]:
    """What was noted about a class; nothing where nothing was."""
    return _USES.get(kind, [])


def check_unchanged(kind: type[nn.Module]) -> None:
    """Refuse a class of which something was replaced since it was noted.

    Raises:
        ConvexityError: naming what was replaced.
    """
    for read, name, found, place in uses(kind):
        if read(name) is not found:
            what = (
                ""
                if place == f"method of {kind.__qualname__}"
                else f", which {kind.__qualname__} uses,"
            )
            raise ConvexityError(
                f"the {name} {place}{what} was replaced since the proof about {kind.__qualname__} was "
                "registered, so it may compute anything; restore it, or put the change into a class with "
                "its own rule or constant"
            )


class _Walk:
    """One pass over the functions that a call of a class reaches."""

    def __init__(self, kind: type[nn.Module]) -> None:
        self.uses: list[Use] = []
        self._kind = kind
        self._seen: set[tuple[int, str]] = set()
        for name in (*_CALL, "forward"):
            self._method(kind, name)
        # A forward may call that of a parent.
        for parent in kind.__mro__:
            if "forward" in vars(parent):
                self._method(parent, "forward")

    def _method(self, owner: type, name: str) -> None:
        found = getattr(owner, name, None)
        inherited = found is getattr(nn.Module, name, None) and name not in _CALL
        # What is made anew at every look has no identity.
        if callable(found) and not inherited and found is getattr(owner, name):
            self._note(
                owner, name, found, partial(getattr, owner), f"method of {owner.__qualname__}"
            )

    def _function(self, space: dict[str, Any], name: str, found: Any) -> None:
        home = space.get("__name__", "")
        if callable(found) and self._counts(home, ("torch", "featureconvex.")):
            self._note(space, name, found, space.get, f"of {home}")

    def _note(self, owner: Any, name: str, found: Any, read: Callable[..., Any], at: str) -> None:
        if (id(owner), name) in self._seen:
            return
        self._seen.add((id(owner), name))
        self.uses.append((read, name, found, at))
        ours = isinstance(found, FunctionType) and name not in _CALL
        if ours and self._counts(found.__module__ or "", _FOLLOWED):
            self._follow(found)

    def _counts(self, home: str, homes: tuple[str, ...]) -> bool:
        return home == self._kind.__module__ or home.startswith(homes)

    def _follow(self, function: FunctionType) -> None:
        if (id(function), "") in self._seen:
            return
        self._seen.add((id(function), ""))
        space: dict[str, Any] = function.__globals__
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # nothing in it yet
                if isinstance(cell.cell_contents, FunctionType):
                    self._follow(cell.cell_contents)
        module: ModuleType | None = None
        for name, is_global in _looked_up(function.__code__):
            owner = space if is_global else vars(module) if module is not None else None
            module = None
            if owner is None:
                for kind in (self._kind, Tensor):
                    self._method(kind, name)
            elif isinstance(found := owner.get(name), ModuleType):
                module = found
            else:
                self._function(owner, name, found)


def _looked_up(code: CodeType) -> Iterator[tuple[str, bool]]:
    """The names that a function looks up, in order, and whether among globals or as an attribute."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval, True
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield step.argval, False
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _looked_up(inner)
