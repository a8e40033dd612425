"""What changes later counts, and certification changes nothing."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.frozen.cases import LEVELS, X, equal, radii, small
from torch import Tensor, nn
from torch.nn.utils import parametrize

import featureconvex as fc
from featureconvex import ConvexityError, FeatureConvexModel, UserError
from featureconvex.features import (
    AbsConcat,
    Compose,
    FeatureMap,
    Identity,
    MaxMin,
    NonexpansiveLinear,
    NonexpansiveResidual,
    Scale,
    Scattering,
)
from featureconvex.models.frozen import frozen_model
from featureconvex.nn import (
    ConvexMLP,
    MaxAffine,
)


def every_level(model: FeatureConvexModel) -> list[list[np.ndarray]]:
    quick = [radii(model, level=level) for level in LEVELS if level != "tight"]
    level = fc.levels.Tight(iterations=3)
    return [*quick, [fc.certify(model, X[:4], fc.Lp(2), fc.Box(-6, 6), level).radius]]


@pytest.mark.parametrize("training", [False, True])
def test_certification_leaves_no_trace_on_the_model(training: bool) -> None:
    """Other threads evaluate the model meanwhile: same answers, same modes, same buffers."""
    model = small(batch_norm=True).train(training)
    model.feature_map.eval()
    modes = [part.training for part in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluated = copy.deepcopy(model).eval()(X)
    wrong: list[Any] = []
    done = threading.Event()

    def watch() -> None:
        # Looks often, and leaves the interpreter to the others in between.
        while not done.wait(1e-4):
            if [part.training for part in model.modules()] != modes:
                wrong.append("mode")
            if not training and not torch.equal(model(X), evaluated):
                wrong.append("answer")

    def work() -> None:
        try:
            found.append(every_level(model))
            fc.attack(model, X[:8], fc.Lp(2), fc.Box(-6, 6), steps=20)
        except Exception as error:
            wrong.append(error)

    found: list[list[list[np.ndarray]]] = []
    watcher = threading.Thread(target=watch)
    workers = [threading.Thread(target=work) for _ in range(2)]
    watcher.start()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done.set()
    watcher.join()
    assert not wrong
    alone = every_level(model)
    assert all(equal(a, b) for one in found for a, b in zip(one, alone, strict=True))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def changeable() -> FeatureConvexModel:
    torch.manual_seed(3)
    phi = Compose(Scale([1.0, 0.5, 2.0], 0.25), AbsConcat())
    net = ConvexMLP(6, (5, 4), batch_norm=True, activation="leaky_relu:0.1")
    model = FeatureConvexModel(phi, net, tau=2.0)
    with torch.no_grad():
        for part in net.norms:
            part.running_mean.fill_(0.2)  # type: ignore[operator]
            part.running_var.fill_(0.7)  # type: ignore[operator]
    return model.eval()


def tensors(model: FeatureConvexModel) -> dict[str, Tensor]:
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: value for name, value in named.items() if value.is_floating_point()}


@pytest.mark.parametrize("name", tensors(changeable()))
def test_a_number_that_is_changed_later_counts(name: str) -> None:
    """Through ``.data``, which no version counter sees."""
    model = changeable()
    before = radii(model)
    tensors(model)[name].data.mul_(1.5).add_(0.125)
    after = radii(model)
    assert equal(after, radii(copy.deepcopy(model)))
    assert not equal(after, before)


def steeper(model: FeatureConvexModel) -> None:
    model.convex_net.activation.negative_slope = 0.5  # type: ignore[union-attr]


def other_tolerance(model: FeatureConvexModel) -> None:
    model.convex_net.norms[0].eps = 0.5  # type: ignore[index,union-attr]


def other_network(model: FeatureConvexModel) -> None:
    torch.manual_seed(9)
    model.convex_net = MaxAffine(6, 3)


def other_layer(model: FeatureConvexModel) -> None:
    torch.manual_seed(9)
    layers: Any = model.convex_net.input_layers
    layers[1] = nn.Linear(6, 4, bias=False)


def other_activation(model: FeatureConvexModel) -> None:
    model.convex_net.activation = nn.ReLU()


def assigned(model: FeatureConvexModel) -> None:
    weight = model.convex_net.hidden_layers[0].weight  # type: ignore[index,union-attr]
    model.convex_net.hidden_layers[0].weight = 0.5 * weight.detach()  # type: ignore[index,union-attr]


def swapped_storage(model: FeatureConvexModel) -> None:
    weight = model.convex_net.input_layers[0].weight  # type: ignore[index,union-attr]
    weight.data = 0.5 * weight.data


def double(model: FeatureConvexModel) -> None:
    model.double()


@pytest.mark.parametrize(
    "change",
    [
        steeper,
        other_tolerance,
        other_network,
        other_layer,
        other_activation,
        assigned,
        swapped_storage,
        double,
    ],
)
def test_a_part_that_is_changed_later_counts(change: Callable[[FeatureConvexModel], None]) -> None:
    model = changeable()
    before = radii(model)
    change(model)
    after = radii(model)
    assert equal(after, radii(copy.deepcopy(model)))
    assert not equal(after, before)


class Random(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * (1 + torch.rand(()))


class OnlyInTraining(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 3 * weight if self.training else weight


class Scaling(Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        return 10 * out.as_subclass(Tensor) if func is nn.functional.linear else out


def first_layer(model: FeatureConvexModel) -> Any:
    layers: Any = model.convex_net.input_layers
    return layers[0]


def test_a_weight_that_is_another_one_each_time_is_refused() -> None:
    model = small()
    parametrize.register_parametrization(first_layer(model), "weight", Random())
    with pytest.raises(ConvexityError, match="differently each time"):
        radii(model)


def test_parametrisations_are_those_of_eval_mode() -> None:
    model = small()
    parametrize.register_parametrization(first_layer(model), "weight", OnlyInTraining())
    for training in (True, False):
        assert equal(radii(model.train(training)), radii(small()))


def test_weights_of_another_type_are_refused() -> None:
    model = small()
    layer = first_layer(model)
    layer.weight = nn.Parameter(layer.weight.detach().as_subclass(Scaling))
    with pytest.raises(UserError, match=r"is a Scaling.*as_subclass\(torch.Tensor\)"):
        radii(model)


class Tenth(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return 10 * x


class TenthStated(Tenth):
    def lipschitz(self, p: float, s: float | None = None) -> float:
        return 10.0

    def pullback(self, v: Tensor) -> Tensor:
        return 10 * v


def test_a_map_must_not_claim_what_is_about_its_parent() -> None:
    net = ConvexMLP(3, (4,))
    with pytest.raises(ConvexityError, match="Tenth overrides forward and inherits lipschitz"):
        radii(FeatureConvexModel(Tenth(), net, tau=1.0).eval())
    stated = radii(FeatureConvexModel(TenthStated(), net, tau=1.0).eval(), level="closed-form")
    scaled = radii(FeatureConvexModel(Scale(10.0), net, tau=1.0).eval(), level="closed-form")
    for a, b in zip(stated, scaled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("name", ["lipschitz", "sensitivity", "pullback"])
def test_a_claim_that_was_replaced_is_refused(name: str) -> None:
    model = FeatureConvexModel(Identity(), ConvexMLP(3, (4,)), tau=1.0).eval()
    setattr(model.feature_map, name, lambda *_: 0.01)
    with pytest.raises(ConvexityError, match=f"replaced {name}"):
        radii(model)


@pytest.mark.parametrize("build", [changeable, small])
def test_a_frozen_model_is_kept_while_nothing_changes(
    build: Callable[[], FeatureConvexModel],
) -> None:
    model = build()
    assert frozen_model(model) is frozen_model(model)
    radii(model, level="sound")
    fc.attack(model, X[:2])
    kept = frozen_model(model)
    assert frozen_model(kept) is kept
    assert frozen_model(model.train()) is kept


LEARNED: dict[str, Callable[[], FeatureMap]] = {
    "alone": lambda: NonexpansiveResidual(3, 4),
    "in a chain": lambda: Compose(
        Scale([1.0, 0.5, 2.0]), NonexpansiveLinear(3, 4), MaxMin(), NonexpansiveResidual(4)
    ),
}


@pytest.mark.parametrize("cost", [None, [0.5, 1.0, 2.0]], ids=["plain", "cost"])
@pytest.mark.parametrize("name", LEARNED)
def test_a_measured_constant_does_not_outlive_the_weights(
    name: str, cost: list[float] | None
) -> None:
    """A frozen model keeps its constants; a changed one is another frozen model."""
    torch.manual_seed(0)
    phi = LEARNED[name]()
    model = FeatureConvexModel(phi, ConvexMLP(phi(X).shape[1], (4,)), tau=3.0).eval()
    threat = fc.Lp(2, cost)
    before = fc.certify(model, X, threat).radius
    for other in (3.0, 1 / 3):
        for value in phi.parameters():
            value.data.mul_(other).add_(0.01)
        fresh = copy.deepcopy(model)
        for level in LEVELS[:2]:
            after = fc.certify(model, X, threat, level=level).radius
            np.testing.assert_array_equal(after, fc.certify(fresh, X, threat, level=level).radius)
        assert not np.array_equal(before, fc.certify(model, X, threat).radius)
    # Another cost for the same frozen model, in every order.
    for again in (fc.Lp(2, [4.0, 1.0, 1.0]), threat, fc.Lp(1, cost), threat):
        found = fc.certify(model, X, again).radius
        np.testing.assert_array_equal(found, fc.certify(copy.deepcopy(model), X, again).radius)


def test_a_constant_does_not_outlive_the_filters() -> None:
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def built() -> FeatureConvexModel:
        torch.manual_seed(0)
        phi = Scattering((1, 8, 8), scales=1)
        return FeatureConvexModel(phi, MaxAffine(7 * 16, 3), tau=5.0).eval()

    model = built()
    before = model.feature_map.lipschitz(2)
    fc.certify(model, x)
    for value in model.feature_map.buffers():
        value.data.mul_(3)
    fresh = copy.deepcopy(model)
    assert model.feature_map.lipschitz(2) == fresh.feature_map.lipschitz(2) > 2 * before
    np.testing.assert_array_equal(fc.certify(model, x).radius, fc.certify(fresh, x).radius)
