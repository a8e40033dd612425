"""Random shifts and flips, for whole batches of images at once."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """What training images may undergo.

    Attributes:
        shift: largest shift in pixels, either way on both axes; new pixels repeat the edge (a random
            crop with edge padding, as in the paper).
        flip: mirror left to right with probability 1/2.
    """

    shift: int = 0
    flip: bool = False

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(n, c, h, w) -> the same shape and dtype; anything that is not an image is left alone."""
        if x.ndim != 4:
            return x
        n, _, height, width = x.shape
        if self.shift:
            offsets = torch.randint(0, 2 * self.shift + 1, (2, n), generator=generator).to(x.device)
            rows = torch.arange(height, device=x.device) + offsets[0, :, None] - self.shift
            columns = torch.arange(width, device=x.device) + offsets[1, :, None] - self.shift
            # Clamped indices repeat the edge without padding a copy of the batch.
            x = x[
                torch.arange(n, device=x.device)[:, None, None],
                :,
                rows.clamp(0, height - 1)[:, :, None],
                columns.clamp(0, width - 1)[:, None, :],
            ].permute(0, 3, 1, 2)
        if self.flip:
            mirrored = torch.randint(0, 2, (n,), generator=generator).bool().to(x.device)
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        return x
