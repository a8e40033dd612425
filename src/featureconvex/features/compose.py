"""Composition of feature maps."""

import math
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.features.affine import Center, Identity, Scale
from featureconvex.features.base import FeatureMap, constant, constant_per_cost
from featureconvex.features.nonexpansive.reshaping import Flatten
from featureconvex.features.select import Select
from featureconvex.given import check_shared_shape
from featureconvex.norms import best_path, check_exponent, dual_exponent, vector_norm
from featureconvex.rounding.graph import Graph


class Compose(FeatureMap):
    """``phi = phi_k o ... o phi_1``, applied left to right; constants multiply.

    An affine composition is again affine, and coordinatewise maps compose to a coordinatewise map.

    >>> from featureconvex.features import AbsConcat, Center
    >>> Compose(Center(0.5), AbsConcat()).lipschitz(1)
    2.0
    """

    def __init__(self, *maps: FeatureMap) -> None:
        super().__init__()
        if not maps:
            raise UserError("Compose needs at least one feature map; Identity() does nothing")
        # Composition is associative: one flat list, so that every rule sees both ends of the chain.
        flat: list[FeatureMap] = []
        for part in maps:
            flat.extend(part.parts() if isinstance(part, FeatureMap) else [part])
        for part in flat:
            if not isinstance(part, FeatureMap):
                raise UserError(
                    f"Compose takes feature maps one by one, as in Compose(Center(0.5), AbsConcat()), got "
                    f"{part!r}; a map of your own is a subclass of featureconvex.features.FeatureMap with "
                    "a proved constant"
                )
        _check_neighbours(flat)
        self.maps = nn.ModuleList(flat)

    # Asked anew each time: a map may be put in another's place.
    @property
    def affine(self) -> bool:  # type: ignore[override]
        """Whether every map is."""
        return all(part.affine for part in self.parts())

    @property
    def coordinatewise(self) -> bool:  # type: ignore[override]
        """Whether every map is."""
        return all(part.coordinatewise for part in self.parts())

    @property
    def learned(self) -> bool:  # type: ignore[override]
        """Whether a map is."""
        return any(part.learned for part in self.parts())

    def parts(self) -> list[FeatureMap]:
        """The maps in the order of application."""
        return list(self.maps)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) -> (n, ...)."""
        for part in self.maps:
            x = part(x)
        return x

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """The product of the constants along the best path of norms from l_p to l_s."""
        p = check_exponent(p)
        s = p if s is None else check_exponent(s)
        if s == p and not self.learned:
            product = 1.0
            for part in self.parts():
                product *= constant(part, p, p)
            return product
        return best_path([partial(constant, part) for part in self.parts()], p, s)[s]

    def lipschitz_per_cost(self, cost: Tensor, p: float, s: float | None = None) -> float:
        """Diagonal maps in front change the cost; the first map after them takes it up."""
        s = check_exponent(p if s is None else s)
        return self._constants(self.parts(), check_exponent(p), cost, s)[s]

    def _constants(
        self, parts: list[FeatureMap], p: float, cost: Tensor | None, *more: float
    ) -> dict[float, float]:
        """From the costed l_p to every norm, along the best paths; in training, those by construction."""
        if cost is not None:
            while len(parts) > 1:
                front = parts[0]
                if _is_diagonal(front):
                    cost = _divided(cost, front.steepness())
                elif type(front) is Flatten:
                    cost = cost.expand(front.shape).reshape(-1)
                elif type(front) is Select:
                    cost = cost.expand(front.count)[front.index]
                else:
                    break
                parts = parts[1:]
        steps = [
            part.by_construction if self.training else partial(constant, part) for part in parts
        ]
        if cost is not None:
            steps[0] = partial(_costed, parts[0], cost, self.training)
        return best_path(steps, p, *more)

    def by_construction(self, p: float, s: float) -> float:
        """Along the best path, as :meth:`lipschitz`."""
        return best_path([part.by_construction for part in self.parts()], p, s)[s]

    def anneal(self, done: float) -> None:
        """All maps."""
        for part in self.parts():
            part.anneal(done)

    def settle(self, x: Tensor) -> Tensor:
        """One map after the other, each on what it gets."""
        for part in self.parts():
            x = part.settle(x)
        return x

    def pullback(self, v: Tensor) -> Tensor:
        """The transposes, last map first."""
        for part in reversed(self.parts()):
            v = part.pullback(v)
        return v

    def sensitivity(self, v: Tensor, p: float, cost: Tensor | None = None) -> Tensor:
        """As in the base class, losing nothing to affine maps at either end.

        After: ``<v, A u>`` is ``<A^T v, u>``. In front: ``||cost * delta||_p`` is
        ``||(cost / |s|) * (s * delta)||_p`` for ``u = s x + t``, so a diagonal map only changes the cost.
        """
        parts = self.parts()
        while len(parts) > 1 and parts[-1].affine:
            v = parts.pop().pullback(v)
        while len(parts) > 1 and _is_diagonal(front := parts[0]):
            parts.pop(0)
            scale = front.steepness()
            cost = _divided(torch.ones_like(scale) if cost is None else cost, scale)
        if len(parts) == 1:
            return parts[0].sensitivity(v, p, cost)
        if self.learned:
            constants = self._constants(parts, p, cost)
            found = [
                factor * vector_norm(v, dual_exponent(s))
                for s, factor in constants.items()
                if factor < math.inf
            ]
            return torch.stack(found).amin(dim=0)
        factor = 1.0
        for part in parts[:-1]:
            factor *= constant(part, p, p)
        return (
            factor
            * parts[-1].sensitivity(v, p)
            * (1.0 if cost is None else float((1 / cost).max()))
        )

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """Those of the maps."""
        for part in self.parts():
            node = part.rounding_steps(graph, node)
        return node

    def config(self) -> dict[str, Any]:
        """The maps are stored one by one."""
        return {}


def _check_neighbours(maps: list[FeatureMap]) -> None:
    """Diagonal maps in a row see inputs of one shape."""
    before: Tensor | None = None
    for part in maps:
        if _is_diagonal(part):
            own = part.scale + part.shift  # for its shape
            if before is not None:
                name = type(part).__name__
                check_shared_shape(
                    **{"the constants of maps": before, f"those of the {name} after": own}
                )
            before = own if before is None else before + own
        elif type(part) is not Identity:
            before = None


def _divided(cost: Tensor, scale: Tensor) -> Tensor:
    """``cost / scale``, infinite only where the coordinate cannot change or does not count."""
    largest = torch.finfo(cost.dtype).max
    fixed = torch.isinf(cost) | (scale == 0)
    return (cost / scale).clamp(max=largest).masked_fill(fixed, torch.inf)


def _costed(part: FeatureMap, cost: Tensor, training: bool, p: float, s: float) -> float:
    if training:
        return part.by_construction(p, s) * float((1 / cost).max())
    return constant_per_cost(part, cost, p, s)


def _is_diagonal(part: FeatureMap) -> TypeGuard[Scale]:
    # Exactly these classes: a subclass may override forward.
    return type(part) in (Scale, Center)
