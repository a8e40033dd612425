"""``cayley``: a network of orthogonal layers by the Cayley transform; l2."""

from collections.abc import Sequence

from featureconvex.baselines.nonexpansive.images import DenseOrConvolutional, Shape, blocks, folded
from featureconvex.features import (
    FeatureMap,
    Flatten,
    Fold,
    MaxMin,
    NonexpansiveConv,
    NonexpansiveLinear,
)

WIDTH = 256


class Cayley(DenseOrConvolutional):
    """Orthogonal layers and MaxMin (Trockman and Kolter 2021): gradients keep their length.

    Colour images pass the convolutions of the paper's KWLarge at half its widths on images folded two
    by two, then a dense layer and an affine function. Grey images and tables, where three dense layers of
    256 were more accurate per second, take those.
    """

    name = "cayley"
    title = "Cayley"
    literature = (
        "KWLarge, trained for 200 epochs on CIFAR-10 (ten classes): 75.3 % clean, 59.1 % certified at "
        "l2 36/255 (as listed by Prach et al., arXiv 2311.16833, Table 4). Here, by default, half its "
        "widths and 12 epochs for colour images, three dense layers and 20 epochs for grey ones."
    )

    def dense(self, inputs: int) -> Sequence[FeatureMap]:
        """MaxMin between orthogonal layers."""
        sizes = (inputs, WIDTH, WIDTH)
        return [part for size in sizes for part in (NonexpansiveLinear(size, WIDTH), MaxMin())]

    def convolutions(self, shape: Shape) -> Sequence[FeatureMap]:
        """The same, with a dense layer at the end."""
        fold = blocks(max(shape[1:]), 16)
        first = folded(shape, fold)
        middle = (32, *first[1:])
        second = folded(middle, 2)
        last = (64, *second[1:])
        return [
            Fold(shape, fold),
            NonexpansiveConv(first, 32),
            MaxMin(),
            NonexpansiveConv(middle, 32),
            MaxMin(),
            Fold(middle, 2),
            NonexpansiveConv(second, 64),
            MaxMin(),
            Flatten(last),
            NonexpansiveLinear(last[0] * last[1] * last[2], WIDTH),
            MaxMin(),
        ]
