"""``sll``: a network of SDP-based Lipschitz layers; l2."""

from collections.abc import Sequence

from featureconvex.baselines.nonexpansive.images import DenseOrConvolutional, Shape, blocks, folded
from featureconvex.features import (
    AveragePool,
    FeatureMap,
    Flatten,
    Fold,
    NonexpansiveConv,
    NonexpansiveResidual,
    NonexpansiveResidualConv,
)

HIDDEN = 256
CHANNELS = 32


class SLL(DenseOrConvolutional):
    """Residual layers that are 1-Lipschitz by a semidefinite condition (Araujo et al. 2023)."""

    name = "sll"
    title = "SLL"
    literature = (
        "SLL X-Large, 236 million parameters, CIFAR-10 (ten classes): 73.3 % clean, certified 65.8 % at "
        "l2 36/255, 58.4 % at 72/255, 51.3 % at 108/255, 27.3 % at 1 (as listed by Prach et al., arXiv "
        "2311.16833, Table 4). Here, by default, four convolutional and two dense layers and 12 epochs "
        "for colour images, four dense layers and 20 epochs for grey ones."
    )

    def dense(self, inputs: int) -> Sequence[FeatureMap]:
        """Residual layers."""
        return [NonexpansiveResidual(inputs, HIDDEN) for _ in range(4)]

    def convolutions(self, shape: Shape) -> Sequence[FeatureMap]:
        """The same after an orthogonal map of every pixel's channels, with two dense layers at the end."""
        fold = blocks(max(shape[1:]), 16)
        first = folded(shape, fold)
        wide = (max(CHANNELS, first[0]), *first[1:])
        k = 2 if min(first[1:]) > 1 else 1
        pooled = (wide[0], wide[1] // k, wide[2] // k)
        flat = pooled[0] * pooled[1] * pooled[2]
        return [
            Fold(shape, fold),
            NonexpansiveConv(first, wide[0], kernel=1),
            *(NonexpansiveResidualConv(wide, 64) for _ in range(4)),
            AveragePool(wide, k, divisor=k),
            Flatten(pooled),
            *(NonexpansiveResidual(flat, HIDDEN) for _ in range(2)),
        ]
