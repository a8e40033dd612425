"""A contiguous window, any change inside it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from featureconvex.certificates.drops import ROUND_DOWN, Curves
from featureconvex.certificates.threats.support import Support
from featureconvex.errors import UserError
from featureconvex.given import whole_number, whole_numbers


class Patch(Support):
    """One window of ``size x size`` pixels over all channels, or ``size`` consecutive coordinates.

    A budget of ``size`` lets the attacker choose the window; the radius is ``size`` if no window can
    flip the input, else 0 (inf where no change inside the domain can).

    Args:
        size: the window's side, >= 1.
        shape: the image shape (c, h, w) or (h, w) of inputs that arrive flat. By default
            inputs of shape (c, h, w) or (h, w) are images and (d,) are vectors.

    >>> Patch(2).measure(torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]))
    tensor([2., inf], dtype=torch.float64)
    """

    def __init__(self, size: int, shape: Sequence[int] | None = None) -> None:
        self.size = whole_number("the size of a patch", size, 1)
        self.shape = None if shape is None else whole_numbers("shape", shape, "(1, 28, 28)")
        if self.shape is not None and not 1 <= len(self.shape) <= 3:
            raise UserError(f"shape takes (c, h, w), (h, w) or (d,), got {shape!r}")

    @property
    def name(self) -> str:
        """``patch-5`` for a size of 5."""
        return f"patch-{self.size}"

    def __repr__(self) -> str:
        return f"Patch({self.size}{'' if self.shape is None else f', shape={self.shape}'})"

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse inputs without room for a window."""
        self.grid(shape)

    def grid(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """``(channels, height, width)`` of inputs of ``shape``; a vector has height 1.

        Raises:
            UserError: the shapes disagree, or the window does not fit.
        """
        image = tuple(shape) if self.shape is None else self.shape
        if torch.Size(image).numel() != torch.Size(shape).numel():
            raise UserError(f"Patch(shape={self.shape}) does not fit inputs of shape {shape}")
        if not 1 <= len(image) <= 3:
            raise UserError(f"a patch needs inputs (c, h, w), (h, w) or (d,), got {shape}")
        channels, height, width = (1,) * (3 - len(image)) + image
        if self.size > width or (len(image) > 1 and self.size > height):
            raise UserError(f"a window of {self.size} does not fit inputs of shape {image}")
        return channels, height, width

    def windows(self, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Sums over every window, (n, d) -> (n, rows, columns); inf where a window holds an inf."""
        channels, height, width = self.grid(shape)
        plane = values.reshape(-1, channels, height, width).sum(1)
        side = self._side(height)
        # Row by row, then column by column: separable sums of nonnegative numbers, no cancellation.
        return plane.unfold(1, side, 1).sum(-1).unfold(2, self.size, 1).sum(-1)

    def _side(self, height: int) -> int:
        return 1 if height == 1 else self.size

    def _masks(self, chosen: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The window of flat index ``chosen`` (n,) among :meth:`windows` as a bool mask (n, d)."""
        channels, height, width = self.grid(shape)
        columns = width - self.size + 1
        row, column = chosen // columns, chosen % columns
        down = torch.arange(height, device=chosen.device) - row[:, None]
        along = torch.arange(width, device=chosen.device) - column[:, None]
        inside = ((down >= 0) & (down < self._side(height)))[:, :, None]
        inside = inside & ((along >= 0) & (along < self.size))[:, None, :]
        return inside[:, None].expand(-1, channels, -1, -1).flatten(1)

    def measure(self, delta: Tensor) -> Tensor:
        """0 for no change, ``size`` for a change inside one window, else inf: (n, ...) -> (n,)."""
        changed = (delta != 0).flatten(1).double()
        count = changed.sum(1)
        most = self.windows(changed, tuple(delta.shape[1:])).flatten(1).amax(1)
        fits = torch.full_like(count, self.size).where(most == count, torch.inf)
        return fits.where(count > 0, 0.0)

    def worst_drop(self, drops: Curves, budget: Tensor) -> Tensor:
        """The largest sum of total drops over a window; 0 for a budget below ``size``."""
        most = self.windows(drops.total(), drops.shape).flatten(1).amax(1)
        return torch.where(budget >= self.size, most, 0.0)

    def largest_budget(self, drops: Curves, margin: Tensor) -> Tensor:
        """``size`` where the worst window takes less than ``margin``. Exact for the minorant."""
        total = drops.total()
        most = self.windows(total, drops.shape).flatten(1).amax(1)
        margin = margin * ROUND_DOWN
        radius = torch.full_like(margin, self.size).where(most < margin, 0.0)
        radius = torch.where(total.sum(1) < margin, torch.inf, radius)
        return torch.where(margin > 0, radius, 0.0)

    def next_budget(self, radius: Tensor) -> Tensor:
        """``size`` where the radius is less."""
        return torch.full_like(radius, self.size).where(radius < self.size, torch.inf)

    def below(self, flip: Tensor) -> Tensor:
        """0: one window that flips is enough."""
        return torch.zeros_like(flip).where(torch.isfinite(flip), flip)

    def most(self, shape: tuple[int, ...]) -> int:
        """``size``."""
        return self.size

    def choose(self, weight: Tensor, budget: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The window of largest sum, none for a budget below ``size``."""
        best = self.windows(weight, shape).flatten(1).argmax(1)
        return self._masks(best, shape) & (budget >= self.size)[:, None]

    def sets(self, weight: Tensor, most: int, shape: tuple[int, ...]) -> Iterator[Tensor]:
        """The windows of largest sums."""
        sums = self.windows(weight, shape).flatten(1)
        for chosen in sums.topk(min(most, sums.shape[1]), dim=1).indices.unbind(1):
            yield self._masks(chosen, shape)
