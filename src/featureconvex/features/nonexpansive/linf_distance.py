"""Networks of l-infinity distances: 1-Lipschitz in linf whatever their weights.

Zhang, Cai, Lu, He and Wang, "Towards Certifying L-infinity Robustness using Neural Networks with
L-inf-dist Neurons" (ICML 2021, arXiv 2102.05363). A neuron is ``||h - w||_inf - m``. By the triangle
inequality it moves by at most ``||h - h'||_inf``, and so does the largest of many neurons: every layer,
and every chain of layers, has constant 1 from linf to linf.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

MOMENTUM = 0.1
FACTOR_EXPONENT = 40.0
SCALE = 0.3
"""Standard deviation of fresh weights, for inputs that span about 1."""
UNIT_ROUNDOFF = 2.0**-53


def smooth_distance(h: Tensor, w: Tensor, sharpness: float) -> Tensor:
    """A smooth ``||h_i - w_j||_inf`` that is a matrix product: (n, d), (k, d) -> (n, k).

    ``log(sum_i exp(s (h_i - w_i)) + exp(-s (h_i - w_i))) / s`` lies between the distance and the
    distance ``+ log(2 d) / s``. Its derivatives in ``h`` are weights of a softmax times numbers in
    [-1, 1], so it is 1-Lipschitz in linf for every ``s``, and it tends to the distance as ``s`` grows,
    as the p-norms of the paper do. But ``exp(s (h_i - w_i)) = exp(s h_i) exp(-s w_i)`` makes it two
    products of matrices, here about 100 times faster than p-norms with their powers per pair.

    Args:
        h, w: where both a row of ``h`` and one of ``w`` have values beyond ``60 / s``, the result may be
            wrong, for float32 underflows.
        sharpness: ``s`` > 0.

    >>> smooth_distance(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, -1.0]]), 40.0)
    tensor([[2.]])
    """
    h, w = sharpness * h, sharpness * w
    # Factors are at most exp(40), so that no sum of products of two overflows float32.
    down_h, down_w = (_largest(v).sub(FACTOR_EXPONENT).clamp(min=0) for v in (h, w))
    total = (h - down_h).exp() @ (-w - down_w).exp().T + (-h - down_h).exp() @ (w - down_w).exp().T
    total = total.clamp(min=torch.finfo(total.dtype).tiny)
    return (total.log() + down_h + down_w.T) / sharpness


def _largest(rows: Tensor) -> Tensor:
    """(n, d) -> (n, 1)."""
    return rows.detach().abs().amax(dim=1, keepdim=True)


class DistanceLayer(nn.Module):
    """``||h - w_j||_inf - m_j`` for each neuron j; ``m`` is the mean shift, not trained.

    Args:
        inputs, neurons: sizes.
        shifted: whether ``m`` follows the batches' means in training; 0 otherwise.
    """

    mean: Tensor

    def __init__(self, inputs: int, neurons: int, shifted: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(neurons, inputs) * SCALE)
        self.register_buffer("mean", torch.zeros(neurons))
        self.shifted = shifted

    def forward(self, h: Tensor, sharpness: float) -> Tensor:
        """The smooth layer, (n, inputs) -> (n, neurons), centred by the batch in training."""
        out = smooth_distance(h, self.weight, sharpness)
        if not self.shifted:
            return out
        if not self.training:
            return out - self.mean
        mean = out.mean(dim=0)
        self.mean.lerp_(mean.detach(), MOMENTUM)
        return out - mean

    def distances(self, h: Tensor) -> Tensor:
        """``||h - w_j||_inf`` with p = inf: (n, inputs) float64 -> (n, neurons) float64."""
        return torch.cdist(h, self.weight.double(), p=math.inf)

    def largest(self) -> float:
        """The largest absolute value of a weight, plus that of a shift."""
        return float(self.weight.detach().abs().amax() + self.mean.abs().amax())


class DistanceNetwork(nn.Module):
    """Fully connected layers of distances, and ``(o_0 - o_1) / 2`` of two last neurons.

    The score is 1-Lipschitz in linf: each of ``o_0``, ``o_1`` is, and half their difference moves by at
    most the mean of what they move by.

    Args:
        inputs: d.
        hidden: neurons of the hidden layers.
    """

    def __init__(self, inputs: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        sizes = (inputs, *hidden)
        layers = [DistanceLayer(a, b, True) for a, b in pairwise(sizes)]
        layers.append(DistanceLayer(sizes[-1], 2, False))
        self.chain = nn.ModuleList(layers)
        self.sharpness = 1.0

    @property
    def layers(self) -> list[DistanceLayer]:
        """The hidden layers and the last."""
        return [layer for layer in self.chain if isinstance(layer, DistanceLayer)]

    def forward(self, x: Tensor) -> Tensor:
        """Scores at the current ``sharpness``, for training: (n, *shape) -> (n,)."""
        h = x.flatten(1)
        for layer in self.layers:
            h = layer(h, self.sharpness)
        return (h[:, 0] - h[:, 1]) / 2

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """Scores with p = inf in float64, (n, *shape) -> (n,)."""
        h = x.flatten(1).double()
        for layer in self.layers:
            h = layer.distances(h) - layer.mean.double()
        out: Tensor = (h[:, 0] - h[:, 1]) / 2
        return out

    @torch.no_grad()
    def centre(self, x: Tensor) -> None:
        """Set every mean shift to the mean with p = inf over ``x`` (n, *shape)."""
        h = x.flatten(1).double()
        for layer in self.layers:
            out = layer.distances(h)
            if layer.shifted:
                layer.mean.copy_(out.mean(dim=0))
            h = out - layer.mean.double()

    def rounding(self, reach: Tensor, tau: float) -> Tensor:
        """A bound on what float64 loses in ``score + tau``: (n,) float64.

        No value on the way exceeds ``B = reach + |tau| +`` the sum of the largest weights and shifts,
        and no difference ``2 B``. A layer passes on the error it gets (its constant is 1) and adds at
        most the rounding of two differences, ``4 B u``; the head's difference and ``tau`` add as much.
        The bound is twice that, which is more than enough for products of roundings and for the last
        subtraction.

        Args:
            reach: (n,), the largest absolute value of a coordinate.
        """
        bound = reach + abs(tau) + sum(layer.largest() for layer in self.layers)
        return 2 * 4 * (len(self.layers) + 1) * UNIT_ROUNDOFF * bound
