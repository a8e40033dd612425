"""Whether a module is still, bit for bit, what it was when it was frozen.

Looked at before every certificate, so in one flat pass: every module's class, what calls of it run, hooks,
settings and parts, and every number. Version counters would be cheaper, but ``w.data.mul_(2)`` leaves
no trace in them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featureconvex.nn.constraint import is_own_constraint
from featureconvex.nn.freezing.code import Use, uses
from featureconvex.nn.freezing.frozen import IGNORED, TENSORS, copied

_MISSING = object()
# Types of values that never change and whose == answers with a bool.
_SIMPLE = frozenset((int, float, str, bool, bytes, type(None)))
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(slots=True)
class _Part:
    """One module.

    Attributes:
        module: the module; None for the root, which must not be kept alive.
        own: its attributes, live.
        size: how many they were.
        kind: its class.
        forward: the class's forward method.
        settings: (name, value, whether == tells) of what torch does not manage, copied.
        parts: names and modules of its parts.
    """

    module: nn.Module | None
    own: dict[str, Any]
    size: int
    kind: type[nn.Module]
    forward: Any
    settings: list[tuple[str, Any, bool]]
    parts: dict[str, nn.Module | None]


@dataclass(slots=True)
class _Numbers:
    """One tensor.

    Attributes:
        group: the parameters or buffers it belongs to, live.
        name: its name there.
        live: the tensor itself.
        address: of its first number.
        bits: its numbers as integers, live.
        kept: the same, copied.
        part: the name of the module it belongs to.
    """

    group: dict[str, Tensor | None]
    name: str
    live: Tensor | None
    address: int
    bits: Tensor
    kept: Tensor
    part: str


class Snapshot:
    """What a module looks like now.

    Args:
        module: any module. Its parts are kept alive, itself is not.
    """

    def __init__(self, module: nn.Module) -> None:
        self._parts: list[_Part] = []
        self._numbers: list[_Numbers] = []
        self._sizes: list[tuple[dict[str, Any], int]] = []
        # Tensors that a parametrisation of unknown kind computes.
        self._computed: list[tuple[nn.Module, str, Tensor]] = []
        # What the classes of the parts run, each of it once.
        self._uses: dict[tuple[str, str], Use] = {}
        for name, part in module.named_modules():
            self._add(name, part, None if part is module else part)

    def share(self, frozen: nn.Module) -> None:
        """Compare with the numbers of a frozen copy from now on: the same, and no second copy to read."""
        for item in self._numbers:
            owner, _, constrained = item.part.rpartition("parametrizations.")
            place, name = (
                (owner.rstrip("."), constrained) if constrained else (item.part, item.name)
            )
            if item.live is None or (constrained and item.name != "original"):
                continue
            value = getattr(frozen.get_submodule(place), name)
            if value.shape == item.live.shape and value.dtype == item.live.dtype:
                bits = _bits(value)
                # A constrained weight may differ from what it is computed from.
                if not constrained or torch.equal(bits, item.kept):
                    item.kept = bits

    def matches(self, module: nn.Module) -> bool:
        """Whether ``module``, the one that was looked at, still looks the same."""
        for read, name, found, _ in self._uses.values():
            if read(name) is not found:
                return False
        for part in self._parts:
            own = part.own
            kind = type(module if part.module is None else part.module)
            if kind is not part.kind or kind.forward is not part.forward or len(own) != part.size:
                return False
            for name, value, simple in part.settings:
                live = own.get(name, _MISSING)
                if live is value or (simple and type(live) is type(value) and live == value):
                    continue
                # Nearly always hooks, of which there are none.
                if simple or not (_both_empty(live, value) or _same(live, value)):
                    return False
            if own["_modules"] != part.parts:
                return False
        if any(len(group) != size for group, size in self._sizes):
            return False
        for item in self._numbers:
            live = item.group.get(item.name, item)
            if live is not item.live:
                return False
            if live is not None and (
                live.data_ptr() != item.address or not torch.equal(item.bits, item.kept)
            ):
                return False
        with torch.no_grad():
            return all(_same(getattr(part, name), kept) for part, name, kept in self._computed)

    def _add(self, path: str, module: nn.Module, kept: nn.Module | None) -> None:
        own = vars(module)
        settings = [
            (
                name,
                value if type(value) in _SIMPLE else copied(value, Snapshot, {}),
                type(value) in _SIMPLE,
            )
            for name, value in own.items()
            if name not in IGNORED
        ]
        kind = type(module)
        parts = dict(own["_modules"])
        for use in uses(parametrize.type_before_parametrizations(module)):
            _, found_as, _, place = use
            self._uses.setdefault((found_as, place), use)
        self._parts.append(_Part(kept, own, len(own), kind, kind.forward, settings, parts))
        for group in TENSORS:
            self._sizes.append((own[group], len(own[group])))
            for name, value in own[group].items():
                if value is None:
                    empty = torch.empty(0)
                    self._numbers.append(_Numbers(own[group], name, None, 0, empty, empty, path))
                    continue
                bits = _bits(value)
                self._numbers.append(
                    _Numbers(own[group], name, value, value.data_ptr(), bits, bits.clone(), path)
                )
        if parametrize.is_parametrized(module):
            lists: Any = module.parametrizations
            for name, chain in lists.items():
                if not all(map(is_own_constraint, chain)):
                    with torch.no_grad():
                        self._computed.append((module, name, getattr(module, name).clone()))


def _bits(value: Tensor) -> Tensor:
    """The numbers of a tensor as integers, in the same memory."""
    value = value.detach()
    if value.is_complex():
        value = torch.view_as_real(value)
    return value.view(_BITS[value.element_size()])


def _both_empty(live: Any, kept: Any) -> bool:
    return type(live) is type(kept) is OrderedDict and not live and not kept


def _same(live: Any, kept: Any) -> bool:
    if isinstance(kept, Snapshot):
        return isinstance(live, nn.Module) and kept.matches(live)
    if isinstance(kept, Tensor):
        return (
            isinstance(live, Tensor)
            and (live.dtype, live.shape, live.device) == (kept.dtype, kept.shape, kept.device)
            and torch.equal(_bits(live), _bits(kept))
        )
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
