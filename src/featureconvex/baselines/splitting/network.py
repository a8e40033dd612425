"""The classifier that sees inputs through splits, with arithmetic that never rounds a sum."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from featureconvex.errors import UserError

HIDDEN = (256, 64)
CHANNELS = 4
WEIGHT_UNIT = 2.0**-16
VALUE_UNIT = 2.0**-12
LARGEST_WEIGHT = 2.0**7
LONGEST_SIDE = 64


class SplitNetwork(nn.Module):
    """An MLP on the four channels of :meth:`.SplitNoise.seen`, averaged over squares of large images.

    The same split image must always get the same decision, or a certificate that counts decisions
    means nothing; yet floating-point sums depend on their order, and with it on the size of a batch.
    So the trained weights are rounded to multiples of 2^-16 and hidden values to multiples of 2^-12,
    and float64 then holds every sum exactly, whatever its order.

    Args:
        shape: of one input, (c, h, w) or (d,).
        hidden: sizes of the two hidden layers.
    """

    def __init__(self, shape: tuple[int, ...], hidden: tuple[int, int] = HIDDEN) -> None:
        super().__init__()
        self.shape = shape
        self.square = math.ceil(max(shape[1:]) / LONGEST_SIDE) if len(shape) == 3 else 1
        self.inputs = self._averaged(torch.zeros(1, CHANNELS, math.prod(shape))).shape[2]
        self.first = nn.Linear(CHANNELS * self.inputs, hidden[0])
        self.second = nn.Linear(*hidden)
        self.third = nn.Linear(hidden[1], 1)

    def _averaged(self, seen: Tensor) -> Tensor:
        """(n, 4, d) -> (n, 4, inputs)."""
        if self.square == 1:
            return seen
        channels, height, width = self.shape
        images = seen.reshape(len(seen), CHANNELS * channels, height, width)
        images = pad(images, (0, -width % self.square, 0, -height % self.square))
        return avg_pool2d(images, self.square).reshape(len(seen), CHANNELS, -1)

    def input_of_coordinate(self) -> Tensor:
        """Which averaged input each coordinate goes into, (d,) long."""
        index = torch.arange(math.prod(self.shape), device=self.first.weight.device)
        if self.square == 1:
            return index
        _, height, width = self.shape
        across, down = math.ceil(width / self.square), math.ceil(height / self.square)
        channel, row, column = index // (height * width), index // width % height, index % width
        return (channel * down + row // self.square) * across + column // self.square

    def forward(self, seen: Tensor) -> Tensor:
        """Scores for training, (n, 4, d) -> (n,), larger for the sensitive class."""
        hidden = torch.relu(self.first(self._averaged(seen).flatten(1)))
        scores: Tensor = self.third(torch.relu(self.second(hidden)))
        return scores.flatten()

    @torch.no_grad()
    def round_weights(self) -> None:
        """Round all weights to multiples of 2^-16, for good.

        Raises:
            UserError: a weight is not finite or too large for that.
        """
        for parameter in self.parameters():
            if not bool((parameter.abs() < LARGEST_WEIGHT).all()):
                raise UserError(
                    "training of the splitting network diverged: a weight is not below "
                    f"{LARGEST_WEIGHT:.0f}; use fewer epochs or another seed"
                )
            parameter.div_(WEIGHT_UNIT).round_().mul_(WEIGHT_UNIT)

    def channel_weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The first layer's weights of each channel, (inputs, hidden) float64 each."""
        weight = self.first.weight.detach().double()
        above, split, below, rest = weight.reshape(-1, CHANNELS, self.inputs).permute(1, 2, 0)
        return above, split, below, rest

    @torch.no_grad()
    def scores(self, responses: Tensor) -> Tensor:
        """What follows the first layer's products, (n, hidden) -> (n,) float64.

        Every step is exact or acts on single numbers, so that a row's score depends on that row only.
        """
        values = responses + self.first.bias.double()
        values = _exact(_rounded(values), self.second)
        return _exact(_rounded(values), self.third).flatten()


def _rounded(values: Tensor) -> Tensor:
    return torch.relu(values).div_(VALUE_UNIT).round_().mul_(VALUE_UNIT)


def _exact(values: Tensor, layer: nn.Linear) -> Tensor:
    """A linear layer on values >= 0 in float64, with no sum rounded."""
    weight = layer.weight.double()
    check_exact(float((values.amax(dim=0) @ weight.abs().T).amax()), VALUE_UNIT * WEIGHT_UNIT)
    return values @ weight.T + layer.bias.double()


def check_exact(largest: float, unit: float) -> None:
    """Refuse sums of multiples of ``unit`` that could exceed what float64 holds exactly.

    Raises:
        UserError: a partial sum may be as large as 2^52 units.
    """
    if not largest < 2.0**52 * unit:
        raise UserError(
            "the splitting network's weights are too large for exact sums; use fewer epochs"
        )
