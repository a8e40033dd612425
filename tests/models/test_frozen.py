"""What runs is what was proved: hooks, modes, precisions, threads and later changes."""

import copy
import functools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import featureconvex as fc
from featureconvex import ConvexityError, FeatureConvexModel, UserError
from featureconvex.features import (
    AbsConcat,
    Center,
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
    Card,
    ConvexConvNet,
    ConvexMLP,
    Curvature,
    MaxAffine,
    NonNegativeLinear,
    card,
)
from featureconvex.nn.curvature import MONOTONE_CONVEX

LEVELS = ("closed-form", "domain", "tight", "sound")
X = torch.randn(16, 3, generator=torch.Generator().manual_seed(5))
THREATS = [fc.Lp(1), fc.Lp(2), fc.Lp(math.inf)]


def small(activation: str | nn.Module = "relu", **options: Any) -> FeatureConvexModel:
    torch.manual_seed(1)
    net = ConvexMLP(6, (8, 8), activation=activation, **options)
    return FeatureConvexModel(Compose(Center(0.1), AbsConcat()), net, tau=1.0).eval()


def radii(model: FeatureConvexModel, x: Any = X, level: str = "domain") -> list[np.ndarray]:
    domain = None if level == "closed-form" else fc.Box(-6, 6)
    # The tight level costs as much for four rows as the others for a thousand.
    few = level == "tight"
    chosen = fc.levels.Tight(iterations=3) if few else level
    return [c.radius for c in fc.certify(model, x[:4] if few else x, THREATS, domain, chosen)]


@functools.cache
def radii_of_small(level: str) -> list[np.ndarray]:
    return radii(small(), level=level)


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, a, b))


IN_PLACE: dict[str, tuple[nn.Module, nn.Module]] = {
    "relu": (nn.ReLU(inplace=True), nn.ReLU()),
    "leaky": (nn.LeakyReLU(0.1, inplace=True), nn.LeakyReLU(0.1)),
    "elu": (nn.ELU(inplace=True), nn.ELU()),
    "celu": (nn.CELU(0.7, inplace=True), nn.CELU(0.7)),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_change_nothing(name: str, level: str) -> None:
    """A line in place of a module must be evaluated at its input, not at what it left there."""
    assert equal(*(radii(small(kind), level=level) for kind in IN_PLACE[name]))


@pytest.mark.parametrize("name", IN_PLACE)
def test_activations_in_place_change_nothing_for_patches(name: str) -> None:
    found = []
    for kind in IN_PLACE[name]:
        torch.manual_seed(2)
        net = ConvexConvNet(1, 6, features=2, depth=1, first_kernel=3, activation=kind)
        model = FeatureConvexModel(Identity(), net, tau=0.5).eval()
        x = torch.rand(12, 1, 6, 6, generator=torch.Generator().manual_seed(0))
        found.append(fc.certify(model, x, fc.Patch(1), fc.Box(0, 1), "tight").radius)
    np.testing.assert_array_equal(found[0], found[1])


def test_an_activation_in_place_on_the_input_leaves_the_callers_numbers_alone() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), NonNegativeLinear(3, 1), nn.Flatten(0))
    model = FeatureConvexModel(Identity(), net, tau=1.0).eval()
    x = X.clone()
    for level in LEVELS:
        radii(model, x, level)
    fc.attack(model, x, fc.Lp(2), fc.Box(-6, 6), budget=0.1)
    assert torch.equal(x, X)


class Rescaled(FeatureConvexModel):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(20 * x)


class Relogit(FeatureConvexModel):
    def logits(self, x: Tensor) -> Tensor:
        return super().logits(20 * x)


class Recalled(FeatureConvexModel):
    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(20 * x)  # type: ignore[no-any-return]


class Rewired(FeatureConvexModel):
    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return MaxAffine(6, 1) if name == "convex_net" else found


