import itertools

import mpmath  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from featureconvex.errors import UserError
from featureconvex.rounding.spectral_bound import (
    convolution_blocks,
    spectral_bound,
)

TIGHT = 1 + 1e-11


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def exact_norm(matrix: Tensor) -> mpmath.mpf:
    """The spectral norm in 40 digits."""
    with mpmath.workdps(40):
        rows = [[mpmath.mpc(complex(v)) for v in row] for row in matrix.tolist()]
        return max(mpmath.svd_c(mpmath.matrix(rows), compute_uv=False))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (4, 4), (6, 3), (3, 7)], ids=str)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_bound_holds_in_exact_arithmetic_and_is_tight(
    shape: tuple[int, int], scale: float
) -> None:
    for seed in range(5):
        matrix = random(*shape, seed=seed) * scale
        exact, bound = exact_norm(matrix), spectral_bound(matrix)
        assert exact <= bound <= exact * TIGHT


def test_complex_matrices() -> None:
    for seed in range(5):
        matrix = torch.complex(random(4, 3, seed=seed), random(4, 3, seed=seed + 50))
        exact, bound = exact_norm(matrix), spectral_bound(matrix)
        assert exact <= bound <= exact * TIGHT


def test_orthogonal_matrices_are_bounded_by_what_they_are_not_by_one() -> None:
    q = torch.linalg.qr(random(5, 5))[0]
    above = q * (1 + 1e-6)
    assert spectral_bound(above) >= exact_norm(above) > 1 + 9e-7
    assert spectral_bound(q.float()) >= exact_norm(q.float())


def test_a_stack_is_bounded_by_its_largest_matrix() -> None:
    stack = random(2, 3, 4, 5)
    each = [spectral_bound(m) for m in stack.flatten(0, 1)]
    assert max(each) <= spectral_bound(stack) * (1 + 1e-15) <= max(each) * TIGHT


def test_zero_has_norm_zero() -> None:
    assert 0 <= spectral_bound(torch.zeros(3, 2)) < 1e-200


@pytest.mark.parametrize("fault", ["small s", "wrong u", "wrong v", "all zero"])
def test_the_bound_needs_no_trust_in_the_decomposition(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = torch.linalg.svd

    def faulty(m: Tensor, full_matrices: bool) -> tuple[Tensor, Tensor, Tensor]:
        u, s, vt = honest(m, full_matrices=full_matrices)
        if fault == "small s":
            return u, s * 0.9, vt
        if fault == "wrong u":
            return u * 0.7, s, vt
        if fault == "wrong v":
            return u, s, vt.roll(1, dims=-1)
        return u * 0, s * 0, vt * 0

    monkeypatch.setattr(torch.linalg, "svd", faulty)
    for seed in range(10):
        matrix = random(4, 6, seed=seed)
        assert spectral_bound(matrix) >= exact_norm(matrix)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(bad: float) -> None:
    matrix = torch.eye(3)
    matrix[1, 2] = bad
    with pytest.raises(UserError, match="not finite"):
        spectral_bound(matrix)


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (5, 4)], ids=str)
@pytest.mark.parametrize("size", [1, 3])
def test_fourier_blocks_bound_the_padded_convolution(grid: tuple[int, int], size: int) -> None:
    for seed in range(5):
        kernel = random(3, 2, size, size, seed=seed)
        blocks, slack = convolution_blocks(kernel, *grid)
        inputs = torch.eye(2 * grid[0] * grid[1], dtype=torch.float64).reshape(-1, 2, *grid)
        operator = conv2d(inputs, kernel, padding=size // 2).flatten(1)
        bound = spectral_bound(blocks) + slack
        assert torch.linalg.matrix_norm(operator, 2) <= bound
        assert slack < 1e-12
        if size == 1:
            assert bound <= spectral_bound(kernel[:, :, 0, 0]) * TIGHT


def test_fourier_blocks_are_the_transform() -> None:
    kernel = random(3, 2, 3, 3)
    blocks, slack = convolution_blocks(kernel, 4, 5)
    with mpmath.workdps(40):
        for (p, q), (o, i) in itertools.product(((0, 0), (1, 3), (5, 2)), ((0, 0), (2, 1))):
            angles = [
                (
                    -2 * mpmath.pi * (mpmath.mpf(p * a) / 6 + mpmath.mpf(q * b) / 7),
                    kernel[o, i, a, b],
                )
                for a in range(3)
                for b in range(3)
            ]
            exact = mpmath.fsum(float(w) * mpmath.expj(angle) for angle, w in angles)
            assert abs(mpmath.mpc(complex(blocks[p * 4 + q, o, i])) - exact) <= slack


def test_zeros_at_the_border_are_not_the_torus_of_the_image() -> None:
    # On the image's own torus this kernel cancels; between zeros it does not.
    kernel = torch.tensor([[[[0.0, 0, 0], [1, 0, -1], [0, 0, 0]]]])
    blocks, slack = convolution_blocks(kernel, 1, 2)
    operator = conv2d(torch.eye(2).reshape(2, 1, 1, 2), kernel, padding=1).flatten(1)
    assert spectral_bound(blocks) + slack >= torch.linalg.matrix_norm(operator, 2) >= 1
