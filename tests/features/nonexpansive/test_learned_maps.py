"""Learned nonexpansive maps: every law of a feature map, and constants that nothing gets past."""

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
    AbsConcat,
    Center,
    Compose,
    Distances,
    FeatureMap,
    Flatten,
    MaxMin,
    NonexpansiveLinear,
    NonexpansiveResidual,
    Scale,
)
from featureconvex.features.base import constant
from featureconvex.models.file import load_model, save_model
from featureconvex.models.frozen import in_precision
from featureconvex.nn import ConvexMLP, project_
from featureconvex.norms import vector_norm
from featureconvex.rounding.operator_norm import operator_norm
from featureconvex.testing import FEATURE_MAP_LAWS, FeatureMapCase, Law

SETS = ("orthogonal", "entries", "rows", "columns")
# The norms between which a map has constant 1 by construction.
MAPS: dict[str, tuple[Callable[[], FeatureMap], float, float]] = {
    "orthogonal": (lambda: NonexpansiveLinear(4, 6), 2, 2),
    "orthogonal-wide": (lambda: NonexpansiveLinear(4, 3), 2, 2),
    "entries": (lambda: NonexpansiveLinear(4, 6, "entries"), 1, math.inf),
    "rows": (lambda: NonexpansiveLinear(4, 6, "rows"), math.inf, math.inf),
    "columns": (lambda: NonexpansiveLinear(4, 6, "columns"), 1, 1),
    "residual": (lambda: NonexpansiveResidual(4, 5), 2, 2),
    "distances-inf": (lambda: Distances(4, 5), math.inf, math.inf),
    "distances-2": (lambda: Distances(4, 5, 2), 2, math.inf),
    "distances-1.5": (lambda: Distances(4, 5, 1.5), 1.5, math.inf),
    "sorted": (MaxMin, 2, 2),
}
CHAINS: dict[str, Callable[[], FeatureMap]] = {
    "network": lambda: Compose(
        Center(0.25), NonexpansiveLinear(4, 6), MaxMin(), NonexpansiveLinear(6, 4), MaxMin()
    ),
    "scaled": lambda: Compose(
        Scale([2.0, -3.0, 0.25, 1.0]), NonexpansiveLinear(4, 4), MaxMin(), NonexpansiveLinear(4, 3)
    ),
    "affine": lambda: Compose(Scale([2.0, -3.0, 0.25, 1.0]), NonexpansiveLinear(4, 4)),
    "distance-net": lambda: Compose(Distances(4, 6), Distances(6, 3)),
    "after-absolute": lambda: Compose(AbsConcat(), NonexpansiveLinear(8, 4), MaxMin()),
    "residuals": lambda: Compose(NonexpansiveResidual(4), NonexpansiveResidual(4, 2)),
}
# Of inputs (1, 2, 2).
IMAGES: dict[str, Callable[[], FeatureMap]] = {
    "flat": lambda: Flatten((1, 2, 2)),
    "flat-network": lambda: Compose(
        Center(0.25), Flatten((1, 2, 2)), NonexpansiveLinear(4, 6), MaxMin()
    ),
    "flat-distances": lambda: Compose(Flatten((1, 2, 2)), Distances(4, 3)),
}


@pytest.mark.parametrize("name", [*MAPS, *CHAINS])
@pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
def test_law(law: Law[FeatureMapCase], name: str) -> None:
    def make() -> FeatureMap:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return (MAPS[name][0] if name in MAPS else CHAINS[name])().eval()

    law(FeatureMapCase(make, (4,)))


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("law", FEATURE_MAP_LAWS, ids=lambda law: law.__name__)
def test_law_on_images(law: Law[FeatureMapCase], name: str) -> None:
    def make() -> FeatureMap:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return IMAGES[name]().eval()

    law(FeatureMapCase(make, (1, 2, 2)))


@pytest.mark.parametrize("name", MAPS)
def test_no_step_of_training_gets_past_the_constant(name: str) -> None:
    make, p, s = MAPS[name]
    phi = make()
    numbers = list(phi.parameters())
    for rate in (0.1, 10.0, 1e4):
        optimiser = torch.optim.SGD(numbers, lr=rate) if numbers else None
        for _ in range(3):
            phi(torch.randn(16, 4)).tanh().sum().backward() if numbers else None
            if optimiser is not None:
                optimiser.step()
                optimiser.zero_grad()
            project_(phi)
        assert phi.by_construction(p, s) == 1
        assert constant(phi.eval(), p, s) <= 1 + 1e-4
        phi.train()


@pytest.mark.parametrize("weights", SETS)
def test_an_assigned_weight_comes_back_bit_for_bit_and_a_wrong_one_is_refused(weights: str) -> None:
    phi, other = NonexpansiveLinear(5, 3, weights), NonexpansiveLinear(5, 3, weights)
    used = phi.linear.weight.detach().clone()
    other.linear.weight = used
    assert torch.equal(other.eval().linear.weight, used)
    assert torch.allclose(other.train().linear.weight, used, atol=1e-5)
    with pytest.raises(UserError, match="must"):
        other.linear.weight = 2 * used + 1


