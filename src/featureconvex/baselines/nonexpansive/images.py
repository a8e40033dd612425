"""Two shapes of 1-Lipschitz networks in l2: dense for grey images and tables, convolutions for colour."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from featureconvex.baselines.method import Options, Setting
from featureconvex.baselines.nonexpansive.method import NonexpansiveMethod
from featureconvex.features import AveragePool, FeatureMap, Flatten, Identity
from featureconvex.training.augmentation import Augmentation, AugmentationPolicy

LARGEST_SIDE = 64
Shape = tuple[int, int, int]


class DenseOrConvolutional(NonexpansiveMethod):
    """Dense layers see grey images pooled to at most ``LARGEST_SIDE`` pixels a side."""

    native_norms: ClassVar[tuple[float, ...]] = (2.0,)
    learning_rate = 0.01
    # Grey images warped a little, as for the library's own models.
    augmentation = AugmentationPolicy(Augmentation(warp=0.08), Augmentation(shift=2, flip=True))

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        if _coloured(options):
            self.default_epochs = 12

    @abstractmethod
    def dense(self, inputs: int) -> Sequence[FeatureMap]:
        """(n, inputs) -> (n, k)."""

    @abstractmethod
    def convolutions(self, shape: Shape) -> Sequence[FeatureMap]:
        """(n, *shape) -> (n, k)."""

    def maps(self, options: Options) -> Sequence[FeatureMap]:
        """Of the shape that the inputs ask for."""
        if not options.image:
            return [Identity(), *self.dense(options.dimension)]
        channels, height, width = options.shape
        if _coloured(options):
            return self.convolutions((channels, height, width))
        k = blocks(max(height, width), LARGEST_SIDE)
        pooled = (channels, height // k, width // k)
        pool = AveragePool(options.shape, k, divisor=k)
        return [pool, Flatten(pooled), *self.dense(channels * pooled[1] * pooled[2])]


def _coloured(options: Options) -> bool:
    return options.image and options.shape[0] > 1


def blocks(length: int, size: int) -> int:
    """How many blocks of a size cover a length.

    >>> blocks(28, 16), blocks(32, 16), blocks(8, 16)
    (2, 2, 1)
    """
    return -(-length // size)


def folded(shape: Shape, factor: int) -> Shape:
    """The shape after :class:`featureconvex.features.Fold`.

    >>> folded((3, 32, 30), 4)
    (48, 8, 8)
    """
    channels, height, width = shape
    return channels * factor**2, blocks(height, factor), blocks(width, factor)
