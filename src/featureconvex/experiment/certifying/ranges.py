"""Ranges of single columns, and of training, as a box for the attacker."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from featureconvex.certificates import Box, Domain
from featureconvex.certificates.arguments import check_domain
from featureconvex.certificates.coordinates import Blocks
from featureconvex.errors import UserError
from featureconvex.scalars import shown

Range = tuple[float, float]


def boxed(
    domain: Domain | None,
    ranges: Mapping[str, Range],
    span: tuple[NDArray[np.float64], NDArray[np.float64]] | None,
    names: Sequence[str] | None,
    blocks: Blocks,
) -> Domain | None:
    """``domain`` cut to the range of training, and to those of single columns, which count more.

    Args:
        domain: a box for all columns; None: everywhere.
        ranges: by the name of a column of numbers.
        span: least and largest of every feature in training; None: not asked for.
        names: of the features.
        blocks: names that stand for several features.

    Raises:
        UserError: a name that is no column of numbers, or an empty range.
    """
    held = None if domain is None else check_domain(domain, names, blocks)
    if not ranges and span is None:
        return held
    if names is None:
        raise UserError("this model has no names of columns, so none has a range; use --box LO HI")
    box = held if isinstance(held, Box) else Box(-inf, inf)
    lo, hi = (np.broadcast_to(end.numpy(), len(names)).copy() for end in (box.lo, box.hi))
    if span is not None:
        lo, hi = np.maximum(lo, span[0]), np.minimum(hi, span[1])
    for name, ends in ranges.items():
        place = list(names).index(name) if name in names else -1
        # A number with gaps is a block of its own name; a level of a category has another.
        level = any(place in block and block_name != name for block_name, block in blocks.items())
        if place < 0 or level:
            raise UserError(
                f"--range {shown(name)}: the model has no column of numbers of that name; it has "
                f"{', '.join(map(repr, list(names)[:10]))}"
            )
        if not ends[0] <= ends[1]:
            raise UserError(
                f"--range {shown(name)} needs LO <= HI, got {ends[0]:g} and {ends[1]:g}"
            )
        lo[place], hi[place] = ends
    return Box(lo, hi, box.immutable, box.direction)
