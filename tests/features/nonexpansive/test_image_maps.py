"""Nonexpansive maps of images: every law, and constants that nothing gets past."""

import copy
import itertools
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import featureconvex as fc
from featureconvex.errors import UserError
from featureconvex.features import (
    AveragePool,
    Center,
    Compose,
    FeatureMap,
    Flatten,
    Fold,
    MaxMin,
    MaxPool,
    NonexpansiveConv,
    NonexpansiveLinear,
    NonexpansiveResidualConv,
)
from featureconvex.features.base import constant
from featureconvex.features.nonexpansive.weights import ContractingKernel, OrthogonalKernel
from featureconvex.models.file import load_model, save_model
from featureconvex.nn import ConvexMLP
from featureconvex.norms import vector_norm
from featureconvex.rounding.operator_norm import convolution_norm, periodic_norm
from featureconvex.rounding.periodic import periodic
from featureconvex.testing import FEATURE_MAP_LAWS, FeatureMapCase, Law

SHAPE = (2, 3, 4)
LEARNED: dict[str, Callable[[], FeatureMap]] = {
    "conv": lambda: NonexpansiveConv(SHAPE, 3),
    "conv-wide": lambda: NonexpansiveConv(SHAPE, 1, 2),
    "conv-pixels": lambda: NonexpansiveConv(SHAPE, 2, 1),
    "residual": lambda: NonexpansiveResidualConv(SHAPE, 3),
    "residual-pixels": lambda: NonexpansiveResidualConv(SHAPE, kernel=1),
}
MAPS = LEARNED | {
    "fold": lambda: Fold(SHAPE, 2),
    "fold-3": lambda: Fold(SHAPE, 3),
    "maxima": lambda: MaxPool(2),
    "overlapping": lambda: MaxPool(2, 1),
    "gaps": lambda: MaxPool(1, 2),
    "averages": lambda: AveragePool(SHAPE, 2),
    "sums": lambda: AveragePool(SHAPE, 2, divisor=2),
    "overlapping-sums": lambda: AveragePool(SHAPE, 3, 1, divisor=3),
    "network": lambda: Compose(
        Center(0.25),
        Fold(SHAPE, 2),
        NonexpansiveConv((8, 2, 2), 6),
        MaxMin(),
        MaxPool(2),
        Flatten((6, 1, 1)),
        NonexpansiveLinear(6, 4),
        MaxMin(),
    ),
}


def conv_of(phi: FeatureMap) -> nn.Conv2d:
    assert isinstance(phi, NonexpansiveConv | NonexpansiveResidualConv)
    return phi.conv


def made(name: str) -> FeatureMap:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return MAPS[name]().eval()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[FeatureMapCase], name: str) -> None:
    law(FeatureMapCase(lambda: made(name), SHAPE))


@pytest.mark.parametrize("name", LEARNED)
def test_no_step_of_training_gets_past_the_constant(name: str) -> None:
    phi = MAPS[name]().train()
    for rate in (0.1, 10.0, 1e3):
        optimiser = torch.optim.SGD(phi.parameters(), lr=rate)
        for _ in range(3):
            optimiser.zero_grad()
            phi(torch.randn(16, *SHAPE)).tanh().sum().backward()
            optimiser.step()
        assert phi.by_construction(2, 2) == 1
        assert phi.eval().lipschitz(2) <= 1 + 1e-4
        phi.train()


