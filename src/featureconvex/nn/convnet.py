"""The input-convex convolutional network of the paper."""

from typing import Any

from torch import Tensor, nn

from featureconvex.errors import UserError
from featureconvex.given import whole_number, whole_numbers, yes_or_no
from featureconvex.nn.activations import activation as make_activation
from featureconvex.nn.activations import activation_name
from featureconvex.nn.card import card
from featureconvex.nn.composite import Composite, Node, Wires
from featureconvex.nn.initialisation import initialise_
from featureconvex.nn.nonnegative import (
    MonotoneBatchNorm2d,
    NonNegativeConv2d,
    NonNegativeLinear,
)


def _sides(image_size: object) -> tuple[int, int]:
    try:
        sides = (whole_number("image_size", image_size, 1),) * 2
    except UserError:
        sides = whole_numbers("image_size", image_size, "28 or (28, 28)")  # type: ignore[assignment]
    if len(sides) != 2:
        raise UserError(f"image_size takes height and width, or one number, got {image_size!r}")
    return sides


class ConvexBlock(nn.Module):
    """``s(bn(z) + conv(bn(z)))`` with scale and kernel >= 0: convex and nondecreasing in ``z``.

    Shape: (n, channels, h, w) -> the same.
    """

    def __init__(
        self, channels: int, kernel_size: int, activation: str | nn.Module, batch_norm: bool
    ) -> None:
        super().__init__()
        self.norm = MonotoneBatchNorm2d(channels) if batch_norm else nn.Identity()
        self.conv = NonNegativeConv2d(channels, channels, kernel_size, padding=kernel_size // 2)
        self.activation = make_activation(activation)

    def forward(self, z: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, channels, h, w)."""
        z = self.norm(z)
        out: Tensor = self.activation(self.conv(z) + z)
        return out


@card(ConvexBlock)
class ConvexBlockCard(Composite[ConvexBlock]):
    """A sum of nondecreasing maps, then an activation."""

    def wiring(self, module: ConvexBlock, wires: Wires[Node], node: Node) -> Node:
        """As :meth:`ConvexBlock.forward`."""
        z = wires.through(module.norm, node)
        return wires.through(module.activation, wires.add(wires.through(module.conv, z), z))


class ConvexConvNet(nn.Module):
    """``g(u)`` for images: batch norm, free convolution, convex residual blocks, pool, readout.

    The first batch norm and convolution see the input and are free in sign; everything after is
    nondecreasing, so ``g`` is convex (in eval mode). The paper's networks are
    ``ConvexConvNet(1, 28, features=4, depth=2, first_kernel=5, init="paper")`` (Fashion) and
    ``ConvexConvNet(6, 32, features=16, depth=4, first_kernel=11, init="paper")`` (CIFAR-10).

    Args:
        in_channels: channels of the input (of the feature map's output).
        image_size: height and width in pixels, or one number for both.
        features: channels of the hidden layers.
        depth: number of residual blocks.
        first_kernel: odd kernel size of the first convolution (stride 1, zero padding).
        kernel: odd kernel size in the blocks.
        pool: side of the final max-pooling window; 1 pools nothing.
        batch_norm: batch norm in front of every convolution and of the readout.
        activation: as in :class:`ConvexMLP`.
        init: ``"principled"`` or ``"paper"``.

    Shape: (n, in_channels, height, width) -> (n,).

    >>> import torch
    >>> ConvexConvNet(1, 8, features=2, depth=1)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int | tuple[int, int],
        *,
        features: int = 16,
        depth: int = 4,
        first_kernel: int = 5,
        kernel: int = 3,
        pool: int = 1,
        batch_norm: bool = True,
        activation: str | nn.Module = "relu",
        init: str = "principled",
    ) -> None:
        super().__init__()
        height, width = _sides(image_size)
        in_channels = whole_number("in_channels", in_channels, 1)
        features, depth = whole_number("features", features, 1), whole_number("depth", depth, 0)
        first_kernel = whole_number("first_kernel", first_kernel, 1)
        kernel, pool = whole_number("kernel", kernel, 1), whole_number("pool", pool, 1)
        batch_norm = yes_or_no("batch_norm", batch_norm)
        if first_kernel % 2 == 0 or kernel % 2 == 0:
            raise UserError(f"kernel sizes must be odd, got {first_kernel} and {kernel}")
        if height // pool < 1 or width // pool < 1:
            raise UserError(f"a pool of {pool} does not fit an image of {height} x {width}")
        self.in_channels, self.image_size = in_channels, (height, width)
        self.features, self.depth, self.init = features, depth, init
        self.first_kernel, self.kernel, self.pool, self.batch_norm = (
            first_kernel,
            kernel,
            pool,
            batch_norm,
        )
        self.first_norm = nn.BatchNorm2d(in_channels) if batch_norm else nn.Identity()
        self.first_conv = nn.Conv2d(in_channels, features, first_kernel, padding=first_kernel // 2)
        self.activation = make_activation(activation)
        self.blocks = nn.Sequential(
            *(ConvexBlock(features, kernel, activation, batch_norm) for _ in range(depth))
        )
        self.pooling = nn.MaxPool2d(pool)
        self.last_norm = MonotoneBatchNorm2d(features) if batch_norm else nn.Identity()
        self.readout = NonNegativeLinear(features * (height // pool) * (width // pool), 1)
        initialise_(self, init)

    def forward(self, u: Tensor) -> Tensor:
        """(n, in_channels, height, width) -> (n,)."""
        if u.ndim != 4 or tuple(u.shape[1:]) != (self.in_channels, *self.image_size):
            raise UserError(
                f"expected images of shape (n, {self.in_channels}, {self.image_size[0]}, "
                f"{self.image_size[1]}), got {tuple(u.shape)}"
            )
        z = self.activation(self.first_conv(self.first_norm(u)))
        z = self.last_norm(self.pooling(self.blocks(z)))
        out: Tensor = self.readout(z.flatten(1))
        return out.squeeze(1)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, as plain values for a model file."""
        names = (
            "in_channels",
            "features",
            "depth",
            "first_kernel",
            "kernel",
            "pool",
            "batch_norm",
            "init",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "image_size": list(self.image_size),
            "activation": activation_name(self.activation),
        }


@card(ConvexConvNet)
class ConvexConvNetCard(Composite[ConvexConvNet]):
    """An affine map, and nondecreasing convex ones after it."""

    def wiring(self, module: ConvexConvNet, wires: Wires[Node], node: Node) -> Node:
        """As :meth:`ConvexConvNet.forward`."""
        front = (module.first_norm, module.first_conv, module.activation)
        for part in (*front, *module.blocks, module.pooling, module.last_norm):
            node = wires.through(part, node)
        node = wires.through(module.readout, wires.reshape(node, 1, (-1,)))
        return wires.reshape(node, 1, ())
