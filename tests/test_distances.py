"""Distances against differences written out, and in linf bit for bit against torch's own."""

import math

import pytest
import torch

from featureconvex.distances import FEW, distances


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("sizes", [(1, 5), (FEW, FEW), (70, 33)])
def test_equal_the_norms_of_differences(p: float, sizes: tuple[int, int]) -> None:
    x, w = (torch.randn(n, 13, dtype=torch.float64) for n in sizes)
    expected = torch.linalg.vector_norm(x[:, None] - w[None], p, dim=2)
    torch.testing.assert_close(distances(x, w, p), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [1, 8, 19])
def test_linf_has_the_bits_of_one_rounded_difference(dtype: torch.dtype, columns: int) -> None:
    """Also of rows far from 0, where products would lose every digit of the distance."""
    x = 1000 + torch.rand(130, columns, dtype=dtype)
    w = 1000 + torch.rand(40, columns, dtype=dtype)
    expected = (x[:, None] - w[None]).abs().amax(dim=2)
    assert torch.equal(distances(x, w, math.inf), expected)
    assert torch.equal(torch.cdist(x, w, p=math.inf), expected)


def test_a_gradient_is_that_of_the_largest_coordinate() -> None:
    x = torch.randn(FEW, 5, dtype=torch.float64, requires_grad=True)
    w = torch.randn(FEW, 5, dtype=torch.float64)
    (slope,) = torch.autograd.grad(distances(x, w, math.inf)[:, 0].sum(), x)
    apart = x.detach() - w[0]
    largest = apart.abs().argmax(dim=1, keepdim=True)
    expected = torch.zeros_like(apart).scatter(1, largest, apart.gather(1, largest).sign())
    assert torch.equal(slope, expected)


@pytest.mark.parametrize("rows", [1, FEW])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_what_is_not_a_number_stays_so(rows: int, graded: bool, p: float) -> None:
    x, w = torch.zeros(rows + 1, 20), torch.zeros(FEW, 20)
    x[1, 17] = math.nan
    found = distances(x.requires_grad_(graded), w, p)
    assert found[1].isnan().all()
    assert not found[0].isnan().any()
    w[3, 5] = math.nan
    found = distances(x, w, p)
    assert found[0].isnan().tolist() == [k == 3 for k in range(FEW)]
