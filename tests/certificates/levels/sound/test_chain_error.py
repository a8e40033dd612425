"""The error of a learned map as a whole: an evaluation that always rounds the worst way stays inside."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import featureconvex as fc
from featureconvex.certificates.levels.sound.chain_error import (
    CHAIN_NORMS,
    ChainError,
    chain_errors,
)
from featureconvex.certificates.levels.sound.line import graphs
from featureconvex.features import (
    Center,
    Compose,
    Distances,
    FeatureMap,
    Flatten,
    Fold,
    MaxMin,
    NonexpansiveConv,
    NonexpansiveLinear,
    NonexpansiveResidual,
    Scattering,
)
from featureconvex.models.frozen import frozen_model
from featureconvex.norms import vector_norm
from featureconvex.rounding import Ball, Graph
from featureconvex.rounding.directed import FLOAT32, FLOAT64
from featureconvex.rounding.nonexpansive import Residual, ToPoints
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine, Mode, OwnError, Step, Translation

U = FLOAT32.unit
D = 12


def worst_product(weight: Tensor, z: Tensor, bias: Tensor | None) -> Tensor:
    """``W z + b`` in float64, each product and sum off by the whole unit, away from zero, term by term."""
    total = torch.zeros(len(weight), dtype=torch.float64)
    for column, entry in zip(weight.T, z.expand_as(weight).T, strict=True):
        total = (total + column * entry * (1 + U)) * (1 + U)
    return total if bias is None else (total + bias) * (1 + U)


def worst(step: Step, z: Tensor) -> Tensor:
    """One step at ``z`` (d,), rounded the worst way that the model of floating point allows."""
    if isinstance(step, Affine):
        assert isinstance(step.operator, Dense)
        return worst_product(step.operator.weight, z, step.bias)
    if isinstance(step, Translation):
        return (z + step.shift.flatten()) * (1 + U)
    if isinstance(step, Residual):
        moved = worst(step.outer, worst(step.inner, z).clamp_min(0))
        return (z + moved) * (1 + U)
    if isinstance(step, ToPoints):
        gaps = (z - step.weight).abs() * (1 + U)
        return (
            gaps.amax(1) if math.isinf(step.p) else worst_product(torch.ones_like(gaps), gaps, None)
        )
    ball, _ = step.forward(Ball.exact(z[None]), Mode(FLOAT64, relaxed=False), None)
    return ball.centre[0].flatten()


def exact(step: Step, z: Tensor) -> Tensor:
    ball, _ = step.forward(Ball.exact(z[None]), Mode(FLOAT64, relaxed=False), None)
    return ball.centre[0].flatten()


def ones(rows: int) -> Tensor:
    return torch.full((rows, D), 0.25, dtype=torch.float64)


STEPS: dict[str, Callable[[], Step]] = {
    "dense": lambda: Affine(Dense(ones(D))),
    "dense and bias": lambda: Affine(
        Dense(ones(7)), torch.full((7,), 3.0).double(), torch.full((7,), 3.0).double()
    ),
    "translation": lambda: Translation(torch.full((D,), 0.4).double()),
    "distances": lambda: ToPoints(-ones(7), math.inf),
    "sums of distances": lambda: ToPoints(-ones(7), 1.0),
    "residual": lambda: Residual.of(ones(5) / 3, torch.full((5,), 0.5).double(), 1.0),
}


@pytest.mark.parametrize("norm", CHAIN_NORMS)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_errs_by_no_more_than_it_says_and_not_by_far_less(name: str, norm: float) -> None:
    step, z = STEPS[name](), torch.linspace(0.5, 1.5, D).double()
    own = step.own_error(norm, torch.zeros(1, D).double(), FLOAT32)
    assert own is not None
    there = exact(step, z)
    error = vector_norm((worst(step, z) - there)[None], norm).item()
    bound = own.inputs * vector_norm(z[None], norm).item() + own.offset
    bound += own.outputs * vector_norm(there[None], norm).item()
    assert error <= bound
    # In l_inf a residual step has no better constant than sums of entries.
    assert error >= bound / (40 if name == "residual" else 12)


CHAINS: dict[str, Callable[[], FeatureMap]] = {
    "orthogonal": lambda: Compose(
        Center(0.4), NonexpansiveLinear(D, 10), MaxMin(), NonexpansiveLinear(10, 8), MaxMin()
    ),
    "distances": lambda: Compose(Center(0.1), Distances(D, 9), Distances(9, 5)),
    "residual": lambda: Compose(NonexpansiveResidual(D), NonexpansiveResidual(D, 3)),
    "rows": lambda: Compose(NonexpansiveLinear(D, 6, "rows"), MaxMin()),
}


def features_of(phi: FeatureMap, shape: tuple[int, ...] = (D,)) -> Graph:
    width = phi(torch.zeros(1, *shape)).numel()
    model = fc.FeatureConvexModel(phi, fc.nn.ConvexMLP(width, (4,))).eval()
    return graphs(frozen_model(model))[0]


def error_in(norm: float, features: Graph, x: Tensor) -> ChainError:
    (found,) = [error for error in chain_errors(features, x, FLOAT32)[1] if error.norm == norm]
    return found


def beyond(features: Graph, x: Tensor, far: Tensor, chain: ChainError) -> float:
    """By how much the worst evaluation at ``far`` leaves the bound, relative to it."""
    computed, there = far * (1 + U), far
    for step, _ in features.nodes[1:]:
        assert step is not None
        computed, there = worst(step, computed), exact(step, there)
    error = vector_norm((computed - there)[None], chain.norm).item()
    distance = vector_norm((far - x)[None], chain.norm).item()
    return error / (chain.here.item() + chain.rate * distance)


@pytest.mark.parametrize("norm", CHAIN_NORMS)
@pytest.mark.parametrize("name", CHAINS)
@given(seed=st.integers(0, 99), distance=st.sampled_from((0.0, 0.1, 10.0, 1e4)))
def test_the_worst_evaluation_stays_inside_wherever_the_input_moves(
    name: str, norm: float, seed: int, distance: float
) -> None:
    torch.manual_seed(seed)
    features = features_of(CHAINS[name]().eval())
    x = torch.randn(D).double()
    chain = error_in(norm, features, x[None])
    far = x + distance * torch.randn(D).double()
    assert beyond(features, x, far, chain) <= 1
    (moved,) = (vector_norm((a - b)[None], norm).item() for a, b in [(far, x)])
    images = [features.forward(Ball.exact(z[None]), Mode(FLOAT64, False))[0] for z in (x, far)]
    gap = vector_norm(images[1].centre - images[0].centre, norm).item()
    assert gap <= chain.lipschitz * moved * (1 + 1e-12)


@pytest.mark.parametrize("distance", [0.0, 1e4])
def test_a_step_that_hides_its_rounding_is_noticed(
    distance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = Graph(torch.float32)
    node = features.apply(Affine(Dense(ones(D))), 0)
    features.apply(Affine(Dense(ones(D))), node)
    monkeypatch.setattr(Affine, "own_error", lambda *_: OwnError())
    x = torch.ones(D).double()
    chain = error_in(2.0, features, x[None])
    assert beyond(features, x, x * (1 + distance), chain) > 2


@pytest.mark.parametrize("name", ["scattering", "convolutions"])
def test_float32_images_stay_inside(name: str) -> None:
    torch.manual_seed(0)
    shape = (3, 16, 16) if name == "scattering" else (2, 6, 6)
    phi: FeatureMap
    if name == "scattering":
        mixing = Scattering(shape, scales=2, opponent=True)
        width = mixing(torch.zeros(1, *shape)).shape[1:]
        phi = Compose(
            mixing, Flatten(tuple(width)), NonexpansiveLinear(width.numel(), 16), MaxMin()
        )
    else:
        phi = Compose(NonexpansiveConv(shape, 4), Fold((4, 6, 6), 2), MaxMin())
    phi = phi.eval()
    features = features_of(phi, shape)
    x = torch.rand(4, *shape)
    chain = error_in(2.0, features, x.double())
    far = torch.cat((x, x + 30 * torch.randn_like(x)))
    wide, _ = features.forward(Ball.exact(far.double()), Mode(FLOAT64, relaxed=False))
    with torch.no_grad():
        error = vector_norm(phi(far).double().flatten(1) - wide.centre.flatten(1), 2.0)
    moved = vector_norm((far.double() - x.double().repeat(2, 1, 1, 1)), 2.0)
    bound = chain.here.repeat(2) + chain.rate * moved
    assert (error <= bound).all()
    assert (error >= bound / 1e5).all()


@pytest.mark.parametrize(("kind", "p"), [("orthogonal", 2.0), ("distances", math.inf)])
def test_certificates_for_the_machine_lose_at_most_a_twentieth(kind: str, p: float) -> None:
    """On networks as wide as those of recipe default: entry by entry most of a radius was lost."""
    torch.manual_seed(0)
    layers: list[FeatureMap] = [Center(0.1)]
    for inputs in (784, 256):
        if kind == "orthogonal":
            layers += [NonexpansiveLinear(inputs, 256), MaxMin()]
        else:
            layers += [Distances(inputs, 256)]
    model = fc.FeatureConvexModel(Compose(*layers).eval(), fc.nn.ConvexMLP(256, (64, 16))).eval()
    x = (torch.rand(20, 784) < 0.2).float()  # about as long as a digit
    x.requires_grad_()
    margin = model(x)
    (slope,) = torch.autograd.grad(margin.sum(), x)
    with torch.no_grad():
        # Radii of about 2.5 (l2) and 0.6 (linf), as of recipe default.
        wanted = 2.5 if p == 2 else 0.6
        model.tau += wanted * vector_norm(slope, 2.0 if p == 2 else 1.0).max() - margin.min()
    x = x.detach()
    base = fc.certify(model, x, fc.Lp(p)).radius
    radius = fc.certify(model, x, fc.Lp(p), level=fc.levels.Sound("closed-form", "float32")).radius
    assert (radius <= base).all()
    assert (radius >= 0.95 * base).all()