@pytest.mark.parametrize("name", [*MAPS, *CHAINS])
def test_models_are_stored_pickled_and_copied_exactly(name: str, tmp_path: object) -> None:
    phi = (MAPS[name][0] if name in MAPS else CHAINS[name])()
    x = torch.rand(6, 4)
    model = fc.FeatureConvexModel(phi, ConvexMLP(phi.eval()(x).shape[1], (4,))).eval()
    save_model(model, str(tmp_path))
    loaded, _ = load_model(str(tmp_path))
    for twin in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(twin(x), model(x))
        assert fc.certify(twin, x).radius.tolist() == fc.certify(model, x).radius.tolist()


@pytest.mark.parametrize("name", [*MAPS, *CHAINS])
def test_training_mode_certifies_what_eval_mode_computes(name: str) -> None:
    phi = (MAPS[name][0] if name in MAPS else CHAINS[name])()
    x = torch.rand(6, 4)
    model = fc.FeatureConvexModel(phi, ConvexMLP(phi.eval()(x).shape[1], (4,)), tau=1.0)
    asked = fc.certify(model.train(), x)
    assert asked.radius.tolist() == fc.certify(model.eval(), x).radius.tolist()


@pytest.mark.parametrize("name", [*MAPS, *CHAINS, *IMAGES])
def test_a_network_that_cannot_fall_is_endlessly_safe_in_any_batch(name: str) -> None:
    phi = (MAPS[name][0] if name in MAPS else {**CHAINS, **IMAGES}[name])().eval()
    x = torch.rand(3, 1, 2, 2) if name in IMAGES else torch.rand(3, 4)
    net = fc.nn.MaxAffine(phi(x).shape[1], 2)
    with torch.no_grad():
        net.affine.weight.zero_()
        net.affine.bias.fill_(1.0)
    model = fc.FeatureConvexModel(phi, net).eval()
    sound = [] if name == "distances-1.5" else ["sound"]  # no rule for powers of 1.5
    for level in ("closed-form", "domain", "tight", *sound):
        assert fc.certify(model, x, level=level).radius.tolist() == [math.inf] * 3


@pytest.mark.parametrize("name", [*MAPS, *CHAINS])
def test_a_model_in_another_precision_has_its_weights_rounded(name: str) -> None:
    """Computed anew from what was learned they would be other weights than those that were certified."""
    phi = (MAPS[name][0] if name in MAPS else CHAINS[name])().eval()
    x = torch.rand(6, 4)
    model = fc.FeatureConvexModel(phi, ConvexMLP(phi(x).shape[1], (4,)), tau=1.0).train()
    frozen = in_precision(model, torch.float64)
    assert torch.equal(model.double().eval()(x.double()), frozen(x.double()))


@settings(max_examples=40)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([1.0, 1.3, 2.0, 3.0, math.inf]),
    st.sampled_from([1.0, 1.3, 2.0, 3.0, math.inf]),
    st.integers(0, 2**31),
)
def test_operator_norms_are_never_exceeded(
    rows: int, columns: int, p: float, s: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    m = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    # Corners, axes and random points, and those that point along the rows.
    x = torch.cat(
        (
            torch.tensor(list(itertools.product((-1.0, 1.0), repeat=columns)), dtype=torch.float64),
            torch.eye(columns, dtype=torch.float64),
            torch.randn(20, columns, generator=generator, dtype=torch.float64),
            m,
        )
    )
    ratio = vector_norm(x @ m.T, s) / vector_norm(x, p)
    assert float(ratio.max()) <= operator_norm(m, p, s) * (1 + 1e-12)


def test_costs_are_taken_up_by_the_first_layer() -> None:
    scale = torch.tensor([1e-3, 1.0, 50.0, 7.0])
    phi = Compose(Scale(scale), NonexpansiveLinear(4, 4), MaxMin()).eval()
    v = torch.randn(3, 4, dtype=torch.float64)
    found = phi.double().sensitivity(v, 2, scale.double())
    assert torch.allclose(found, vector_norm(v, 2), rtol=1e-5)


def test_a_path_of_norms_beats_one_norm() -> None:
    phi = Compose(NonexpansiveLinear(100, 20, "entries"), MaxMin())
    assert phi.eval().lipschitz(1, math.inf) <= 1 + 1e-6
    assert phi.lipschitz(1) > 2


def test_a_maps_training_is_smooth_and_its_answers_are_distances() -> None:
    phi = Distances(3, 4)
    phi.anneal(1.0)
    x = torch.rand(50, 3)
    exact = torch.cdist(x, phi.weight, p=math.inf)
    phi.eval().settle(x)
    assert torch.allclose(phi(x), exact - exact.mean(0), atol=1e-6)
    near = phi.train()(x)
    assert (near - phi.eval()(x)).abs().max() < math.log(6) / phi.sharpness


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: NonexpansiveLinear(3, 2), torch.zeros(1, 4)),
        (lambda: Distances(3, 2), torch.zeros(1, 3, 1)),
        (lambda: NonexpansiveResidual(3), torch.zeros(1, 2)),
        (lambda: Flatten((2, 2)), torch.zeros(1, 4)),
        (MaxMin, torch.zeros(1, 3)),
    ],
)
def test_other_shapes_are_refused(make: Callable[[], nn.Module], x: torch.Tensor) -> None:
    with pytest.raises(UserError):
        make()(x)


@pytest.mark.parametrize("name", MAPS)
def test_shapes_are_told_in_either_precision(name: str) -> None:
    phi = MAPS[name][0]()
    assert (
        phi.output_shape((4,))
        == phi.double().output_shape((4,))
        == phi(torch.zeros(1, 4).double()).shape[1:]
    )
