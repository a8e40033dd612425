"""Splitting noise: each coordinate is only compared with a value, and the values move together.

Levine and Feizi, "Improved, Deterministic Smoothing for L1 Certified Robustness" (ICML 2021, arXiv
2103.10834), in their case ``lambda >= 1/2``: one split value lies within reach of a coordinate.

A coordinate is scaled to a level in ``[0, R]`` and clamped there; ``R = 255``, so that pixels of 8 bits
are whole levels. There are ``Q = floor(2 lambda)`` offsets, ``lambda`` in levels. At offset ``t``
coordinate ``i`` is split in cell ``b_i(t) = (v_i + t) mod Q``, between the whole levels ``b_i(t)`` and
``b_i(t) + 1``, with ``v_i`` fixed for good. All that the base classifier learns of the coordinate is
where the split was and whether the level lies above or below it; nothing if the split is beyond R. So
one level's change of one coordinate shows at exactly one of the Q offsets.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.errors import UserError

SNAP = 2.0**-15
"""Levels this close to a whole one are that one: k / 255 is stored in float32 within 2^-16 levels."""
TABLE_REACH = 3.0
"""Columns of a table are clamped at so many standard deviations, or at lambda where that is less."""


@dataclass(frozen=True)
class SplitNoise:
    """Levels, offsets and what the base classifier sees.

    Attributes:
        centre, reach: coordinates in ``[centre - reach, centre + reach]`` are told apart.
        offsets: how many: Q, at least ``top``.
        top: the highest level, R.
    """

    centre: float
    reach: float
    offsets: int
    top: int = 255

    @classmethod
    def of(cls, sigma: float, image: bool) -> "SplitNoise":
        """For splits of standard deviation ``sigma = lambda / sqrt 3``, in units of the input.

        This is the convention of the authors' code and of arXiv 2302.01961, which name settings by
        sigma so that all noises of one sigma are equally strong: a split uniform on an interval of
        length ``2 lambda`` has variance ``lambda^2 / 3``.

        Raises:
            UserError: ``sigma`` is not positive, not finite, or below 0.289 for images.

        >>> [SplitNoise.of(0.75 * k, image=True).offsets for k in (1, 2, 3, 4)]
        [662, 1325, 1987, 2650]
        """
        half = sigma * math.sqrt(3)
        if not (0 < half < math.inf):
            raise UserError(f"sigma of splitting noise is a positive number, got {sigma}")
        if image and half < 0.5:
            raise UserError(f"splitting noise needs sigma >= 0.289 on images, got {sigma}")
        centre, reach = (0.5, 0.5) if image else (0.0, min(TABLE_REACH, half))
        return cls(centre, reach, max(cls.top, math.floor(cls.top * half / reach)))

    @property
    def level_width(self) -> float:
        """How far a coordinate moves for one level, in units of the input."""
        return 2 * self.reach / self.top

    def levels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of any shape -> the whole levels below, long, and how far above them, in [0, 1).

        ``whole + part`` moves at most ``1 / (1 - 2 SNAP)`` times as fast as ``x / level_width``:
        between two whole levels it is stretched, so that it can rest near them.
        """
        z = (x.double() - (self.centre - self.reach)) / self.level_width
        z = z.clamp(0, self.top)
        whole = z.floor()
        part = ((z - whole - SNAP) / (1 - 2 * SNAP)).clamp(0, 1)
        up = part == 1
        return (whole + up).long(), torch.where(up, torch.zeros_like(part), part)

    def drawn_levels(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Whole levels, (n, d) -> (n, d) long; between two of them, one drawn for each input."""
        whole, part = self.levels(x)
        drawn = torch.rand((len(x), 1), generator=generator, device=x.device, dtype=part.dtype)
        return whole + (part > drawn)

    def seen(self, levels: Tensor, cells: Tensor) -> Tensor:
        """What is seen of whole levels (n, d) through splits in cells (n, d): (n, 4, d) float32.

        Channels, with the split at ``s = (cell + 1/2) / R``: ``1`` and ``s`` where the level is above,
        ``1`` and ``1 - s`` where it is below; all zero where the split is out of reach.
        """
        above = (cells < levels).float()
        below = ((cells >= levels) & (cells < self.top)).float()
        split = (cells.float() + 0.5) / self.top
        return torch.stack((above, above * split, below, below * (1 - split)), dim=1)


def cell_starts(dimension: int, offsets: int, seed: int) -> Tensor:
    """The ``v_i``: spread evenly over the offsets and shuffled, (d,) long.

    The paper draws each at random; spread evenly, every offset reveals the same number of coordinates,
    give or take one.

    >>> cell_starts(4, 10, seed=0).sort().values
    tensor([0, 2, 5, 7])
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(dimension, generator=generator) * offsets // dimension
