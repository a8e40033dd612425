import pytest
import torch

from featureconvex.baselines.smoothing.network import NoisyMLP

SHAPES = [(5,), (1, 8, 8), (3, 32, 32), (1, 130, 70)]


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_adds_up_in_the_first_layer(shape: tuple[int, ...]) -> None:
    network = NoisyMLP(shape, sigma=2.0, centre=0.5, spread=0.3).double()
    x, z = torch.rand(4, *shape).double(), torch.randn(4, *shape).double()
    parts = network.response(x) + network.noise_response(z)
    assert torch.allclose(parts, network.response(x + z), atol=1e-12)
    assert torch.allclose(network.scores(parts), network(x + z), atol=1e-12)
    assert network(x).shape == (4,)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.75, 14.0])
def test_the_first_layer_sees_about_unit_variance(shape: tuple[int, ...], sigma: float) -> None:
    network = NoisyMLP(shape, sigma, centre=0.0, spread=0.3)
    seen: list[torch.Tensor] = []
    network.first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    images = torch.randn(60, *[1] * len(shape)) * 0.3
    network(images + torch.randn(60, *shape) * sigma)
    assert seen[0].std().item() == pytest.approx(1, abs=0.1)


def test_large_images_are_averaged_over_squares() -> None:
    assert NoisyMLP((1, 512, 512), 3.5, 0.5, 0.3).first.in_features == 64 * 64
    assert NoisyMLP((1, 28, 28), 3.5, 0.5, 0.3).first.in_features == 28 * 28
