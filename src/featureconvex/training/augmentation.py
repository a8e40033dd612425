"""Random shifts, warps and flips, for whole batches of images at once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


@dataclass(frozen=True)
class Augmentation:
    """What training images may undergo. Pixels from outside repeat the edge.

    Attributes:
        shift: largest shift in whole pixels, either way on both axes (a random crop with edge
            padding, as in the paper).
        warp: size of a random affine map: rotation and shear up to ``warp`` radians, scaling up to
            ``warp``, translation up to ``10 warp`` pixels, interpolated bilinearly.
        flip: mirror left to right with probability 1/2.
    """

    shift: int = 0
    warp: float = 0.0
    flip: bool = False

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(n, c, h, w) -> the same shape and dtype; anything that is not an image is left alone."""
        if x.ndim != 4:
            return x
        if self.shift:
            x = _shifted(x, self.shift, generator)
        if self.warp:
            x = _warped(x, self.warp, generator)
        if self.flip:
            mirrored = torch.randint(0, 2, (len(x),), generator=generator).bool().to(x.device)
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        return x


@dataclass(frozen=True)
class AugmentationPolicy:
    """Which augmentation for which inputs; none for tables.

    Attributes:
        grey: of images with one channel.
        colour: of images with more.
    """

    grey: Augmentation = Augmentation()
    colour: Augmentation = Augmentation()

    def of(self, shape: tuple[int, ...]) -> Augmentation:
        """For inputs of this shape, without the batch.

        >>> AugmentationPolicy(grey=Augmentation(shift=1)).of((1, 28, 28))
        Augmentation(shift=1, warp=0.0, flip=False)
        """
        if len(shape) != 3:
            return Augmentation()
        return self.grey if shape[0] == 1 else self.colour


def _shifted(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    n, _, height, width = x.shape
    offsets = torch.randint(-most, most + 1, (2, n, 1), generator=generator).to(x.device)
    # Clamped indices repeat the edge without padding a copy of the batch.
    rows = (torch.arange(height, device=x.device) + offsets[0]).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) + offsets[1]).clamp(0, width - 1)
    image = torch.arange(n, device=x.device)
    return x[image[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _warped(x: Tensor, size: float, generator: torch.Generator) -> Tensor:
    n, _, height, width = x.shape
    angle, stretch, shear, right, down = (
        torch.rand(5, n, generator=generator).to(x.device, x.dtype) * 2 - 1
    ) * size
    cosine, sine = angle.cos() * (1 + stretch), angle.sin() * (1 + stretch)
    # affine_grid measures in half images.
    maps = torch.stack(
        (
            torch.stack((cosine, shear - sine, 20 * right / width), dim=1),
            torch.stack((sine, cosine, 20 * down / height), dim=1),
        ),
        dim=1,
    )
    grid = affine_grid(maps, list(x.shape), align_corners=False)
    return grid_sample(x, grid, padding_mode="border", align_corners=False)
