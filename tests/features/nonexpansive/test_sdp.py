import functools

import pytest
import torch
from torch import Tensor

from featureconvex.features.nonexpansive.sdp import SLLConv, SLLDense, UnitRow, residual_bound

Layer = SLLDense | SLLConv


def made(kind: str, seed: int) -> Layer:
    torch.manual_seed(seed)
    layer: Layer = SLLDense(6, 9) if kind == "dense" else SLLConv(2, 3, 3, 4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def jacobians(layer: Layer, points: Tensor) -> Tensor:
    """Of the frozen layer at each point, (n, d, d)."""
    apply = layer.frozen().apply

    def one(x: Tensor) -> Tensor:
        return apply(x[None])[0].flatten()

    return torch.stack([torch.func.jacrev(one)(x).flatten(1) for x in points])


@functools.cache
def inputs(kind: str) -> Tensor:
    return torch.randn(40, *((6,) if kind == "dense" else (2, 3, 4)), dtype=torch.float64) * 3


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("seed", range(5))
def test_no_jacobian_exceeds_the_bound(kind: str, seed: int) -> None:
    layer = made(kind, seed)
    norms = torch.linalg.matrix_norm(jacobians(layer, inputs(kind)), 2)
    bound = layer.frozen().bound
    assert 1 <= bound <= 1 + 1e-9
    assert norms.max() <= bound + 1e-12
    assert norms.max() > 0.5


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_frozen_and_trained_are_one_function(kind: str) -> None:
    layer, x = made(kind, 0), inputs(kind)
    assert torch.allclose(layer.frozen().apply(x).float(), layer(x.float()), atol=1e-4)


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("factor", [1.05, 2.0])
def test_too_small_a_diagonal_shows_in_the_bound(
    kind: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scaling ``T^-1`` up breaks the theorem's premise; the measurement notices and stays sound."""
    raised = 0
    for seed in range(5):
        layer = made(kind, seed)
        honest = layer.inverse
        # As far above the true norm as it takes: T = W W^T / factor in the worst direction.
        norm = torch.linalg.svdvals(_scaled(layer))[0] ** 2
        monkeypatch.setattr(layer, "inverse", lambda d, h=honest, c=norm: h(d) * factor / c)
        norms = torch.linalg.matrix_norm(jacobians(layer, inputs(kind)), 2)
        bound = layer.frozen().bound
        assert norms.max() <= bound
        assert bound > 1 + (factor - 1)
        raised += int(norms.max() > 1 + 1e-6)
    assert raised or factor < 2, "the fault never mattered, so the test shows nothing"


def _scaled(layer: Layer) -> Tensor:
    """``T^-1/2 W`` as a matrix."""
    inverse, weight = layer.inverse(torch.float64), layer.weight.double()
    if isinstance(layer, SLLDense):
        return inverse.sqrt()[:, None] * weight
    basis = torch.eye(24, dtype=torch.float64).reshape(24, 2, 3, 4)
    rows = torch.nn.functional.conv2d(basis, weight, padding=1) * inverse.sqrt()[:, None, None]
    return rows.flatten(1).T


def test_the_residual_bound_is_met_by_one_unit() -> None:
    # J = 1 - 2 c d for a scalar layer: 1 - 2 c at d = 1, whose size exceeds 1 for c > 1.
    for c in (0.5, 1.0, 1.2, 3.0):
        assert abs(1 - 2 * c) <= residual_bound(c**0.5)
        if c > 1:
            assert residual_bound(c**0.5) == pytest.approx(2 * c - 1)


def test_the_last_row_has_length_one() -> None:
    layer = UnitRow(7)
    frozen = layer.frozen()
    x = torch.randn(4, 7)
    expected = x @ layer.weight[0] / layer.weight.norm() + layer.bias
    assert torch.allclose(layer(x)[:, 0], expected, atol=1e-6)
    assert torch.allclose(frozen.apply(x.double())[:, 0].float(), expected, atol=1e-6)
    assert 1 - 1e-12 <= frozen.bound <= 1 + 1e-12
