"""Pickling: the function and its guarantees arrive as they were, or not at all."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import featureconvex as fc
from featureconvex import ConvexityError, FeatureConvexModel, certify
from featureconvex.features import AbsConcat, Center, Compose, FeatureMap, Identity, Scale
from featureconvex.nn import (
    Card,
    ConvexConvNet,
    ConvexMLP,
    Curvature,
    MaxAffine,
    NonNegative,
    NonNegativeLinear,
    card,
    curvature,
)
from featureconvex.nn.constraint import constrained_parameters
from featureconvex.nn.curvature import CONVEX


class Halve(FeatureMap):
    """A feature map of a user's own."""

    affine = True

    def forward(self, x: Tensor) -> Tensor:
        return x / 2

    def lipschitz(self, p: float) -> float:
        return 0.5

    def pullback(self, v: Tensor) -> Tensor:
        return v / 2

    def config(self) -> dict[str, Any]:
        return {}


class Bowl(nn.Module):
    """A network of a user's own: a constrained layer of torch's after a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(6, 4), nn.ReLU(), NonNegativeLinear(4, 1)
        self.note = "kept"

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = self.last(self.act(self.first(u)))
        return out.squeeze(1)


@card(Bowl)
class BowlCard(Card[Bowl]):
    def curvature(self, module: Bowl) -> Curvature:
        for part in (module.first, module.act, module.last):
            curvature(part)
        return CONVEX


def shared() -> Compose:
    half = Scale(torch.full((6,), 0.5), torch.rand(6))
    return Compose(half, half)


MODELS: dict[str, tuple[Callable[[], FeatureConvexModel], tuple[int, ...]]] = {
    "mlp": (lambda: FeatureConvexModel(Center(0.5), ConvexMLP(6, (5, 3), batch_norm=True)), (6,)),
    "abs": (lambda: FeatureConvexModel(AbsConcat(), ConvexMLP(12, (4,)), 0.3).double(), (6,)),
    "convnet": (
        lambda: FeatureConvexModel(
            Identity(), ConvexConvNet(1, 6, features=2, depth=1, first_kernel=3)
        ),
        (1, 6, 6),
    ),
    "max-affine": (lambda: FeatureConvexModel(shared(), MaxAffine(6, 3)), (6,)),
    "own": (lambda: FeatureConvexModel(Halve(), Bowl()), (6,)),
    "scattering": (
        lambda: FeatureConvexModel(fc.features.Scattering((1, 8, 8)), ConvexMLP(49 * 4, (3,))),
        (1, 8, 8),
    ),
}


def by_pickle(model: nn.Module) -> Any:
    return pickle.loads(pickle.dumps(model))


def by_torch(model: nn.Module) -> Any:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


WAYS: list[Callable[[nn.Module], Any]] = [by_pickle, by_torch, copy.deepcopy]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_function_certificates_and_constraints_arrive(
    name: str, way: Callable[[nn.Module], Any]
) -> None:
    make, shape = MODELS[name]
    model = make().train()
    x = torch.rand(12, *shape, dtype=model.dtype)
    if name in ("mlp", "convnet"):
        model(x)  # moves batch-norm statistics
    model.eval()
    arrived = way(model)
    assert torch.equal(arrived(x), model(x))
    for key, value in model.state_dict().items():
        assert torch.equal(arrived.state_dict()[key], value)
    assert list(arrived.state_dict()) == list(model.state_dict())
    model.tau = arrived.tau = 1 - model.logits(x).min().double().detach()
    assert (certify(arrived, x).radius == certify(model, x).radius).all()
    again = way(arrived)  # and once more
    assert torch.equal(again(x), arrived(x))
    for part in again.modules():
        if parametrize.is_parametrized(part, "weight"):
            with pytest.raises(ConvexityError):
                part.weight = -torch.ones_like(part.weight)
    if name == "max-affine":
        assert again.feature_map.maps[0] is again.feature_map.maps[1]
    if name == "own":
        assert again.convex_net.note == "kept"


def test_a_step_of_training_goes_on_from_the_weights_in_use() -> None:
    """A raw weight below its set, as between an optimiser's step and the projection, arrives as used."""
    layer: Any = NonNegativeLinear(3, 2)
    with torch.no_grad():
        layer.parametrizations.weight.original[0, 0] = -1.0
    layer.bias.requires_grad_(False)
    arrived = by_pickle(layer)
    assert torch.equal(arrived.weight, layer.weight)
    assert float(arrived.parametrizations.weight.original.detach()[0, 0]) == 0
    assert arrived.parametrizations.weight.original.requires_grad
    assert not arrived.bias.requires_grad


class Tampered:
    """Pickles as a layer whose stored weights or constraints were edited."""

    def __init__(self, weight: Tensor, minima: dict[str, float]) -> None:
        self.weight, self.minima = weight, minima

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: Any = NonNegativeLinear(4, 1).__reduce_ex__(4)
        restore, (kind, state, _) = reduced
        state["_parameters"]["weight"] = nn.Parameter(self.weight)
        held = {name: (NonNegative, {"minimum": least}) for name, least in self.minima.items()}
        return restore, (kind, state, held)


@pytest.mark.parametrize("minima", [{"weight": 0.0}, {"weight": -1.0}], ids=str)
def test_a_negative_weight_in_a_pickle_is_refused(minima: dict[str, float]) -> None:
    with pytest.raises(ConvexityError):
        by_pickle(Tampered(-torch.ones(1, 4), minima))  # type: ignore[arg-type]


def test_a_pickle_without_the_constraint_is_not_certified() -> None:
    """Even if its weights are nonnegative today."""
    layer = by_pickle(Tampered(torch.ones(1, 4), {}))  # type: ignore[arg-type]
    net = Bowl()
    vars(net)["_modules"]["last"] = layer
    with pytest.raises(ConvexityError, match="removed or altered"):
        FeatureConvexModel(Identity(), net)
    model = FeatureConvexModel(Identity(), Bowl())
    vars(model.convex_net)["_modules"]["last"] = layer
    with pytest.raises(ConvexityError, match="removed or altered"):
        certify(by_pickle(model), torch.rand(2, 6))


def test_another_parametrisation_is_refused_by_name() -> None:
    layer = NonNegativeLinear(4, 1)
    parametrize.register_parametrization(layer, "bias", nn.Softplus(), unsafe=True)
    with pytest.raises(TypeError, match="bias has a parametrisation other than the library's own"):
        pickle.dumps(layer)


def test_a_stored_constraint_is_the_one_it_was() -> None:
    net = ConvexMLP(3, (4,), batch_norm=True)
    stored: Any = list(constrained_parameters(by_pickle(net)))
    live: Any = list(constrained_parameters(net))
    assert all(constraint.contains(raw) for raw, constraint in stored)
    assert [c.minimum for _, c in stored] == [c.minimum for _, c in live]
