"""``cayley``: a network of orthogonal layers by the Cayley transform; l2."""

from collections.abc import Sequence

from torch import nn

from featureconvex.baselines.lipschitz.architecture import DenseOrConvolutional
from featureconvex.features.nonexpansive.cayley import CayleyConv, CayleyDense
from featureconvex.features.nonexpansive.layers import Flatten, Fold, MaxMin, blocks

WIDTH = 256


class Cayley(DenseOrConvolutional):
    """Orthogonal layers and MaxMin (Trockman and Kolter 2021): gradients keep their length.

    Colour images pass the convolutions of the paper's KWLarge at half its widths on images folded two
    by two, then two dense layers. Grey images and tables, where three dense layers of 256 were more
    accurate per second, take those.
    """

    name = "cayley"
    title = "Cayley"
    literature = (
        "KWLarge, trained for 200 epochs on CIFAR-10 (ten classes): 75.3 % clean, 59.1 % certified at "
        "l2 36/255 (as listed by Prach et al., arXiv 2311.16833, Table 4). Here, by default, half its "
        "widths and 12 epochs for colour images, three dense layers and 20 epochs for grey ones."
    )
    learning_rate = 0.01

    def dense(self, inputs: int) -> Sequence[nn.Module]:
        """MaxMin between orthogonal layers."""
        return [
            CayleyDense(inputs, WIDTH),
            MaxMin(),
            CayleyDense(WIDTH, WIDTH),
            MaxMin(),
            CayleyDense(WIDTH, WIDTH),
            MaxMin(),
            CayleyDense(WIDTH, 1),
        ]

    def convolutions(self, channels: int, height: int, width: int) -> Sequence[nn.Module]:
        """The same, with two dense layers at the end."""
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
