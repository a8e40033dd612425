import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featureconvex.features.nonexpansive.smooth_distance import smooth_distance


@pytest.mark.parametrize("sharpness", [0.5, 4.0, 40.0])
def test_the_smooth_distance_is_within_its_bounds(sharpness: float) -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.rand(30, 50, generator=generator) * 2 - 0.5
    w = torch.randn(20, 50, generator=generator) * 0.5
    smooth, exact = smooth_distance(h, w, sharpness), torch.cdist(h, w, p=math.inf)
    assert bool((smooth >= exact - 1e-5).all())
    assert bool((smooth <= exact + math.log(2 * 50) / sharpness + 1e-5).all())


def test_the_smooth_distance_neither_overflows_nor_underflows() -> None:
    h = torch.tensor([[30.0, 0.0], [0.5, 0.0]], requires_grad=True)
    w = torch.tensor([[-10.0, 0.0], [1.5, 0.7]])
    smooth = smooth_distance(h, w, 40.0)
    assert torch.allclose(smooth, torch.tensor([[40.0, 28.5], [10.5, 1.0]]), atol=1e-4)
    torch.autograd.backward(smooth[0, 0])
    assert h.grad is not None
    assert torch.allclose(h.grad, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 40), st.integers(1, 40), st.integers(0, 1000))
def test_the_smooth_distance_is_nonexpansive_in_linf(sharpness: float, d: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(5, d, generator=generator, dtype=torch.float64).requires_grad_()
    w = torch.randn(1, d, generator=generator, dtype=torch.float64)
    torch.autograd.backward(smooth_distance(h, w, sharpness).sum())
    assert h.grad is not None
    assert float(h.grad.abs().sum(dim=1).amax()) <= 1 + 1e-9
