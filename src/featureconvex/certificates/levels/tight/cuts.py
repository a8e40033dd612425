"""Tangents of the margin at the points visited: each is a minorant, and so is every mixture."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.tight.geometry import Geometry
from featureconvex.certificates.minorant import ROUNDINGS, Minorant, products, tangent
from featureconvex.models.model import FeatureConvexModel


@dataclass
class Cuts:
    """``value_k + <slope_k, e> <= margin`` for n rows and ``count`` tangents each.

    Attributes:
        store: (n, room, d), slopes in ``e``; room for more cuts than there are.
        values: (n, room) float64, the cuts at ``e = 0``.
        features: (n, room, q), slopes in ``phi(x)``; the store itself where they are equal.
        points: (n, room, d), where the cuts touch; None unless asked for.
        count: how many.
    """

    store: Tensor
    values: Tensor
    features: Tensor
    points: Tensor | None
    count: int = 0

    @staticmethod
    def empty(geometry: Geometry, outputs: int, shared: bool, keep_points: bool) -> "Cuts":
        """Room for a few cuts of every attacker.

        Args:
            geometry: the attackers.
            outputs: numbers in ``phi(x)``.
            shared: slopes in ``e`` and in ``phi(x)`` are the same numbers.
            keep_points: whether to remember where the cuts touch.
        """
        n, d = geometry.x.shape
        store = geometry.x.new_empty(n, 8, d)
        return Cuts(
            store=store,
            values=torch.empty(n, 8, dtype=torch.float64, device=store.device),
            features=store if shared else store.new_empty(n, 8, outputs),
            points=torch.empty_like(store) if keep_points else None,
        )

    @property
    def slopes(self) -> Tensor:
        """(n, count, d)."""
        return self.store[:, : self.count]

    @property
    def heights(self) -> Tensor:
        """(n, count) float64."""
        return self.values[:, : self.count]

    def add(
        self, geometry: Geometry, point: Tensor, line: Minorant, pulled: Tensor, tau: Tensor
    ) -> None:
        """Append the tangents at ``point`` (n, d).

        Args:
            geometry: the attackers.
            point: where they touch.
            line: the tangents in the space of ``phi(x)``.
            pulled: (n, d), their slopes in ``x``.
            tau: the threshold, part of their values.
        """
        if self.count == self.values.shape[1]:
            self._grow()
        k = self.count
        terms = (point - geometry.x).double() * pulled.double()
        # Carried back from far away, the rounding of the margin there can exceed the margin here, and so
        # can that of what cancels in it. The margin at x is taken as it was computed.
        size = line.value.abs() + terms.abs().sum(1) + tau.abs() + products(pulled, point)
        size = torch.where(terms.any(1), size, 0.0)
        loss = ROUNDINGS * torch.finfo(pulled.dtype).eps * size
        self.store[:, k] = pulled / geometry.scale
        self.values[:, k] = line.value - terms.sum(1) - loss
        if self.features is not self.store:
            self.features[:, k] = line.slope.flatten(1)
        if self.points is not None:
            self.points[:, k] = point
        self.count += 1

    def _grow(self) -> None:
        def twice(part: Tensor) -> Tensor:
            return torch.cat((part, torch.empty_like(part)), 1)

        shared = self.features is self.store
        self.store, self.values = twice(self.store), twice(self.values)
        self.features = self.store if shared else twice(self.features)
        self.points = None if self.points is None else twice(self.points)

    def rows(self, index: Tensor) -> "Cuts":
        """Some of the rows."""
        store = self.store[index]
        return replace(
            self,
            store=store,
            values=self.values[index],
            features=store if self.features is self.store else self.features[index],
            points=None if self.points is None else self.points[index],
        )

    def mixture(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """``sum_k weights_k cut_k``: value at ``e = 0`` (n,) and slope in ``phi(x)`` (n, q), float64.

        Args:
            weights: (n, count) float64, >= 0, summing to 1.
        """
        slope = torch.zeros_like(self.features[:, 0], dtype=torch.float64)
        for k in range(self.count):
            slope.addcmul_(weights[:, k : k + 1], self.features[:, k].double())
        return (weights * self.heights).sum(1), slope


def tangent_at(
    model: FeatureConvexModel, geometry: Geometry, point: Tensor
) -> tuple[Minorant, Tensor]:
    """The tangents at ``point`` (n, d), and their slopes in x, (n, d); one forward and backward pass."""
    line = tangent(model, point.reshape(-1, *geometry.shape))
    return line, model.feature_map.pullback(line.slope).flatten(1)
