"""Few coordinates, any change."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from featureconvex.certificates.coordinates import check_one_input
from featureconvex.certificates.drops import ROUND_DOWN, Curves
from featureconvex.certificates.threats.support import Support
from featureconvex.errors import UserError
from featureconvex.given import real_array

_TAKES = "None, 'pixels', or one integer per coordinate"


class L0(Support):
    """The number of coordinates (or groups of coordinates) that change, by any amount the domain allows.

    Args:
        groups: None, each coordinate counts; ``"pixels"``, the channels of one pixel of a
            (c, h, w) input count as one; or integers broadcastable to one input that name the group of
            each coordinate (a one-hot block, say).

    Raises:
        UserError: ``groups`` is not integers.

    >>> L0().measure(torch.tensor([[0.0, 0.5, -2.0]]))
    tensor([2.], dtype=torch.float64)
    >>> L0(groups=[0, 1, 1]).measure(torch.tensor([[0.0, 0.5, -2.0]]))
    tensor([1.], dtype=torch.float64)
    """

    def __init__(self, groups: Any = None) -> None:
        self._groups: Tensor | str | None
        if groups is None or (isinstance(groups, str) and groups == "pixels"):
            self._groups = groups
        else:
            labels = real_array("groups", groups, _TAKES)
            if labels.dtype.kind in "fb" or not labels.ndim:
                raise UserError(f"groups takes {_TAKES}, got {groups!r}")
            self._groups = torch.from_numpy(np.array(labels, dtype=np.int64))

    @property
    def groups(self) -> Tensor | str | None:
        """The group of each coordinate as given: a copy."""
        return self._groups.clone() if isinstance(self._groups, Tensor) else self._groups

    @property
    def name(self) -> str:
        """``l0``."""
        return "l0"

    def __repr__(self) -> str:
        kind = self.groups if isinstance(self.groups, str) else "groups"
        return "L0()" if self.groups is None else f"L0({kind})"

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse inputs that the groups do not fit."""
        self.members(shape)

    def members(self, shape: tuple[int, ...]) -> Tensor:
        """The group of each coordinate of a flattened input of ``shape``: (d,) int64 from 0 on.

        Raises:
            UserError: the groups do not fit the shape.
        """
        count = int(torch.Size(shape).numel())
        if self.groups is None:
            return torch.arange(count)
        if isinstance(self.groups, str):
            if len(shape) != 3:
                raise UserError(
                    f"groups='pixels' needs inputs of shape (c, h, w), got {tuple(shape)}; "
                    "name the group of every coordinate instead"
                )
            return torch.arange(count // shape[0]).repeat(shape[0])
        labels = check_one_input("groups", self.groups, tuple(shape), f"groups takes {_TAKES}")
        labels = labels.expand(shape).flatten()
        index: Tensor = torch.unique(labels, return_inverse=True)[1]
        return index

    def group_sums(self, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Sums over each group, (n, d) -> (n, groups)."""
        if self.groups is None:
            return values
        index = self.members(shape).to(values.device)
        size = int(index.max()) + 1 if index.numel() else 0
        sums: Tensor = values.new_zeros(len(values), size).index_add(1, index, values)
        return sums

    def measure(self, delta: Tensor) -> Tensor:
        """How many groups hold a nonzero: (n, ...) -> (n,) float64."""
        changed = (delta != 0).flatten(1).double()
        return (self.group_sums(changed, tuple(delta.shape[1:])) > 0).double().sum(1)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """The sum of the ``budget`` largest total drops; of a fractional budget the whole part counts."""
        ranked = self._ranked(drops)
        chosen = torch.arange(ranked.shape[1], device=ranked.device) < budget.floor()[:, None]
        return torch.where(chosen, ranked, 0.0).sum(1)

    def largest_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """The largest k whose k largest total drops sum to less than ``margin``.

        Exact for the minorant: the coordinates of a product domain move independently.
        """
        paid = self._ranked(drops).cumsum(1)
        affordable = (paid < margin[:, None] * ROUND_DOWN).double().sum(1)
        affordable = torch.where(affordable == paid.shape[1], torch.inf, affordable)
        return torch.where(margin > 0, affordable, 0.0)

    def _ranked(self, drops: Curves) -> Tensor:
        sums = self.group_sums(drops.total(), drops.shape)
        ranked: Tensor = sums.sort(dim=1, descending=True).values
        return ranked

    def most(self, shape: tuple[int, ...]) -> int:
        """The number of groups."""
        return int(self.members(shape).max()) + 1

    def choose(self, weight: Tensor, budget: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The ``budget`` groups (its whole part) of largest sums."""
        sums = self.group_sums(weight, shape)
        rank = sums.argsort(dim=1, descending=True).argsort(dim=1)
        return (rank < budget.floor()[:, None])[:, self.members(shape).to(weight.device)]
