"""Sets of weights as parametrisations (:mod:`torch.nn.utils.parametrize`).

They hold whatever a step of training, a state dict or an assignment brings.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Constraint(nn.Module, ABC):
    """A set of weights: ``forward`` maps any raw tensor into it, differentiably."""

    @abstractmethod
    def forward(self, raw: Tensor) -> Tensor:
        """Into the set."""

    @abstractmethod
    def right_inverse(self, weight: Tensor) -> Tensor:
        """A raw tensor for a weight of the set; refuses others."""

    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {}

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """After a step of the optimiser: move ``raw`` where gradients do not vanish, in place."""

    def keep(self, raw: Tensor) -> None:
        """Before a change of precision: let the weight in use be what is rounded."""


class Remembering(Constraint):
    """A set whose map is not the identity inside it.

    An assigned (or stored, and loaded) weight must come back bit for bit. So the last one assigned is
    kept, and in eval mode it is the weight until ``raw`` changes.
    """

    assigned_raw: Tensor | None
    assigned: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("assigned_raw", None, persistent=False)
        self.register_buffer("assigned", None, persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        """Into the set; the assigned weight itself as long as nothing changed it."""
        if self.training or self.assigned is None or not self._remembers(raw):
            return self.into(raw)
        return self.assigned

    def _remembers(self, raw: Tensor) -> bool:
        return self.assigned_raw is not None and torch.equal(raw, self.assigned_raw)

    @torch.no_grad()
    def keep(self, raw: Tensor) -> None:
        """Remember the present weight: computed anew in another precision it would be another one."""
        if not self._remembers(raw):
            self.assigned_raw, self.assigned = raw.detach().clone(), self.into(raw)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        """Remember the weight, and find a raw tensor near it."""
        self.check(weight)
        raw = self.back(weight)
        self.assigned_raw, self.assigned = raw.detach().clone(), weight.detach().clone()
        return raw

    def forget(self) -> None:
        """Let the weight be what the raw tensor says: a fresh one is worth no memory."""
        self.assigned_raw = self.assigned = None

    @abstractmethod
    def into(self, raw: Tensor) -> Tensor:
        """Into the set, differentiably."""

    @abstractmethod
    def back(self, weight: Tensor) -> Tensor:
        """A raw tensor that :meth:`into` maps (nearly) to ``weight``."""

    @abstractmethod
    def check(self, weight: Tensor) -> None:
        """Refuse a weight outside the set."""


def hold(module: nn.Module, name: str, constraint: Constraint) -> None:
    """Hold ``module.<name>`` to a set, from its present value on."""
    parametrize.register_parametrization(module, name, constraint)
    # The class that torch makes for each parametrised module refuses to be pickled, and cannot be found by
    # name; this one goes through the class it was made from.
    type(module).__reduce_ex__ = _reduce  # type: ignore[method-assign, assignment]


def constrained_parameters(module: nn.Module) -> Iterator[tuple[nn.Parameter, Constraint]]:
    """Every raw parameter below ``module`` with the set it is held to."""
    for part in module.modules():
        if isinstance(part, parametrize.ParametrizationList) and isinstance(part[-1], Constraint):
            yield part.original, part[-1]  # type: ignore[misc]


def _reduce(module: nn.Module, _: Any) -> tuple[Any, ...]:
    """How a constrained module is pickled: its own class, its weights as used, and their constraints.

    Raises:
        TypeError: a parametrisation that is no :class:`Constraint` of this library.
    """
    kind = parametrize.type_before_parametrizations(module)
    lists: Any = module.parametrizations
    state = dict(vars(module))
    state["_parameters"] = dict(module._parameters)
    state["_modules"] = {k: part for k, part in module._modules.items() if k != "parametrizations"}
    held: dict[str, tuple[type[Constraint], dict[str, Any]]] = {}
    for name, chain in lists.items():
        if len(chain) != 1 or not is_own_constraint(chain[0]):
            raise TypeError(
                f"cannot pickle a {kind.__qualname__} whose {name} has a parametrisation other than "
                "the library's own; save its state_dict() instead"
            )
        raw = chain.original
        used = getattr(module, name).detach().clone()
        state["_parameters"][name] = nn.Parameter(used, requires_grad=raw.requires_grad)
        held[name] = type(chain[0]), chain[0].config()
    return _restored, (kind, state, held)


def is_own_constraint(part: nn.Module) -> bool:
    """Whether a parametrisation is one of this library's sets: a function of the raw tensor alone."""
    return isinstance(part, Constraint) and type(part).__module__.startswith("featureconvex.")


def _restored(
    kind: type[nn.Module],
    state: dict[str, Any],
    held: dict[str, tuple[type[Constraint], dict[str, Any]]],
) -> nn.Module:
    """Undo :func:`_reduce`.

    Raises:
        ConvexityError: a stored weight outside its set.
    """
    module = kind.__new__(kind)
    module.__setstate__(state)  # type: ignore[no-untyped-call]
    for name, (constraint, config) in held.items():
        # Asks the constraint whether it contains the weight.
        hold(module, name, constraint(**config))
    return module
