"""``cayley``: a network of orthogonal layers by the Cayley transform; l2."""

from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from featureconvex.baselines.cayley_layers import CayleyConv, CayleyDense
from featureconvex.baselines.lipschitz_layers import Flatten, Fold, MaxMin, Pool, blocks
from featureconvex.baselines.lipschitz_method import LipschitzMethod
from featureconvex.baselines.method import Options

WIDTH = 256


class Cayley(LipschitzMethod):
    """Orthogonal layers and MaxMin (Trockman and Kolter 2021): gradients keep their length.

    Colour images pass the convolutions of the paper's KWLarge at half its widths on images folded two
    by two, then two dense layers. Grey images and tables, where three dense layers of 256 were more
    accurate per second, take those.
    """

    name = "cayley"
    title = "Cayley"
    literature = (
        "KWLarge, trained for 200 epochs on CIFAR-10 (ten classes): 75.3 % clean, 59.1 % certified at "
        "l2 36/255 (as listed by Prach et al., arXiv 2311.16833, Table 4). Here half its widths and "
        "12 epochs for colour images, three dense layers and 20 epochs for grey ones."
    )
    learning_rate: ClassVar[float] = 0.01

    def default_epochs(self) -> int:
        """20; 12 where convolutions are trained."""
        return 12 if self.options.image and self.options.shape[0] > 1 else 20

    def layers(self, options: Options) -> Sequence[nn.Module]:
        """MaxMin between orthogonal layers."""
        if options.image and options.shape[0] > 1:
            return _convolutions(*options.shape)
        front: list[nn.Module] = [Flatten()]
        inputs = options.dimension
        if options.image:
            pool = Pool(blocks(max(options.shape[1:]), 64))
            front, inputs = [pool, Flatten()], pool.size(options.shape)
        return [
            *front,
            CayleyDense(inputs, WIDTH),
            MaxMin(),
            CayleyDense(WIDTH, WIDTH),
            MaxMin(),
            CayleyDense(WIDTH, WIDTH),
            MaxMin(),
            CayleyDense(WIDTH, 1),
        ]


def _convolutions(channels: int, height: int, width: int) -> Sequence[nn.Module]:
    fold = blocks(max(height, width), 16)
    h, w = blocks(height, fold), blocks(width, fold)
    half_h, half_w = blocks(h, 2), blocks(w, 2)
    return [
        Fold(fold),
        CayleyConv(channels * fold * fold, 32, h, w),
        MaxMin(),
        CayleyConv(32, 32, h, w),
        MaxMin(),
        Fold(2),
        CayleyConv(128, 64, half_h, half_w),
        MaxMin(),
        Flatten(),
        CayleyDense(64 * half_h * half_w, WIDTH),
        MaxMin(),
        CayleyDense(WIDTH, 1),
    ]