@pytest.mark.parametrize("name", LEARNED)
def test_training_and_evaluation_compute_one_function(name: str) -> None:
    phi, x = made(name), torch.randn(5, *SHAPE)
    assert torch.allclose(phi.train()(x), phi.eval()(x), atol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_an_assigned_kernel_comes_back_bit_for_bit_and_a_wrong_one_is_refused(name: str) -> None:
    phi = made(name)
    conv = conv_of(phi)
    used = conv.weight.detach().clone()
    conv.weight = used
    assert torch.equal(conv.weight, used)
    assert torch.allclose(conv.train().weight, used, atol=0.1 if "residual" in name else 1e-5)
    with pytest.raises(UserError, match="must"):
        conv.weight = 2 * used + 1


@pytest.mark.parametrize("name", MAPS)
def test_models_are_stored_pickled_and_copied_exactly(name: str, tmp_path: object) -> None:
    phi, x = made(name), torch.rand(6, *SHAPE)
    model = fc.FeatureConvexModel(phi, ConvexMLP(phi(x)[0].numel(), (4,)), tau=1.0).eval()
    save_model(model, str(tmp_path))
    loaded, _ = load_model(str(tmp_path))
    radius = fc.certify(model, x).radius.tolist()
    assert max(radius) > 0
    for twin in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(twin(x), model(x))
        assert fc.certify(twin, x).radius.tolist() == radius


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("level", ["domain", "tight", "sound"])
def test_every_level_knows_it(name: str, level: str) -> None:
    phi, x = made(name), torch.rand(3, *SHAPE)
    model = fc.FeatureConvexModel(phi, ConvexMLP(phi(x)[0].numel(), (4,)), tau=1.0).eval()
    closed = fc.certify(model, x).radius
    found = fc.certify(model, x, level=level).radius
    assert (closed > 0).any()
    assert (found >= closed * 0.95).all()


sides = st.integers(1, 4)
exponents = st.sampled_from([1.0, 1.3, 2.0, 3.0, math.inf])


@settings(max_examples=60)
@given(sides, sides, sides, sides, exponents, exponents, st.integers(0, 2**31))
def test_operator_norms_of_kernels_are_never_exceeded(
    outputs: int, inputs: int, height: int, width: int, p: float, s: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(outputs, inputs, height, width, generator=generator).double()
    size = inputs * height * width
    x = torch.cat((torch.eye(size), torch.ones(1, size), torch.randn(20, size), kernel.flatten(1)))
    x = torch.cat((x, x.sign())).double().view(-1, inputs, height, width)
    ratio = vector_norm(periodic(x, kernel), s) / vector_norm(x, p).clamp_min(1e-300)
    assert float(ratio.max()) <= periodic_norm(kernel, p, s) * (1 + 1e-12)
    basis = torch.eye(size, dtype=torch.float64).view(size, inputs, height, width)
    matrix = periodic(basis, kernel).flatten(1)
    largest = float(torch.linalg.svdvals(matrix)[0])
    assert largest <= periodic_norm(kernel, 2, 2) <= largest * (1 + 1e-9)


@settings(max_examples=30)
@given(sides, sides, sides, sides, st.sampled_from([1, 3, 5]), st.integers(0, 2**31))
def test_norms_of_zero_padded_kernels_are_never_exceeded(
    outputs: int, inputs: int, height: int, width: int, taps: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(outputs, inputs, taps, taps, generator=generator).double()
    size = inputs * height * width
    basis = torch.eye(size, dtype=torch.float64).view(size, inputs, height, width)
    matrix = torch.nn.functional.conv2d(basis, kernel, padding=taps // 2).flatten(1)
    largest = float(torch.linalg.svdvals(matrix)[0])
    assert largest <= convolution_norm(kernel, height, width) * (1 + 1e-12)


@settings(max_examples=60)
@given(
    *(st.integers(1, 4) for _ in range(3)),
    exponents,
    exponents,
    st.booleans(),
    st.integers(0, 2**31),
)
def test_constants_of_windows_hold_and_are_attained(
    window: int, stride: int, more: int, p: float, s: float, sums: bool, seed: int
) -> None:
    shape = (1, window + more, window + 2)
    if s < p:
        p, s = s, p
    phi: FeatureMap = (
        AveragePool(shape, window, stride, divisor=2) if sums else MaxPool(window, stride)
    )
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(40, *shape, generator=generator).double()
    y = torch.cat((x[:20], x[:20] + torch.eye(math.prod(shape)).double()[:1].view(1, *shape)))
    moved = vector_norm(phi(x) - phi(y), s)
    assert bool((moved <= constant(phi, p, s) * vector_norm(x - y, p) * (1 + 1e-12)).all())
    if window % stride == 0 and min(shape[1:]) >= 3 * window and not sums:
        # A pixel that all its windows see, higher than everything.
        peak = torch.zeros(1, *shape).double()
        peak[..., window, window] = 1
        assert float(vector_norm(phi(peak), s)) == pytest.approx(constant(phi, p, s))


def test_a_kernel_that_is_not_orthogonal_shows_in_the_constant() -> None:
    """The nominal constant is never taken for the measured one."""
    for phi, kind in (
        (NonexpansiveConv(SHAPE, 3), OrthogonalKernel),
        (NonexpansiveResidualConv(SHAPE), ContractingKernel),
    ):
        with pytest.MonkeyPatch.context() as patch:
            into = kind.into
            patch.setattr(kind, "into", lambda self, raw, into=into: 1.5 * into(self, raw))
            phi.eval()
            assert phi.lipschitz(2) > (1.4 if isinstance(phi, NonexpansiveConv) else 1.0)
            x, y = torch.randn(2, 200, *SHAPE).double()
            with torch.no_grad():
                phi.double()
                moved = vector_norm(phi(x) - phi(y), 2) / vector_norm(x - y, 2)
            assert float(moved.max()) <= phi.lipschitz(2)


def test_fresh_kernels_have_few_taps_and_loaded_ones_all() -> None:
    phi = NonexpansiveConv((2, 5, 6), 2)
    raw = phi.conv.parametrizations.weight.original  # type: ignore[union-attr]
    assert raw.shape == (2, 2, 3, 3)
    assert phi.conv.weight.shape == (2, 2, 5, 6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Fold((2, 3), 2), "channels, height, width"),
        (lambda: NonexpansiveResidualConv(SHAPE, kernel=2), "odd"),
        (lambda: AveragePool((1, 2, 2), 3), "does not fit"),
        (lambda: MaxPool(0), "window"),
        (lambda: NonexpansiveConv(SHAPE, 2)(torch.zeros(1, 2, 4, 3)), "was built for"),
        (lambda: MaxPool(3)(torch.zeros(1, 1, 2, 2)), "no smaller than its window"),
        (lambda: Fold(SHAPE, 2)(torch.zeros(1, 2, 4, 4)), "was built for"),
    ],
)
def test_mistakes_are_named(make: Callable[[], object], match: str) -> None:
    with pytest.raises(UserError, match=match):
        make()


def test_shifts_of_the_torus_commute() -> None:
    phi = made("conv")
    x, bias = torch.randn(2, *SHAPE), conv_of(phi).bias
    assert bias is not None
    assert torch.allclose(
        phi(x.roll((1, 2), (2, 3))) - bias[:, None, None],
        (phi(x) - bias[:, None, None]).roll((1, 2), (2, 3)),
        atol=1e-5,
    )


def test_a_fold_keeps_every_pixel_of_a_block_together() -> None:
    y = Fold((1, 3, 4), 2)(torch.arange(12.0).reshape(1, 1, 3, 4))
    assert y.shape == (1, 4, 2, 2)
    assert y[0, :, 0, 1].tolist() == [2, 3, 6, 7]
    assert y[0, :, 1, 0].tolist() == [8, 9, 0, 0]
    assert sorted(itertools.chain(y.flatten().tolist()))[-11:] == list(range(1, 12))


@pytest.mark.parametrize("name", MAPS)
def test_without_weights_nothing_moves_the_margin_of_any_row(name: str) -> None:
    phi, x = made(name), torch.rand(3, *SHAPE)
    net = fc.nn.MaxAffine(phi(x)[0].numel(), 1)
    torch.nn.init.zeros_(net.affine.weight)
    torch.nn.init.ones_(net.affine.bias)
    model = fc.FeatureConvexModel(phi, net).eval()
    for level in ("closed-form", "domain"):
        assert fc.certify(model, x, level=level).radius.tolist() == [math.inf] * 3


@pytest.mark.parametrize("name", MAPS)
def test_no_rows_have_the_shape_of_some(name: str) -> None:
    phi, x = made(name), torch.rand(2, *SHAPE)
    assert phi(x[:0]).shape == (0, *phi(x).shape[1:])
