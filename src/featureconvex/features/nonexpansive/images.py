"""The shape of one image, which maps of images are built for."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.given import whole_number


class Images:
    """Images (channels, height, width).

    Raises:
        UserError: three whole numbers were not given.

    >>> Images((3, 8, 8)).numbers
    192
    """

    def __init__(self, shape: Sequence[int]) -> None:
        sizes = tuple(whole_number("shape", size, 1) for size in shape)
        if len(sizes) != 3:
            raise UserError(f"shape must be (channels, height, width), got {tuple(shape)}")
        self.shape: tuple[int, int, int] = (sizes[0], sizes[1], sizes[2])

    @property
    def numbers(self) -> int:
        """In one image."""
        return math.prod(self.shape)

    def check(self, phi: nn.Module, x: Tensor) -> None:
        """Refuse a batch of other inputs.

        Raises:
            UserError: naming both shapes.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise UserError(
                f"{type(phi).__name__} was built for images of shape {self.shape}, got "
                f"{tuple(x.shape[1:])}"
            )
