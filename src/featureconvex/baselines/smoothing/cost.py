"""What a smoothing certificate costs when every point gets noise of its own."""

import time
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from featureconvex.baselines.smoothing.pool import BLOCK, ROWS, Stream, seed_of

if TYPE_CHECKING:
    from featureconvex.baselines.smoothing.method import Smoothing


@torch.no_grad()
def seconds_with_fresh_noise(method: "Smoothing", x: Tensor) -> float:
    """Mean seconds per point of ``n0 + n`` forward passes on copies with freshly drawn noise.

    The ordinary procedure, for comparisons of cost: nothing is shared between points and nothing is
    kept. It certifies nothing itself.

    Args:
        method: fitted or not; costs do not depend on the weights.
        x: (n, *shape), n >= 1; a few points are enough.
    """
    where = method.tau.device
    generator = torch.Generator(where).manual_seed(seed_of(method.options.seed, Stream.cost))
    copies = method.guesses + method.options.samples
    block = min(ROWS, max(1, BLOCK // method.options.dimension))
    started = time.perf_counter()
    total = 0
    for point in x.to(where):
        for start in range(0, copies, block):
            rows = min(block, copies - start)
            noise = method.noise.sample((rows, *method.options.shape), generator)
            scores = method.network(noise.add_(point))
            total += int((scores.double() + method.tau > 0).sum())
    return (time.perf_counter() - started) / len(x)
