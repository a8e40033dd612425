"""What a caller says of single columns, ``{column: value}``: ranges of a box, costs of a threat.

Which coordinates are meant is known when the names of the model's columns are, as for
:mod:`featureconvex.certificates.coordinates`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from featureconvex.certificates.coordinates import (
    NO_BLOCKS,
    Blocks,
    Shape,
    check_once,
    index_of,
    indices_of,
    positions,
)
from featureconvex.errors import UserError
from featureconvex.given import real_number, whole_number

Ends = tuple[float, float]


class Ranges:
    """Where single columns may go; all others may go anywhere.

    Args:
        value: ``{column: (lo, hi)}`` by index or name.

    Raises:
        UserError: no columns, no pair of numbers, or an empty range.
    """

    def __init__(self, value: Mapping[Any, Any]) -> None:
        self.columns: dict[int | str, Ends] = {}
        for key, ends in _keyed("a box", value).items():
            pair = isinstance(ends, Sequence) and not isinstance(ends, str) and len(ends) == 2
            if not pair:
                raise UserError(
                    f"a box takes (lo, hi) for column {key!r}, as in fc.Box({{{key!r}: (0, 50)}}), got "
                    f"{ends!r}"
                )
            lo, hi = (real_number(f"an end of {key!r}", end) for end in ends)
            if not (lo <= hi and lo < math.inf and hi > -math.inf):
                raise UserError(f"the range of {key!r} needs lo <= hi, got {lo:g} and {hi:g}")
            self.columns[key] = (lo, hi)

    def named(self, names: Sequence[str], blocks: Blocks = NO_BLOCKS) -> "Ranges":
        """With names of columns turned into indices.

        Raises:
            UserError: an unknown name, or that of a one-hot encoded column.
        """
        for key in self.columns:
            if key in blocks and key not in names:
                raise UserError(
                    f"a box names the column {key!r}, which is one-hot encoded and has no range; it can be "
                    "immutable"
                )
        keys = [index_of("a box", key, names, blocks) for key in self.columns]
        check_once("a box", keys, len(names))
        return Ranges(dict(zip(keys, self.columns.values(), strict=True)))

    def resolve(self, shape: Shape) -> tuple[Tensor, Tensor]:
        """Both ends of one input of ``shape``, float64.

        Raises:
            UserError: a name that no model has, or a coordinate beyond the input.
        """
        lo = torch.full(shape, -torch.inf, dtype=torch.float64)
        hi = torch.full(shape, torch.inf, dtype=torch.float64)
        places = positions("a box", tuple(self.columns), shape)
        for place, ends in zip(places, self.columns.values(), strict=True):
            lo[place], hi[place] = ends
        return lo, hi


class Costs:
    """What one unit of single columns costs; of all others 1.

    Args:
        value: ``{column: cost}`` by index or name.

    Raises:
        UserError: no columns, or a cost that is no positive number.
    """

    def __init__(self, value: Mapping[Any, Any]) -> None:
        self.columns: dict[int | str, float] = {}
        for key, cost in _keyed("cost", value).items():
            self.columns[key] = real_number(f"the cost of {key!r}", cost)
            if not self.columns[key] > 0:
                raise UserError(
                    f"the cost of {key!r} must be > 0 (inf: it cannot change), got {cost!r}"
                )

    def named(self, names: Sequence[str], blocks: Blocks = NO_BLOCKS) -> Tensor:
        """(d,) float64, the cost of every coordinate; a one-hot encoded column is all of its own.

        Raises:
            UserError: an unknown name.
        """
        cost = torch.ones(len(names), dtype=torch.float64)
        places = {key: list(indices_of("cost", key, names, blocks)) for key in self.columns}
        every = [place for some in places.values() for place in some]
        if any(not -len(names) <= place < len(names) for place in every):
            raise UserError(f"cost names a coordinate beyond the {len(names)} that the model has")
        check_once("cost", every, len(names))
        for key, some in places.items():
            cost[some] = self.columns[key]
        return cost

    def unknown(self) -> UserError:
        """What to say where no names are known."""
        return UserError(
            f"cost names the column {next(iter(self.columns))!r}, and this model has no names of columns; "
            "certify with a detector of a table or a classifier that was fitted on a DataFrame, or give "
            "one cost per coordinate"
        )


def _keyed(name: str, value: Mapping[Any, Any]) -> dict[int | str, Any]:
    """Keys as names or indices."""
    if not value:
        raise UserError(f"{name} by column names at least one, as in {{'links': ...}}, got {{}}")
    found: dict[int | str, Any] = {}
    for key, said in value.items():
        if not isinstance(key, str):
            try:
                key = whole_number("an index", key)
            except UserError as error:
                raise UserError(
                    f"{name} takes columns by index or name, got the key {key!r}"
                ) from error
        found[str(key) if isinstance(key, str) else key] = said
    return found
