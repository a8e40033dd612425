"""What a smoothing certificate costs when every point gets noise of its own."""

import time

import torch
from torch import Tensor

from featureconvex.baselines.smoothing.network import NoisyMLP
from featureconvex.baselines.smoothing.noise import Noise
from featureconvex.baselines.smoothing.pool import BLOCK, ROWS, Stream, seed_of


@torch.no_grad()
def seconds_with_fresh_noise(
    network: NoisyMLP, noise: Noise, copies: int, x: Tensor, seed: int
) -> float:
    """Mean seconds per point of ``copies`` forward passes, each with freshly drawn noise.

    The ordinary procedure, for comparisons of cost: nothing is shared between points and nothing is
    kept. It certifies nothing itself.

    Args:
        network: trained or not; costs do not depend on the weights.
        noise: what to draw.
        copies: of every point.
        x: (n, *shape) on the network's device, n >= 1; a few points are enough.
        seed: of the noise.
    """
    generator = torch.Generator(x.device).manual_seed(seed_of(seed, Stream.cost))
    block = min(ROWS, max(1, BLOCK // x[0].numel()))
    started = time.perf_counter()
    total = 0
    for point in x:
        for start in range(0, copies, block):
            drawn = noise.sample((min(block, copies - start), *x.shape[1:]), generator)
            total += int((network(drawn.add_(point)).double() > 0).sum())
    return (time.perf_counter() - started) / len(x)
