"""The classifier under the noise: an MLP whose first layer is linear in the image and the noise."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, linear

from featureconvex.baselines.method import Options

HIDDEN = (200, 50)
LONGEST_SIDE = 64


class NoisyMLP(nn.Module):
    """``d-200-50-1`` with ReLU, on inputs scaled to about unit variance.

    The first layer ``u`` is affine, so ``u(x + z) = u(x) + w(z)`` with ``w`` linear, and ``w(z)`` of
    many noise vectors can be computed once for all ``x``. Images with a side above 64 pixels are
    first averaged over squares (linear too), which also averages the noise.

    Args:
        shape: of one input, (c, h, w) or (d,).
        sigma: standard deviation of the noise on a coordinate.
        centre, spread: of the inputs without noise.
        outputs: scores of an input: of one class (n,), or of several (n, outputs).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        sigma: float,
        centre: float,
        spread: float,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.square = math.ceil(max(shape[1:]) / LONGEST_SIDE) if len(shape) == 3 else 1
        self.shape, self.centre = shape, centre
        self.scale = 1 / math.hypot(spread, sigma / self.square)
        inputs = self._averaged(torch.zeros(1, *shape)).shape[1]
        self.first = nn.Linear(inputs, HIDDEN[0])
        self.head = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Linear(*HIDDEN),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN[1], outputs),
            nn.Flatten(0) if outputs == 1 else nn.Identity(),
        )

    def _averaged(self, x: Tensor) -> Tensor:
        if self.square > 1:
            x = avg_pool2d(x, self.square, ceil_mode=True)
        return x.flatten(1)

    def response(self, x: Tensor) -> Tensor:
        """``u(x)``, (n, *shape) -> (n, 200)."""
        out: Tensor = self.first((self._averaged(x) - self.centre) * self.scale)
        return out

    def noise_response(self, z: Tensor) -> Tensor:
        """``w(z)``, (n, *shape) -> (n, 200)."""
        return linear(self._averaged(z), self.first.weight * self.scale)

    def scores(self, response: Tensor) -> Tensor:
        """What the later layers make of the first one's response, (n, 200) -> scores; overwrites it."""
        out: Tensor = self.head(response)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (n, *shape) -> (n,), larger for the sensitive class, or (n, outputs)."""
        return self.scores(self.response(x))


def of_options(options: Options, sigma: float, outputs: int = 1) -> NoisyMLP:
    """The untrained network for a comparison's inputs."""
    # Pixels lie in [0, 1]; tables are standardised.
    centre, spread = (0.5, 0.35) if options.image else (0.0, 1.0)
    return NoisyMLP(options.shape, sigma, centre, spread, outputs)
