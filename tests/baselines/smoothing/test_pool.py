import numpy as np
import pytest
import torch
from torch import Tensor

from featureconvex.baselines.smoothing import pool as smoothing_pool
from featureconvex.baselines.smoothing.network import NoisyMLP
from featureconvex.baselines.smoothing.noise import GaussianNoise, LaplacianNoise, UniformNoise
from featureconvex.baselines.smoothing.pool import ROWS, NoisePool, Stream, seed_of

SIZE = 2 * ROWS + 100


def network() -> NoisyMLP:
    return NoisyMLP((6,), 0.8, 0.0, 1.0)


def everything(pool: NoisePool) -> Tensor:
    return torch.cat(list(pool)).detach()


def test_every_pass_sees_the_same_responses_of_the_size_asked_for() -> None:
    pool = NoisePool(network(), GaussianNoise(0.8), SIZE, 0, Stream.certificate)
    first = everything(pool)
    assert first.shape == (SIZE, 200)
    assert torch.equal(first, everything(pool))
    assert pool.kept_bytes == SIZE * 200 * 4


@pytest.mark.parametrize("kept_chunks", [0, 1])
def test_what_is_not_kept_is_drawn_again_the_same(
    monkeypatch: pytest.MonkeyPatch, kept_chunks: int
) -> None:
    net, noise = network(), LaplacianNoise(0.8)
    whole = everything(NoisePool(net, noise, SIZE, 0, Stream.certificate))
    monkeypatch.setattr(smoothing_pool, "KEPT", kept_chunks * ROWS * 200 * 4)
    scarce = NoisePool(net, noise, SIZE, 0, Stream.certificate)
    assert torch.equal(everything(scarce), whole)
    assert torch.equal(everything(scarce), whole)
    assert scarce.kept_bytes == kept_chunks * ROWS * 200 * 4


def test_no_more_raw_noise_at_a_time_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    class Watched(UniformNoise):
        def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
            drawn.append(shape[0] * shape[1])
            return super().sample(shape, generator)

    monkeypatch.setattr(smoothing_pool, "BLOCK", 1000)
    assert len(everything(NoisePool(network(), Watched(0.8), SIZE, 0, Stream.guess))) == SIZE
    assert max(drawn) <= 1000
    assert sum(drawn) == SIZE * 6


def test_notices_other_weights() -> None:
    net = network()
    pool = NoisePool(net, GaussianNoise(0.8), 50, 0, Stream.guess)
    before = everything(pool)
    with torch.no_grad():
        net.first.weight.data.mul_(2)
    assert torch.allclose(everything(pool), 2 * before, rtol=1e-5, atol=1e-6)


def test_responses_have_the_covariance_of_the_noise_after_the_layer() -> None:
    net = network()
    found = everything(NoisePool(net, UniformNoise(0.8), 40_000, 0, Stream.certificate))
    w = net.first.weight.detach() * net.scale
    assert torch.allclose(torch.cov(found.T), 0.64 * w @ w.T, atol=0.02)
    assert torch.allclose(found.mean(0), torch.zeros(200), atol=0.01)


def test_streams_parts_and_seeds_share_nothing() -> None:
    seeds = {seed_of(s, stream, part) for s in range(5) for stream in Stream for part in range(50)}
    assert len(seeds) == 5 * len(Stream) * 50
    net, noise = network(), GaussianNoise(0.8)
    pools = [NoisePool(net, noise, SIZE, 0, stream) for stream in Stream]
    chunks = torch.cat([everything(pool) for pool in pools]).numpy()
    assert len(np.unique(chunks, axis=0)) == len(chunks)
