"""The two shapes of 1-Lipschitz networks: dense for grey images and tables, convolutions for colour."""

from abc import abstractmethod
from collections.abc import Sequence

from torch import nn

from featureconvex.baselines.lipschitz.method import LipschitzMethod
from featureconvex.baselines.method import Options, Setting
from featureconvex.features.nonexpansive.layers import Flatten, Pool, blocks

LARGEST_SIDE = 64


class DenseOrConvolutional(LipschitzMethod):
    """Dense layers see grey images pooled to at most ``LARGEST_SIDE`` pixels a side."""

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        if _coloured(options):
            self.default_epochs = 12

    @abstractmethod
    def dense(self, inputs: int) -> Sequence[nn.Module]:
        """(n, inputs) -> (n, 1)."""

    @abstractmethod
    def convolutions(self, channels: int, height: int, width: int) -> Sequence[nn.Module]:
        """(n, channels, height, width) -> (n, 1)."""

    def layers(self, options: Options) -> Sequence[nn.Module]:
        """Of the shape that the inputs ask for."""
        if _coloured(options):
            return self.convolutions(*options.shape)
        if not options.image:
            return [Flatten(), *self.dense(options.dimension)]
        pool = Pool(blocks(max(options.shape[1:]), LARGEST_SIDE))
        return [pool, Flatten(), *self.dense(pool.size(options.shape))]


def _coloured(options: Options) -> bool:
    return options.image and options.shape[0] > 1
