"""What a network says of noisy copies of inputs, whose noise comes from a pool."""

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.baselines.smoothing.network import NoisyMLP
from featureconvex.baselines.smoothing.pool import NoisePool


def chosen_scores(network: NoisyMLP, pool: NoisePool, x: Tensor, copies: int) -> Iterator[Tensor]:
    """For each input (n, *shape) the scores of some copies, (copies,) or (copies, classes).

    Noise is chosen from the pool by the input's own content, so its copies are the same whatever comes
    with it, and inputs share few of them.
    """
    responses = torch.cat(list(pool))
    for point in x.float():
        generator = torch.Generator().manual_seed(zlib.crc32(point.cpu().numpy().tobytes()))
        chosen = torch.randint(len(responses), (copies,), generator=generator)
        shift = network.response(point[None].to(responses.device))
        yield network.scores(responses[chosen.to(responses.device)] + shift)


def count_votes(
    network: NoisyMLP, pool: NoisePool, x: Tensor, wanted: Callable[[int, Tensor], Tensor]
) -> NDArray[np.int64]:
    """How many of the pool's copies of each input (n, *shape) are answered as wanted, (n,).

    Args:
        network: of the pool.
        pool: all of it is used.
        x: inputs.
        wanted: an input's place and the scores of some copies -> (copies,) bool.
    """
    if not len(x):
        return np.zeros(0, dtype=np.int64)
    # One point and one chunk at a time: the same numbers in every batch, and little memory.
    where = network.first.weight.device
    shifts = [network.response(point[None].to(where)) for point in x.float()]
    counts = torch.zeros(len(x), dtype=torch.int64, device=where)
    for chunk in pool:
        for row, shift in enumerate(shifts):
            counts[row] += wanted(row, network.scores(chunk + shift)).sum()
    return np.asarray(counts.cpu().numpy())