def doubled(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return -2 * output


def shifted(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (20 * inputs[0],)


def of_class(kind: type[FeatureConvexModel]) -> Callable[[FeatureConvexModel], Any]:
    def change(model: FeatureConvexModel) -> Any:
        before = model.__class__
        model.__class__ = kind
        return lambda: setattr(model, "__class__", before)

    return change


def on_class(kind: type[nn.Module], name: str = "forward") -> Callable[[FeatureConvexModel], Any]:
    def change(_: FeatureConvexModel) -> Any:
        before = getattr(kind, name)
        setattr(kind, name, lambda self, x: before(self, 20 * x))
        return lambda: setattr(kind, name, before)

    return change


def on_torch(owner: Any, name: str) -> Callable[[FeatureConvexModel], Any]:
    def change(_: FeatureConvexModel) -> Any:
        # Classes show what they inherit: it must be gone again, not be written down.
        own = name in vars(owner)
        before = getattr(owner, name)
        setattr(owner, name, lambda *given, **named: before(*given, **named) - 3)
        return lambda: setattr(owner, name, before) if own else delattr(owner, name)

    return change


def replaced(model: FeatureConvexModel) -> Any:
    model.forward = lambda x: FeatureConvexModel.forward(model, 20 * x)  # type: ignore[method-assign]
    return lambda: delattr(model, "forward")


def part_replaced(model: FeatureConvexModel) -> Any:
    phi = model.feature_map
    phi.forward = lambda x: torch.cat((20 * x, x), 1)  # type: ignore[method-assign]
    return lambda: delattr(phi, "forward")


def compiled(model: FeatureConvexModel) -> Any:
    model._compiled_call_impl = lambda x: FeatureConvexModel.forward(model, 20 * x)
    return lambda: model.__dict__.pop("_compiled_call_impl")


GLOBAL = torch.nn.modules.module
CHANGES: dict[str, tuple[Callable[[FeatureConvexModel], Any], str]] = {
    "subclass with a forward": (of_class(Rescaled), "forward of its own"),
    "subclass with logits": (of_class(Relogit), "logits of its own"),
    "subclass with a call": (of_class(Recalled), "__call__ of its own"),
    "subclass with other parts": (of_class(Rewired), "__getattr__ of its own"),
    "forward hook": (lambda m: m.register_forward_hook(doubled).remove, "doubled"),
    "pre-hook": (lambda m: m.register_forward_pre_hook(shifted).remove, "shifted"),
    "forward replaced": (replaced, "replaced forward"),
    "hook of all modules": (
        lambda _: GLOBAL.register_module_forward_hook(doubled).remove,  # type: ignore[arg-type]
        "doubled.*remove",
    ),
    "pre-hook of all modules": (
        lambda _: GLOBAL.register_module_forward_pre_hook(shifted).remove,  # type: ignore[arg-type]
        "shifted.*remove",
    ),
    "hook of a layer": (
        lambda m: m.convex_net.input_layers[0].register_forward_hook(doubled).remove,  # type: ignore[index,union-attr]
        r"input_layers.0.*doubled.*_forward_hooks.clear\(\)",
    ),
    "hook of the map": (
        lambda m: m.feature_map.register_forward_pre_hook(shifted).remove,
        r"feature_map.*shifted.*_forward_pre_hooks.clear\(\)",
    ),
    "map's forward replaced": (part_replaced, "replaced forward"),
    "compiled": (compiled, "compiled"),
    "class's forward replaced": (on_class(FeatureConvexModel), "forward of its own"),
    "class's logits replaced": (on_class(FeatureConvexModel, "logits"), "logits of its own"),
    "network's class changed": (on_class(ConvexMLP), "forward method of ConvexMLP"),
    "layer's class changed": (on_class(NonNegativeLinear), "forward method of NonNegativeLinear"),
    "map's class changed": (on_class(AbsConcat), "forward method of AbsConcat"),
    "call of the network's class": (on_class(ConvexMLP, "__call__"), "ConvexMLP.* __call__"),
    "call of a layer's class": (on_class(nn.Linear, "_call_impl"), "_call_impl of its own"),
    "function of the activation": (
        on_torch(nn.functional, "relu"),
        "relu of torch.nn.functional, which ReLU uses",
    ),
    "function of a function": (on_torch(torch, "relu"), "relu of torch, which ReLU uses"),
    "function of the layers": (on_torch(nn.functional, "linear"), "linear of torch.nn.functional"),
    "method of tensors in the network": (on_torch(Tensor, "squeeze"), "squeeze method of Tensor"),
    "method of tensors in the map": (on_torch(Tensor, "abs"), "abs method of Tensor"),
    "method of tensors in the weights": (
        on_torch(Tensor, "clamp_min"),
        "clamp_min method of Tensor",
    ),
    "function of the map": (on_torch(torch, "cat"), "cat of torch, which AbsConcat uses"),
}


@pytest.mark.parametrize("before", [False, True], ids=["first", "after a certificate"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_model_that_runs_other_code_is_refused_by_name(name: str, before: bool) -> None:
    change, words = CHANGES[name]
    model = small()
    if before:
        radii(model)
    undo = change(model)
    try:
        for level in LEVELS:
            with pytest.raises(ConvexityError, match=words):
                radii(model, level=level)
        with pytest.raises(ConvexityError, match=words):
            fc.attack(model, X)
    finally:
        undo()
    assert equal(radii(model), radii_of_small("domain"))


@pytest.mark.parametrize("level", LEVELS)
def test_backward_hooks_have_no_say(level: str) -> None:
    """A gradient that is scaled on its way back is no subgradient."""
    model, expected = small(), radii_of_small(level)

    def tenth(_: nn.Module, inputs: Any, __: Any) -> Any:
        return tuple(None if g is None else g / 10 for g in inputs)

    handles = [
        model.convex_net.register_full_backward_hook(tenth),
        GLOBAL.register_module_full_backward_hook(tenth),
    ]
    try:
        assert equal(radii(model, level=level), expected)
    finally:
        for handle in handles:
            handle.remove()


class Tenfold(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 10 if "mm" in str(func) else out


class Twentyfold(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        return out * 20 if func is nn.functional.linear else out


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


AMBIENT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast on cuda": lambda: torch.autocast("cuda", dtype=torch.float16),
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "hooks on what autograd saves": lambda: saved_tensors_hooks(lambda t: 0.1 * t, lambda t: t),
    "dispatch mode": Tenfold,
    "function mode": Twentyfold,
    "default device": lambda: torch.device("meta"),
    "default dtype": lambda: default_dtype(torch.float64),
    "half default dtype": lambda: default_dtype(torch.bfloat16),
}


@pytest.mark.filterwarnings("ignore:.*CUDA is not available.*:UserWarning")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", AMBIENT)
def test_certificates_do_not_depend_on_the_state_of_the_caller(name: str, level: str) -> None:
    expected = radii_of_small(level)
    model, fresh = small(), copy.deepcopy(X)
    with AMBIENT[name]():
        again = radii(model, fresh.numpy(), level)
    assert equal(again, expected)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available.*:UserWarning")
@pytest.mark.parametrize("name", AMBIENT)
def test_attacks_do_not_depend_on_the_state_of_the_caller(name: str) -> None:
    flips = fc.attack(small(), X, fc.Lp(2), fc.Box(-6, 6), steps=10)
    model, fresh = small(), copy.deepcopy(X)
    with AMBIENT[name]():
        found = fc.attack(model, fresh.numpy(), fc.Lp(2), fc.Box(-6, 6), steps=10)
    np.testing.assert_array_equal(found.distance, flips.distance)


def test_models_and_inputs_of_inference_mode_are_taken() -> None:
    with torch.inference_mode():
        model, x = small(), X + 0
        torch.manual_seed(1)
        inside = radii(model, x, "tight")
    assert equal(inside, radii_of_small("tight"))
    assert equal(radii(model, x, "tight"), inside)


def test_a_classifier_fits_in_inference_mode() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)

    def fitted() -> np.ndarray:
        clf = fc.FeatureConvexClassifier(hidden=(4,), epochs=2, temperature=1.0, random_state=0)
        return clf.fit(x, y).certify(x).radius

    expected = fitted()
    for state in (torch.inference_mode, torch.no_grad):
        with state():
            np.testing.assert_array_equal(fitted(), expected)


def test_the_float_kinds_refuse_autocast_by_name() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(UserError, match="autocast"):
        fc.certify(small(), X, level=fc.levels.Sound(arithmetic="float32"))


@contextmanager
def setting(owner: Any, value: str) -> Iterator[None]:
    before = owner.fp32_precision
    owner.fp32_precision = value
    try:
        yield
    finally:
        owner.fp32_precision = before


@contextmanager
def matmul(value: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(value)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.mkldnn.matmul.fp32_precision = "none"  # type: ignore[attr-defined]


@contextmanager
def fast_math(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
        yield


BACKENDS: Any = torch.backends
SETTINGS: dict[str, tuple[Callable[..., AbstractContextManager[Any]], str]] = {
    "matmul medium": (lambda _: matmul("medium"), "mkldnn.matmul.fp32_precision"),
    "matmul high": (lambda _: matmul("high"), "mkldnn.matmul.fp32_precision"),
    "mkldnn matmul": (
        lambda _: setting(BACKENDS.mkldnn.matmul, "bf16"),
        "mkldnn.matmul.fp32_precision",
    ),
    "mkldnn conv": (lambda _: setting(BACKENDS.mkldnn.conv, "bf16"), "mkldnn.conv.fp32_precision"),
    "environment": (fast_math, "ONEDNN_DEFAULT_FPMATH_MODE"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_under_which_a_float32_product_is_none_are_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, words = SETTINGS[name]
    model = small()
    expected = radii(small().double(), X.double())
    with context(monkeypatch):
        for level in LEVELS:
            with pytest.raises(UserError, match=words):
                radii(model, level=level)
        with pytest.raises(UserError, match=words):
            fc.certify(model, X, level=fc.levels.Sound(arithmetic="float32"))
        # Nothing else is asked of a model in double precision.
        assert equal(radii(small().double(), X.double()), expected)
    radii(model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("part", ["all", "net", "layer", "map"])
def test_half_precision_is_neither_certified_nor_stored(
    dtype: torch.dtype, part: str, tmp_path: Any
) -> None:
    model = small()
    parts: dict[str, nn.Module] = {
        "all": model,
        "net": model.convex_net,
        "layer": model.convex_net.input_layers[0],  # type: ignore[index,dict-item]
        "map": model.feature_map,
    }
    parts[part].to(dtype)
    for act in (
        lambda: radii(model),
        lambda: fc.attack(model, X),
        lambda: fc.save_model(model, tmp_path / "m"),
    ):
        with pytest.raises(UserError, match=r"half-precision.*model.float\(\)"):
            act()
    assert not (tmp_path / "m").exists()


def test_mixed_precision_is_refused() -> None:
    model = small()
    model.convex_net.input_layers[0].double()  # type: ignore[index]
    with pytest.raises(UserError, match=r"mixes torch.float32 and torch.float64"):
        radii(model)


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


class SeesOthers(nn.Module):
    """Convex in each row, but of all rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).squeeze(1) + x.relu().sum()
        return out


class SeesEarlier(SeesOthers):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).squeeze(1) + x.relu().sum(1).cumsum(0)
        return out


class SeesInLargeBatches(SeesOthers):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x).squeeze(1)
        return out.flip(0) if len(x) >= 25 else out


@card(SeesOthers, SeesEarlier, SeesInLargeBatches)
class WrongCard(Card[SeesOthers]):
    def curvature(self, module: SeesOthers) -> Curvature:
        return MONOTONE_CONVEX


def rows_as_channels() -> nn.Module:
    return nn.Sequential(nn.Conv1d(1, 1, 3), nn.Flatten(0))


SEEING: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "conv1d": (rows_as_channels, (1, 3), "3 dimensions, the batch first"),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(0)), (1, 3, 3), "4 dimensions"),
    "pool": (
        lambda: nn.Sequential(nn.MaxPool2d(3), nn.Flatten(), nn.Flatten(0)),
        (1, 3, 3),
        "4 dimensions",
    ),
    "flatten": (lambda: nn.Sequential(nn.Flatten(0), nn.ReLU()), (5, 3), "joins the rows"),
    "sum": (SeesOthers, (4, 3), "other rows"),
    "running sum": (SeesEarlier, (4, 3), "other rows"),
    "large batches": (SeesInLargeBatches, (30, 3), "other rows"),
}


@pytest.mark.parametrize("name", SEEING)
def test_rows_that_see_each_other_are_refused(name: str) -> None:
    build, shape, words = SEEING[name]
    model = FeatureConvexModel(Identity(), build(), tau=3.0).eval()
    for act in (lambda x: fc.certify(model, x), lambda x: fc.attack(model, x)):
        with pytest.raises(ConvexityError, match=words):
            act(torch.rand(*shape))


def test_rows_of_a_shape_that_the_model_does_not_take_are_refused_with_the_shape() -> None:
    net = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    model = FeatureConvexModel(Identity(), net).eval()
    with pytest.raises(UserError, match=r"does not take rows of shape \(3,\)"):
        fc.certify(model, X)


def test_a_larger_batch_is_tried_out_anew() -> None:
    model = FeatureConvexModel(Identity(), SeesInLargeBatches(), tau=3.0).eval()
    fc.certify(model, torch.rand(4, 3))
    with pytest.raises(ConvexityError, match="other rows"):
        fc.certify(model, torch.rand(30, 3))
