import pytest
import torch
from torch import Tensor

from featureconvex.features.nonexpansive import cayley as cayley_layers
from featureconvex.features.nonexpansive.cayley import CayleyConv, CayleyDense, cayley

SIZES = [(5, 5), (7, 3), (3, 7), (1, 6), (6, 1)]


def operator(conv: CayleyConv, inputs: int) -> Tensor:
    """The frozen convolution as a matrix, (outputs, inputs)."""
    apply = conv.frozen().apply
    eye = torch.eye(inputs * conv.grid[0] * conv.grid[1], dtype=torch.float64)
    basis = eye.reshape(-1, inputs, *conv.grid)
    return (apply(basis) - apply(torch.zeros_like(basis))).flatten(1).T


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_the_shorter_side_is_orthonormal(size: tuple[int, int], dtype: torch.dtype) -> None:
    q = cayley(torch.randn(4, *size, dtype=dtype) * 3)
    assert q.shape == (4, *size)
    gram = q @ q.mH if size[0] <= size[1] else q.mH @ q
    assert torch.allclose(gram, torch.eye(min(size), dtype=dtype).expand_as(gram), atol=1e-12)


def test_the_transform_of_a_skew_matrix_is_the_classic_one() -> None:
    raw = torch.randn(4, 4, dtype=torch.float64)
    skew, eye = raw - raw.T, torch.eye(4, dtype=torch.float64)
    assert torch.allclose((eye + skew) @ cayley(raw), eye - skew)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dense_layers_are_measured(size: tuple[int, int]) -> None:
    layer = CayleyDense(size[1], size[0])
    frozen = layer.frozen()
    q = layer.matrix(torch.float64)
    assert torch.linalg.matrix_norm(q, 2) <= frozen.bound <= 1 + 1e-12
    x = torch.randn(9, size[1])
    assert torch.allclose(frozen.apply(x.double()).float(), layer(x), atol=1e-5)


@pytest.mark.parametrize("channels", [(2, 3), (3, 2), (2, 2)], ids=str)
@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (4, 4), (5, 3)], ids=str)
def test_convolutions_are_orthogonal_and_measured(
    channels: tuple[int, int], grid: tuple[int, int]
) -> None:
    conv = CayleyConv(*channels, *grid)
    with torch.no_grad():
        conv.scale.mul_(3)
        conv.bias.normal_()
    matrix = operator(conv, channels[0])
    values = torch.linalg.svdvals(matrix)
    assert torch.allclose(values, torch.ones_like(values), atol=1e-12)
    assert values.max() <= conv.frozen().bound <= 1 + 1e-11
    x = torch.randn(3, channels[0], *grid)
    assert torch.allclose(conv.frozen().apply(x.double()).float(), conv(x), atol=1e-5)


def test_convolutions_commute_with_shifts_of_the_torus() -> None:
    conv = CayleyConv(2, 3, 5, 4)
    x = torch.randn(2, 2, 5, 4)
    shifted = conv(x.roll((1, 2), dims=(2, 3)))
    assert torch.allclose(shifted, conv(x).roll((1, 2), dims=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("factor", [1.001, 1.5])
def test_a_transform_that_is_not_orthogonal_shows_in_the_bound(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv, dense = CayleyConv(2, 3, 4, 4), CayleyDense(5, 3)
    monkeypatch.setattr(cayley_layers, "cayley", lambda w: factor * cayley(w))
    assert conv.frozen().bound >= factor
    assert dense.frozen().bound >= factor
    assert torch.linalg.matrix_norm(operator(conv, 2), 2) <= conv.frozen().bound
