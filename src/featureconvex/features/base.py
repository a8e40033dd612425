"""What a feature map must tell the certificates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from inspect import signature
from itertools import chain
from numbers import Real
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.features.kinked_form import Around, KinkedForm
from featureconvex.features.stretches import Stretch
from featureconvex.nn.freezing.code import remember
from featureconvex.nn.freezing.frozen import is_frozen
from featureconvex.norms import dual_exponent, path_norms, vector_norm
from featureconvex.rounding.graph import Graph


class FeatureMap(nn.Module, ABC):
    """A map ``phi`` with a proved Lipschitz constant for every p in [1, inf].

    The class is its own card: everything the library knows about a map is a method of it. A subclass
    supplies ``forward``, :meth:`lipschitz` and :meth:`config`, sets the two flags truthfully, overrides
    :meth:`pullback` when it is affine, and may sharpen :meth:`sensitivity`. With :meth:`kinked_form` (or
    :meth:`diagonal`) an attacker's domain counts coordinate by coordinate, with :meth:`rounding_steps`
    level ``sound`` knows the map. A subclass that overrides ``forward`` inherits none of it.

    Attributes:
        claims: methods that prove something about ``forward``, without which the map is refused.
        optional: the same, of what a map need not say.
        coordinatewise: each output depends on one input only (``AbsConcat``: two copies).
        affine: ``phi(x) = A x + b``.
        learned: trained together with the network after it, or mixing coordinates as such maps do, and so
            best between two certain norms.
    """

    coordinatewise: bool = False
    affine: bool = False
    learned: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # What the constant is about: a method that is replaced later is another map.
        remember(cls)
        # What a class that writes its own forward need not say, it does not say.
        for name in (*cls.optional, *(["pullback"] if cls.affine is not True else [])):
            if cls._about_another_map(name):
                setattr(cls, name, getattr(FeatureMap, name))

    claims: ClassVar[tuple[str, ...]] = ("lipschitz", "sensitivity", "pullback")
    optional: ClassVar[tuple[str, ...]] = (
        *("parts", "diagonal", "kinked_form", "rounding_steps", "stretches"),
        *("lipschitz_per_cost", "by_construction"),
    )

    @classmethod
    def inherited_claim(cls) -> str | None:
        """What is claimed about the map by a class that does not know its ``forward``; None: nothing.

        A subclass that overrides ``forward`` computes another map, of which what its parent proved says
        nothing.
        """
        return next((name for name in cls.claims if cls._about_another_map(name)), None)

    @classmethod
    def _about_another_map(cls, name: str) -> bool:
        """Whether a method is inherited from a class that has another ``forward``.

        A class without any ``forward`` has derived its methods from others that are about the map.
        """
        place = {kind: at for at, kind in enumerate(cls.__mro__)}

        def owner(method: str) -> type[FeatureMap]:
            return next(kind for kind in cls.__mro__ if method in vars(kind))

        said_by = owner(name)
        known = getattr(said_by, "forward", None)
        derived = getattr(known, "__isabstractmethod__", False)
        return not derived and place[said_by] > place[owner("forward")]

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n, ...)."""

    @abstractmethod
    def lipschitz(self, p: float) -> float:
        """``L`` with ``||phi(x) - phi(y)||_p <= L ||x - y||_p`` for all x, y.

        A map may take a second exponent, ``lipschitz(p, s=None)``, for ``||phi(x) - phi(y)||_s`` on the
        left, and answer ``inf`` where it knows nothing. Otherwise its constant serves for every s > p.
        """

    def lipschitz_per_cost(self, cost: Tensor, p: float, s: float | None = None) -> float:
        """The constant of ``phi o diag(1 / cost)``: at most ``lipschitz(p, s) max 1 / cost``."""
        return constant(self, p, p if s is None else s) * float((1 / cost).max())

    def by_construction(self, p: float, s: float) -> float:
        """The constant that no step of training can exceed: free to compute, and what training divides by.

        No certificate uses it. A learned map states it; others have their constant.
        """
        return constant(self, p, s)

    def anneal(self, done: float) -> None:
        """Called by training with the share of its steps that are done, in [0, 1]."""

    def settle(self, x: Tensor) -> Tensor:
        """Called by training before every validation: adapt to some points, and answer ``phi(x)``.

        For what is estimated from points and not trained, such as means; without gradients.
        """
        out: Tensor = self(x)
        return out

    def pullback(self, v: Tensor) -> Tensor:
        """``A^T v`` for an affine map: a gradient at ``phi(x)`` becomes one at ``x``, row by row.

        Never called on a map that is not affine: chaining a subgradient through ``|.|`` gives no
        bound on the drop of ``g``.
        """
        raise TypeError(f"{type(self).__name__} is not affine and has no pullback")

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        """At most how fast ``<v, phi(x')>`` falls per unit of budget ``||cost * (x' - x)||_p``.

        An upper bound, for every ``x`` and ``x'``, on ``<v, phi(x) - phi(x')> / ||cost * (x' - x)||_p``.
        For an affine map it is exact, ``||A^T v / cost||_q``; otherwise the paper's
        ``Lip_p ||v||_q`` (Theorem 3.1), times ``max 1 / cost``.

        Args:
            v: (n, ...) in the shape of the map's output.
            p: exponent of the budget's norm.
            cost: positive, ``inf`` for coordinates that cannot change; broadcastable to one input.

        Returns:
            (n,) in float64.
        """
        if self.affine:
            pulled = self.pullback(v)
            # The norm accumulates in float64 by itself; only a division by costs needs it before.
            scaled = pulled if cost is None else per_cost(pulled, cost)
            return vector_norm(scaled, dual_exponent(p))
        if self.learned:
            return self._through_norms(v, p, cost)
        scale = 1.0 if cost is None else float((1 / cost).max())
        return constant(self, p, p) * scale * vector_norm(v, dual_exponent(p))

    def _through_norms(self, v: Tensor, p: float, cost: Tensor | None) -> Tensor:
        """The smallest ``L_(p, s) ||v||_(s*)`` over s: (n,)."""
        found = []
        for s in path_norms(p):
            if self.training:
                factor = self.by_construction(p, s)
                factor = factor if cost is None else factor * float((1 / cost).max())
            elif cost is None:
                factor = constant(self, p, s)
            else:
                factor = constant_per_cost(self, cost, p, s)
            if factor < math.inf:
                found.append(factor * vector_norm(v, dual_exponent(s)))
        return torch.stack(found).amin(dim=0)

    def parts(self) -> list["FeatureMap"]:
        """The maps that this one applies one after the other, in a list of the caller's own."""
        return [self]

    def diagonal(self, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """``(scale, shift)`` in float64 of a map ``scale * x + shift``, each broadcastable to one input.

        None for other maps.

        Args:
            dtype: of the forward pass, to which constants count as rounded.
        """
        return None

    def kinked_form(self, v: Tensor, around: Around) -> KinkedForm | None:
        """How ``<v, phi(x)>`` falls as a sum over coordinates; None for a map of which that is not known.

        Affine maps need none. Compositions with diagonal maps in front and affine ones after it follow.

        Args:
            v: (n, ...) float64 in the shape of ``phi(x)``; the form must be differentiable in it.
            around: where ``x`` may move.
        """
        return None

    def stretches(self, x: Tensor, way: int) -> list[Stretch] | None:
        """At most how far each output changes as its coordinate moves one way; None where not known.

        Finer than :meth:`kinked_form`, and asked where coordinates move far, one way at a time: by threats
        to files. Exact numbers, right in exact arithmetic; the last stretch has no end.

        Args:
            x: (n, ...).
            way: 1 up, -1 down.
        """
        return None

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """Append what the map computes from ``node``, for level ``sound``; returns the output's node.

        Raises:
            UserError: not known.
        """
        kind = type(self)
        raise UserError(
            f"level 'sound' has no rounding rule for {kind.__module__}.{kind.__qualname__}; "
            "give it the method rounding_steps, or use another level"
        )

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Constructor arguments for a model file: plain values only.

        Tensors belong into persistent buffers: they are stored beside the weights.
        """

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of ``phi(x)`` for one ``x`` of the given shape."""
        with torch.no_grad():
            known = [t for t in chain(self.parameters(), self.buffers()) if t.is_floating_point()]
            like = known[0] if known else torch.zeros(())
            zero = torch.zeros(1, *shape, dtype=like.dtype, device=like.device)
            return tuple(self(zero).shape[1:])


# The constants of frozen maps, which do not change; level ``tight`` asks for them at every step.
_KNOWN: "WeakKeyDictionary[FeatureMap, dict[tuple[Any, ...], float]]" = WeakKeyDictionary()
MOST_KNOWN = 512


def constant(phi: FeatureMap, p: float, s: float) -> float:
    """``phi.lipschitz(p, s)``, also of a map that only knows one norm; inf where nothing is known."""
    return _once(phi, (p, s), lambda: _constant(phi, p, s))


def constant_per_cost(phi: FeatureMap, cost: Tensor, p: float, s: float) -> float:
    """``phi.lipschitz_per_cost(cost, p, s)``."""
    numbers = cost.detach().cpu().contiguous().numpy().tobytes()
    key = (p, s, cost.dtype, tuple(cost.shape), numbers)
    return _once(phi, key, lambda: phi.lipschitz_per_cost(cost, p, s))


def _once(phi: FeatureMap, key: tuple[Any, ...], compute: Callable[[], float]) -> float:
    if not is_frozen(phi):
        return compute()
    known = _KNOWN.setdefault(phi, {})
    found = known.get(key)
    if found is None:
        if len(known) >= MOST_KNOWN:
            known.clear()
        found = known[key] = compute()
    return found


def _constant(phi: FeatureMap, p: float, s: float) -> float:
    if p == s:
        return _number(phi, phi.lipschitz(p))
    if _knows_two_norms(type(phi)):
        return _number(phi, phi.lipschitz(p, s))  # type: ignore[call-arg]
    return _number(phi, phi.lipschitz(p)) if s > p else math.inf


def _number(phi: FeatureMap, stated: object) -> float:
    """A constant that is one: whatever else a map of the user's own states would prove anything."""
    if not isinstance(stated, Real) or not float(stated) >= 0:
        raise UserError(
            f"{type(phi).__name__}.lipschitz must return a number >= 0 (inf where nothing is known), got "
            f"{stated!r}; featureconvex.testing.check_feature_map tests the whole map"
        )
    return float(stated)


@cache
def _knows_two_norms(kind: type[FeatureMap]) -> bool:
    return len(signature(kind.lipschitz).parameters) > 2


def per_cost(v: Tensor, cost: Tensor) -> Tensor:
    """``v / cost`` in float64; 0 only where ``v`` is, or where the cost is infinite.

    A quotient that underflows must not make a coordinate that the attacker can change a fixed one.
    """
    v = v.double()
    quotient = v / cost
    lost = (quotient == 0) & (v != 0) & torch.isfinite(cost)
    return torch.where(lost, SMALLEST, quotient)


SMALLEST = torch.finfo(torch.float64).tiny


def check_fits(x: Tensor, **constants: Tensor) -> None:
    """Refuse constants that would give rows of ``x`` different values, or widen a row.

    Raises:
        UserError: a constant does not broadcast to the shape of one input.

    >>> check_fits(torch.zeros(3, 4), cost=torch.ones(3, 1))
    Traceback (most recent call last):
        ...
    featureconvex.errors.UserError: cost of shape (3, 1) does not broadcast to one input of shape (4,); ...
    """
    one = tuple(x.shape[1:])
    for name, value in constants.items():
        ends = zip(reversed(value.shape), reversed(one), strict=False)
        if value.ndim > len(one) or any(a not in (1, b) for a, b in ends):
            raise UserError(
                f"{name} of shape {tuple(value.shape)} does not broadcast to one input of shape "
                f"{one}; give a number, or one value per coordinate, or per channel as (c, 1, 1)"
            )
