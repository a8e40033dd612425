"""``sll``: a network of SDP-based Lipschitz layers; l2."""

from collections.abc import Sequence

from torch import nn

from featureconvex.baselines.lipschitz.architecture import DenseOrConvolutional
from featureconvex.features.nonexpansive.layers import Flatten, Fold, Pool, ZeroChannels, blocks
from featureconvex.features.nonexpansive.sdp import SLLConv, SLLDense, UnitRow

HIDDEN = 256


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
    learning_rate = 0.01

    def dense(self, inputs: int) -> Sequence[nn.Module]:
        """Residual layers, then one row of length 1."""
        return [*(SLLDense(inputs, HIDDEN) for _ in range(4)), UnitRow(inputs)]

    def convolutions(self, channels: int, height: int, width: int) -> Sequence[nn.Module]:
        """The same, with two dense layers at the end."""
        fold = blocks(max(height, width), 16)
        h, w = blocks(height, fold), blocks(width, fold)
        wide = max(32, channels * fold * fold)
        pool = Pool(2 if min(h, w) > 1 else 1)
        flat = pool.size((wide, h, w))
        return [
            Fold(fold),
            ZeroChannels(wide),
            *(SLLConv(wide, 64, h, w) for _ in range(4)),
            pool,
            Flatten(),
            *(SLLDense(flat, HIDDEN) for _ in range(2)),
            UnitRow(flat),
        ]
