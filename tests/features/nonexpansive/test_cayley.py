import pytest
import torch

from featureconvex.features.nonexpansive.cayley import cayley, cayley_inverse

SIZES = [(5, 5), (7, 3), (3, 7), (1, 6), (6, 1)]


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
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_the_inverse_finds_a_matrix_with_the_same_transform(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    q = cayley(torch.randn(4, *size, dtype=dtype))
    assert torch.allclose(cayley(cayley_inverse(q)), q, atol=1e-9)
