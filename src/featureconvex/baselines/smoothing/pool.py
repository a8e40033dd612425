"""Noise vectors shared by all points, seen through the network's first layer."""

import math
from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from featureconvex.baselines.smoothing.network import NoisyMLP
from featureconvex.baselines.smoothing.noise import Noise

ROWS = 2000
"""Responses in a chunk: 1.6 MB, which stays in a core's cache."""
BLOCK = 2**24
"""At most so many numbers of raw noise at a time (64 MB)."""
KEPT = 400 * 2**20
"""At most so many bytes of responses are kept; what is beyond is drawn again, the same, each time."""


class Stream(IntEnum):
    """What randomness is for. Each has a seed of its own, so that no two share noise."""

    weights = 0
    training = 1
    threshold = 2
    guess = 3
    certificate = 4
    cost = 5


def seed_of(seed: int, stream: Stream, part: int = 0) -> int:
    """A 63-bit seed; different streams and parts are independent for all practical purposes."""
    state = np.random.SeedSequence([seed, int(stream), part]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


class NoisePool:
    """``size`` noise vectors' first-layer responses, the same in every pass over them.

    Each chunk has its own seed, so memory stays bounded: the first 400 MB of responses are kept.
    The pool notices when the first layer's weights have changed since, and starts afresh.

    Args:
        network: whose first layer sees the noise.
        noise: what to draw.
        size: how many vectors.
        seed, stream: of the noise.
    """

    def __init__(
        self, network: NoisyMLP, noise: Noise, size: int, seed: int, stream: Stream
    ) -> None:
        self.network, self.noise, self.size = network, noise, size
        self.seed, self.stream = seed, stream
        self._kept: list[Tensor] = []
        self._weight: Tensor | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """Chunks of (at most 2000, 200) responses; they must not be written to."""
        self._forget_if_changed()
        for index in range(math.ceil(self.size / ROWS)):
            if index < len(self._kept):
                yield self._kept[index]
                continue
            chunk = self._drawn(index)
            if index == len(self._kept) and (index + 1) * ROWS * chunk.shape[1] * 4 <= KEPT:
                self._kept.append(chunk)
            yield chunk

    @property
    def kept_bytes(self) -> int:
        """The size of what is kept."""
        return sum(chunk.numel() * chunk.element_size() for chunk in self._kept)

    def _forget_if_changed(self) -> None:
        weight = self.network.first.weight.detach()
        known = self._weight
        if known is None or known.device != weight.device or not torch.equal(known, weight):
            self._kept, self._weight = [], weight.clone()

    @torch.no_grad()
    def _drawn(self, index: int) -> Tensor:
        device = self.network.first.weight.device
        generator = torch.Generator(device).manual_seed(seed_of(self.seed, self.stream, index))
        rows = min(ROWS, self.size - index * ROWS)
        shape = self.network.shape
        block = max(1, BLOCK // math.prod(shape))
        parts = [
            self.network.noise_response(
                self.noise.sample((min(block, rows - start), *shape), generator)
            )
            for start in range(0, rows, block)
        ]
        return torch.cat(parts)
