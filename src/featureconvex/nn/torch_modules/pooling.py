"""torch's pooling layers for images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featureconvex.errors import ConvexityError, UserError
from featureconvex.nn.card import Card, card
from featureconvex.nn.curvature import MONOTONE_AFFINE, MONOTONE_CONVEX, Curvature
from featureconvex.nn.minorants import Maximum
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.maxima import WindowMaximum
from featureconvex.rounding.steps import Affine
from featureconvex.rounding.windows import Averaging, average_pool


@card(nn.AvgPool2d)
class AveragePoolCard(Card[nn.AvgPool2d]):
    """Averages with nonnegative weights."""

    dimensions = (4,)

    def curvature(self, module: nn.AvgPool2d) -> Curvature:
        """Affine, and nondecreasing for a positive divisor."""
        if (module.divisor_override or 1) < 0:
            raise ConvexityError(f"{module!r} divides by a negative number; use a positive divisor")
        return MONOTONE_AFFINE

    def rounding_steps(self, module: nn.AvgPool2d, graph: Graph, node: int) -> int:
        """One affine step."""
        return graph.apply(Affine(average_pool(module)), node)


@card(nn.MaxPool2d)
class MaxPoolCard(Card[nn.MaxPool2d]):
    """Maxima over windows."""

    dimensions = (4,)

    def curvature(self, module: nn.MaxPool2d) -> Curvature:
        """A maximum of coordinates is convex and nondecreasing; a window of one pixel selects it."""
        return MONOTONE_AFFINE if _pair(module.kernel_size) == (1, 1) else MONOTONE_CONVEX

    def minorants(self, module: nn.MaxPool2d) -> Maximum | None:
        """Choices are weights (n, c, h, w, k k) per window; padding takes no part."""
        if _pair(module.kernel_size) == (1, 1):
            return None
        return Maximum(
            lambda z: _windows(module, z),
            lambda z: _windows(module, torch.ones_like(z[:1, :1])) != 0,
        )

    def rounding_steps(self, module: nn.MaxPool2d, graph: Graph, node: int) -> int:
        """Without ``ceil_mode``."""
        _check_plain(module)
        kernel, stride, padding, dilation = _geometry(module)
        if kernel == (1, 1) and padding == (0, 0):
            return node if stride == (1, 1) else graph.apply(Affine(Averaging(module, 1)), node)
        return graph.apply(WindowMaximum(kernel, stride, padding, dilation), node)


def _check_plain(module: nn.MaxPool2d) -> None:
    if module.ceil_mode or module.return_indices:
        raise UserError(
            f"levels 'tight' and 'sound' know MaxPool2d without ceil_mode only, got {module!r}"
        )


def _geometry(module: nn.MaxPool2d) -> tuple[tuple[int, int], ...]:
    sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
    return tuple(map(_pair, sizes))


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _windows(module: nn.MaxPool2d, z: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, c, h', w', k k), zeros for padding."""
    _check_plain(module)
    kernel, stride, padding, dilation = _geometry(module)
    n, c, *size = z.shape
    out = [
        (size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in range(2)
    ]
    columns = F.unfold(z, kernel, dilation, padding, stride)
    return columns.view(n, c, kernel[0] * kernel[1], *out).permute(0, 1, 3, 4, 2)
